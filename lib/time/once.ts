/**
 * Ticks that come once: after some time, or at a moment.
 *
 * @module
 */

import { type ClockOptions, SYSTEM_CLOCK, waitUntil, waitUntilWall } from "./clock.ts";
import { checkJitter, type Tick } from "./every.ts";

/** Options of {@link after}. */
export interface AfterOptions extends ClockOptions {
  /** The tick is late on purpose by a random part of the delay, up to this percentage of it, 0 to 100. Default 0. */
  jitterPercent?: number;
  /** Gives the random number, from 0 up to 1. Default `Math.random`. */
  random?: () => number;
}

/**
 * Ticks once on the monotonic clock, which no change of the wall clock touches. The delay counts from the call. The tick never
 * comes early.
 *
 * Cancel safety: an aborted wait takes no tick and leaves no timer; the iterator rejects with `signal.reason` and is over.
 *
 * @param delayMs Milliseconds, 0 or more.
 * @throws {RangeError} If `delayMs` or `jitterPercent` is out of range.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 *
 * for await (const tick of after(5)) assert(tick.actualMs >= tick.scheduledMs);
 * ```
 */
export function after(delayMs: number, options: AfterOptions = {}): AsyncGenerator<Tick, void, void> {
  const { clock = SYSTEM_CLOCK, jitterPercent = 0, random = Math.random } = options;
  if (!(delayMs >= 0 && Number.isFinite(delayMs))) {
    throw new RangeError(`cannot tick as 'delayMs' must be 0 or more and finite: received ${delayMs}`);
  }
  checkJitter(jitterPercent);
  const jitterMs = jitterPercent === 0 ? 0 : delayMs * random() * jitterPercent / 100;
  return tickAfter(clock.monotonic() + delayMs + jitterMs, options);
}

/**
 * Ticks once when the wall clock shows a moment, also if it is set meanwhile: put forward over the moment, the tick comes within a
 * second, late; set back, it comes later. It never comes while the clock shows an earlier time.
 *
 * Cancel safety: an aborted wait takes no tick and leaves no timer; the iterator rejects with `signal.reason` and is over.
 *
 * @param momentMs Milliseconds since the epoch. A moment that has passed is not waited for.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const momentMs = Date.now() + 5;
 * for await (const { scheduledMs } of at(momentMs)) assertEquals(scheduledMs, momentMs);
 * ```
 */
export async function* at(momentMs: number, options: ClockOptions = {}): AsyncGenerator<Tick, void, void> {
  const { clock = SYSTEM_CLOCK } = options;
  await waitUntilWall(momentMs, options);
  const actualMs = Math.max(clock.now(), momentMs);
  yield { number: 1, scheduledMs: momentMs, actualMs, driftMs: actualMs - momentMs, missed: 0 };
}

async function* tickAfter(dueMs: number, options: ClockOptions): AsyncGenerator<Tick, void, void> {
  const { clock = SYSTEM_CLOCK } = options;
  await waitUntil(dueMs, options);
  const driftMs = clock.monotonic() - dueMs;
  const actualMs = clock.now();
  yield { number: 1, scheduledMs: actualMs - driftMs, actualMs, driftMs, missed: 0 };
}
