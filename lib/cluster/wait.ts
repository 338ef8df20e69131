/**
 * Waits that outlive a connection.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { HeldUpError, SystemError, TimeoutError } from "../errors.ts";
import type { WaitOptions } from "../primitives.ts";
import { follow, offAbort, onAbort } from "../abort.ts";
import { formatDuration } from "../time/duration.ts";
import { Timer } from "../time/timer.ts";
import { UnavailableError } from "./broker_error.ts";
import type { BrokerConnection } from "./connection.ts";
import type { ClusterStore } from "./store.ts";

/** From one attempt to the next at what the broker has not got up yet. */
const RETRY_MS = 200;
/** For how long the broker may not have got something up before people are told. */
const UNAVAILABLE_MS = 5_000;
/** How long a command that wants an answer now tries, unless it has less time. */
const ANSWER_LIMIT_MS = 10_000;
/** How long an attempt that was told to end has to leave nothing behind, before it is left to itself: a broker that is silent may keep it for long. */
const LAST_WORDS_MS = 200;

/**
 * Does something over one connection, as long as the signal is not aborted. Leaves nothing behind when it is, or when the connection is lost.
 */
type Attempt<T> = (connection: BrokerConnection, signal: AbortSignal) => Promise<T>;

/** Undoes what came of an attempt after nobody waited for it any more. */
type Undo<T> = (late: T) => unknown;

/**
 * Does at the broker what is to be done soon: tries for 10 s if the connection is lost, or the broker has just started.
 *
 * @param store Where.
 * @param attempt Does it over one connection; can be done again if that was lost before it was done.
 * @param options `timeoutMs`: milliseconds, if that is less than 10 s, and more than none; `signal`; `undo`: what to do with a result that comes too late.
 * @throws {SystemError} If it cannot be done.
 * @throws The reason of the signal, if it is aborted.
 */
export async function doSoon<T>(
  store: ClusterStore,
  attempt: Attempt<T>,
  { timeoutMs, signal, undo }: WaitOptions & { undo?: Undo<T> } = {},
): Promise<T> {
  const limitMs = Math.min(timeoutMs || ANSWER_LIMIT_MS, ANSWER_LIMIT_MS);
  let last: unknown;
  try {
    const noted: Attempt<T> = (connection, signal) => {
      const attempting = attempt(connection, signal);
      attempting.catch((error) => last = error);
      return attempting;
    };
    return await waitAcross(store, { timeoutMs: limitMs, ...(signal && { signal }) }, noted, undo);
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    if (last instanceof SystemError) throw last;
    throw new SystemError(
      `cannot use the broker at ${store.address.hostAndPort}: ${trouble(store, limitMs)}`,
    );
  }
}

/**
 * Waits for something at the broker. If the connection is lost meanwhile, the wait goes on over the next one, at the end of the line.
 *
 * @param store Where.
 * @param options When to give up. Default: never.
 * @param attempt Waits over one connection.
 * @param undo What to do with a result that comes too late.
 * @throws {RangeError} If `timeoutMs` is negative or NaN.
 * @throws {TimeoutError} If `timeoutMs` ran out; a `HeldUpError` if the broker could not be used then.
 * @throws The reason of the signal, if it is aborted; what the attempt throws, unless the connection was lost.
 */
export async function waitAcross<T>(
  store: ClusterStore,
  { signal, timeoutMs = Infinity }: WaitOptions,
  attempt: Attempt<T>,
  undo: Undo<T> = () => {},
): Promise<T> {
  signal?.throwIfAborted();
  checkLimit(timeoutMs);
  const end = new AbortController();
  const unfollow = follow(end, [signal]);
  using _timer = timeoutMs === Infinity
    ? undefined
    : new Timer(timeoutMs, () => end.abort(timedOut(timeoutMs, store)));
  let unavailableMs: number | undefined;
  let isTold = false;
  try {
    for (;;) {
      const connection = await store.connection({ signal: end.signal });
      try {
        return await unlessLate(attempt(connection, end.signal), { signal: end.signal, undo });
      } catch (error) {
        end.signal.throwIfAborted();
        if (connection.lost.aborted) continue;
        if (!(error instanceof UnavailableError)) throw error;
        unavailableMs ??= performance.now();
        if (!isTold && performance.now() - unavailableMs > UNAVAILABLE_MS) {
          isTold = true;
          store.tell(`${error.message}: waiting for it`);
        }
      }
      await delay(RETRY_MS, { signal: end.signal });
    }
  } finally {
    unfollow();
  }
}

/** What an attempt comes to; throws the reason of the signal if that is aborted and the attempt does not end soon after. */
async function unlessLate<T>(
  attempting: Promise<T>,
  { signal, undo }: { signal: AbortSignal; undo: Undo<T> },
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  let timer: Timer | undefined;
  const giveUp = () => timer = new Timer(LAST_WORDS_MS, () => reject(signal.reason));
  if (signal.aborted) giveUp();
  else onAbort(signal, giveUp);
  let isLate = false;
  attempting.then((result) => isLate && undo(result)).catch(() => {});
  try {
    return await Promise.race([attempting, late]);
  } finally {
    isLate = true;
    offAbort(signal, giveUp);
    timer?.cancel();
  }
}

/**
 * What a wait of so many milliseconds that was in vain throws.
 *
 * @param store Where it was waited, if it may be that the broker could not be used.
 */
export function timedOut(timeoutMs: number, store?: ClusterStore): TimeoutError {
  if (store === undefined || store.isConnected && !store.isBlocked) {
    return new TimeoutError(`took longer than ${formatDuration(timeoutMs)}`);
  }
  // Of the time that somebody gave us some may have been used before.
  return new HeldUpError(
    `timed out as the broker at ${store.address.hostAndPort} cannot be used: ${trouble(store, timeoutMs)}`,
  );
}

/** Why nothing came of a broker for so long. */
function trouble({ isConnected, isBlocked }: ClusterStore, limitMs: number): string {
  if (!isConnected) return "no connection: start it, or mend the way to it";
  if (isBlocked) return "it takes nothing at the moment: it is short of memory or of disk";
  return `no answer within ${formatDuration(limitMs)}: look at it, and at the network`;
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
