/**
 * A limit to how long work may take.
 *
 * @module
 */

import { abortable } from "@std/async/abortable";
import { EitherSignal } from "../abort.ts";
import { TimeoutError } from "../errors.ts";
import type { Clock } from "./clock.ts";
import { formatDuration } from "./duration.ts";
import { Timer } from "./timer.ts";

/** Options of {@link deadline}. */
export interface DeadlineOptions {
  /** Ends the work early; the promise rejects with `signal.reason`. */
  signal?: AbortSignal;
  /** Default: that of this machine. */
  clock?: Clock;
}

/**
 * Does work that must be over within some time. The work gets a signal that tells it to stop; what it does with it is its own
 * affair: the promise does not wait for work that goes on regardless.
 *
 * Beyond `deadline` of @std/async, it tells the work, leaves no timer behind, takes limits of more than 24.8 days, and its error
 * is `TimeoutError`.
 *
 * Cancel safety: that of the work. Once it is too late the result of the work is dropped.
 *
 * @param work Is called at once with the signal.
 * @param limitMs Milliseconds; Infinity for no limit.
 * @throws {TimeoutError} If the time ran out.
 * @throws {RangeError} If `limitMs` is negative or NaN.
 *
 * @example
 * ```ts
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * assertEquals(await deadline(() => Promise.resolve("done"), 1_000), "done");
 * await assertRejects(() => deadline(() => new Promise(() => {}), 5), Error, "5ms");
 * ```
 */
export async function deadline<T>(
  work: (signal: AbortSignal) => Promise<T>,
  limitMs: number,
  { signal, clock }: DeadlineOptions = {},
): Promise<T> {
  if (!(limitMs >= 0)) {
    throw new RangeError(`cannot set a deadline as 'limitMs' must be 0 or more: received ${limitMs}`);
  }
  signal?.throwIfAborted();
  const limit = new AbortController();
  using both = new EitherSignal(signal, limit.signal);
  using _timer = limitMs === Infinity ? undefined : new Timer(
    limitMs,
    () => limit.abort(new TimeoutError(`took longer than ${formatDuration(limitMs)}`)),
    clock && { clock },
  );
  return await abortable(Promise.resolve(work(both.signal)), both.signal);
}
