/**
 * The one place where a command gets what has a name: at the host reach, or at the cluster reach, as `--store` or CONC_STORE says.
 *
 * @module
 */

import { HostReach } from "../lib/host/reach.ts";
import { Store } from "../lib/host/store.ts";
import type { Reach } from "../lib/named.ts";
import { type Context, say } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import { type StoreFlags, storePath } from "./store_flags.ts";

/**
 * Opens the store that a command line names. Whoever opens it disposes of it, so that what was said last is sent.
 *
 * @throws {UsageError} If it names none that can be used.
 * @throws {SystemError} If it cannot be used.
 */
export function openReach(
  context: Pick<Context, "env" | "stderr">,
  flags: StoreFlags & Pick<CommonFlags, "quiet">,
): Promise<Reach> {
  const onHeldUp = (text: string) => {
    // Who reads no more is no reason to end.
    if (!flags.quiet) say(context, text).catch(() => {});
  };
  return Promise.try(() => new HostReach(new Store(storePath(context, flags), { onHeldUp })));
}
