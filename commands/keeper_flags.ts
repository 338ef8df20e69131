/**
 * The flag that makes a command a keeper: see `keeper.ts`, which is loaded when there is one.
 *
 * @module
 */

import type { FlagParametersForType } from "@stricli/core";

/** Whether it is one. */
export type KeeperFlags = { keeper: boolean };

/** The declaration of {@link KeeperFlags}. People do not give it. */
export const KEEPER_FLAGS: FlagParametersForType<KeeperFlags, never> = {
  keeper: {
    kind: "boolean",
    default: false,
    withNegated: false,
    hidden: true,
    brief: "Keep what is asked for at stdin",
  },
};
