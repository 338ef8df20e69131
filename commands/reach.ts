/**
 * The one place where a command gets what has a name: at the host reach, or at the cluster reach, as `--store` or CONC_STORE says.
 *
 * @module
 */

import type { Reach } from "../lib/named.ts";
import { type Context, say } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import { brokerUrl, type StoreFlags, storePath } from "./store_flags.ts";

/** How long to try to connect to a broker. */
const CONNECT_LIMIT_MS = 10_000;

/**
 * Opens the store that a command line names. Whoever opens it disposes of it, so that what was said last is sent.
 *
 * @param flags `timeout`: milliseconds that a broker has to answer, if that is less than 10 s.
 * @param options `signal`: ends the attempt; `pid`: the process that a broker shows as the one who holds and waits, by default this one.
 * @throws {UsageError} If it names none that can be used.
 * @throws {SystemError} If it cannot be used.
 */
export async function openReach(
  context: Pick<Context, "env" | "stderr">,
  flags: StoreFlags & Pick<CommonFlags, "quiet"> & { timeout?: number },
  { signal, pid }: { signal?: AbortSignal; pid?: number } = {},
): Promise<Reach> {
  const onHeldUp = (text: string) => {
    // Who reads no more is no reason to end.
    if (!flags.quiet) say(context, text).catch(() => {});
  };
  const url = brokerUrl(context, flags);
  if (url === undefined) {
    const [{ HostReach }, { Store }] = await Promise.all([
      import("../lib/host/reach.ts"),
      import("../lib/host/store.ts"),
    ]);
    return new HostReach(new Store(storePath(context, flags), { onHeldUp }));
  }
  const [{ ClusterReach }, { ClusterStore }] = await Promise.all([
    import("../lib/cluster/reach.ts"),
    import("../lib/cluster/store.ts"),
  ]);
  // Who waits for nothing waits for an answer nevertheless.
  const timeoutMs = Math.min(flags.timeout || CONNECT_LIMIT_MS, CONNECT_LIMIT_MS);
  const options = { timeoutMs, onHeldUp, ...(signal && { signal }), ...(pid !== undefined && { pid }) };
  return new ClusterReach(await ClusterStore.open(url, options));
}
