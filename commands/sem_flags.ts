/**
 * What the subcommands of `conc sem` share.
 *
 * @module
 */

import type { FlagParametersForType } from "@stricli/core";
import { ConcError } from "../lib/errors.ts";
import type { NamedSemaphore, Reach } from "../lib/named.ts";
import { parseCount } from "../lib/units.ts";
import { SILENT, type Situation } from "./holders.ts";
import { WAIT_ALIASES } from "./store_flags.ts";

/** Flags of everything that takes permits. */
export type PermitFlags = { permits?: number; weight: number };

/** The declarations of {@link PermitFlags}. */
export const PERMIT_FLAGS: FlagParametersForType<PermitFlags, never> = {
  permits: {
    kind: "parsed",
    parse: (text: string) => parseCount(text, 1),
    optional: true,
    placeholder: "PERMITS",
    brief: "How many permits there are (as many as it has; a new one has 1)",
  },
  weight: {
    kind: "parsed",
    parse: (text: string) => parseCount(text, 1),
    default: "1",
    placeholder: "WEIGHT",
    brief: "How many of them to take",
  },
};

/** Letters for {@link PERMIT_FLAGS} and the flags of waiting. */
export const PERMIT_ALIASES = { n: "permits", w: "weight", ...WAIT_ALIASES } as const;

/** There is no semaphore of that name. */
class UnknownSemaphoreError extends ConcError {}

/**
 * The semaphore of a name, which must be there.
 *
 * @throws {ConcError} If there is none.
 */
export async function knownSemaphore(reach: Reach, name: string): Promise<NamedSemaphore> {
  if ((await reach.semaphoreNames()).includes(name)) return await reach.semaphore(name);
  throw new UnknownSemaphoreError(`there is no semaphore '${name}': conc sem status lists them`);
}

/** How a semaphore stands at this moment. */
export async function semaphoreSituation(name: string, semaphore: NamedSemaphore): Promise<Situation> {
  const { holders, waiters, permits, available, waiting } = await semaphore.status();
  const free = Math.max(0, available);
  const silent = permits - available - holders.reduce((sum, { weight }) => sum + weight, 0);
  const text = `${permits} ${permits === 1 ? "permit" : "permits"}, ${free} free, ${waiting} waiting`;
  return {
    name,
    text: silent > 0 ? `${text}, ${silent} held by ${SILENT}` : text,
    record: { type: "semaphore", name, permits, available, holders: holders.length, waiting },
    holders,
    waiters,
    isSilent: silent > 0,
  };
}
