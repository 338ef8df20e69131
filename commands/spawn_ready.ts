/**
 * When what `conc spawn` runs is ready, and the event that says so.
 *
 * @module
 */

import { UsageError } from "../lib/errors.ts";
import { directoryOf } from "../lib/net/probe/file_changes.ts";
import { formatDuration } from "../lib/time/duration.ts";
import { poll } from "../lib/time/poll.ts";
import type { Context } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import type { Target } from "./event_target.ts";
import { openReach } from "./reach.ts";
import type { SpawnFlags } from "./spawn_flags.ts";
import { brokerUrl, storePath } from "./store_flags.ts";

/** What is waited for, and told. */
export interface Readiness extends AsyncDisposable {
  /**
   * Waits until it is ready, and sets the event.
   *
   * @param signal Ends the wait.
   */
  watch(signal: AbortSignal): Promise<void>;
}

/** What can be looked at without starting anything. */
const SCHEMES = /^(tcp|https?|unix|file|log):/i;

/**
 * Reads what the flags say of readiness; undefined if they say nothing.
 *
 * @param options `tell`: told when it is ready.
 * @throws {UsageError} If the target is none.
 * @throws {SystemError} If the store cannot be used.
 */
export async function openReadiness(
  context: Context,
  { flags, tell }: { flags: SpawnFlags & CommonFlags; tell: (text: string) => Promise<void> },
): Promise<Readiness | undefined> {
  const { ready, event: name } = flags;
  if (ready === undefined && name === undefined) return undefined;
  const target = ready === undefined ? undefined : await readTarget(ready);
  const reach = name === undefined ? undefined : await openReach(context, flags);
  const event = await reach?.event(name!);
  // Before anything is started: what a log has by then is of an earlier run.
  const source = await target?.open({
    event: () => Promise.reject(new Error("no target here is an event")),
    storeDirectory: reach && brokerUrl(context, flags) === undefined
      ? directoryOf(storePath(context, flags))
      : undefined,
    onlyFreshLines: true,
  });
  return {
    async watch(signal) {
      if (source !== undefined) {
        const startMs = context.monotonic();
        const { probe, rest } = source;
        const { seen } = await poll(probe, { signal, ...(rest !== undefined && { rest }) });
        await tell(`${target!.text}: ${seen} (after ${formatDuration(context.monotonic() - startMs)})`);
      }
      await reach?.whenFree(() => event!.set(), { signal, timeoutMs: Infinity });
    },
    async [Symbol.asyncDispose]() {
      source?.[Symbol.dispose]();
      await reach?.[Symbol.asyncDispose]();
    },
  };
}

async function readTarget(text: string): Promise<Target> {
  if (!SCHEMES.test(text)) {
    throw new UsageError(
      `cannot wait for that as it must begin with tcp:, http:, https:, unix:, file: or log: : received '${text}'`,
    );
  }
  const { parseTarget } = await import("./event_target.ts");
  return parseTarget(text);
}
