/**
 * Waits that outlive a connection.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { HeldUpError, SystemError, TimeoutError } from "../errors.ts";
import type { WaitOptions } from "../primitives.ts";
import { follow } from "../abort.ts";
import { formatDuration } from "../time/duration.ts";
import { Timer } from "../time/timer.ts";
import { UnavailableError } from "./broker_error.ts";
import type { BrokerConnection } from "./connection.ts";
import type { ClusterStore } from "./store.ts";

/** From one attempt to the next at what the broker has not got up yet. */
const RETRY_MS = 200;
/** How long a command that wants an answer now tries. */
const ANSWER_LIMIT_MS = 10_000;

/**
 * Does at the broker what is to be done soon: tries for 10 s if the connection is lost, or the broker has just started.
 *
 * @param store Where.
 * @param attempt Does it over one connection; can be done again if that was lost before it was done.
 * @throws {SystemError} If it cannot be done.
 */
export async function doSoon<T>(
  store: ClusterStore,
  attempt: (connection: BrokerConnection) => Promise<T>,
): Promise<T> {
  let last: unknown;
  try {
    return await waitAcross(store, { timeoutMs: ANSWER_LIMIT_MS }, (connection) => {
      const attempting = attempt(connection);
      attempting.catch((error) => last = error);
      return attempting;
    });
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    throw last instanceof SystemError
      ? last
      : new SystemError(`cannot use the broker at ${store.address.hostAndPort}: no connection within 10s`);
  }
}

/**
 * Waits for something at the broker. If the connection is lost meanwhile, the wait goes on over the next one, at the end of the line.
 *
 * @param store Where.
 * @param options When to give up. Default: never.
 * @param attempt Waits over one connection; leaves nothing behind when its signal is aborted or the connection is lost.
 * @throws {RangeError} If `timeoutMs` is negative or NaN.
 * @throws {TimeoutError} If `timeoutMs` ran out; a `HeldUpError` if there was no connection then.
 * @throws The reason of the signal, if it is aborted; what the attempt throws, unless the connection was lost.
 */
export async function waitAcross<T>(
  store: ClusterStore,
  { signal, timeoutMs = Infinity }: WaitOptions,
  attempt: (connection: BrokerConnection, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  checkLimit(timeoutMs);
  const end = new AbortController();
  const unfollow = follow(end, [signal]);
  using _timer = timeoutMs === Infinity
    ? undefined
    : new Timer(timeoutMs, () => end.abort(timedOut(timeoutMs, store)));
  try {
    for (;;) {
      const connection = await store.connection({ signal: end.signal });
      try {
        return await attempt(connection, end.signal);
      } catch (error) {
        end.signal.throwIfAborted();
        if (connection.lost.aborted) continue;
        if (!(error instanceof UnavailableError)) throw error;
      }
      await delay(RETRY_MS, { signal: end.signal });
    }
  } finally {
    unfollow();
  }
}

/**
 * What a wait of so many milliseconds that was in vain throws.
 *
 * @param store Where it was waited, if it may be that there is no connection.
 */
export function timedOut(timeoutMs: number, store?: ClusterStore): TimeoutError {
  const limit = formatDuration(timeoutMs);
  if (store?.isConnected ?? true) return new TimeoutError(`took longer than ${limit}`);
  const { hostAndPort } = store!.address;
  return new HeldUpError(
    `timed out after ${limit}: no connection to the broker at ${hostAndPort}: start it, or mend the way to it`,
  );
}

/**
 * Throws unless milliseconds can be waited for.
 *
 * @throws {RangeError} If they are negative or NaN.
 */
export function checkLimit(timeoutMs: number): void {
  if (timeoutMs >= 0) return;
  throw new RangeError(`cannot wait as 'timeoutMs' must be 0 or more: received ${timeoutMs}`);
}
