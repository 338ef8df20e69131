/**
 * Ticks at the times of a cron line.
 *
 * @module
 */

import { type Clock, type ClockOptions, SYSTEM_CLOCK, waitUntilWall } from "./clock.ts";
import type { Cron } from "./cron.ts";
import { checkJitter, type Tick } from "./every.ts";

/** Options of {@link schedule}. */
export interface ScheduleOptions extends ClockOptions {
  /** One tick comes at once, before those of the line. Default false. */
  immediate?: boolean;
  /** Each tick is late on purpose by a random part of the time up to the one after it, 0 to 100. Default 0. */
  jitterPercent?: number;
  /** Gives the random numbers, from 0 up to 1. Default `Math.random`. */
  random?: () => number;
}

/** A clock that is set back by less has been corrected: what has run is not run again. By more, it was wrong before. */
const CORRECTION_MS = 3 * 3_600_000;

/**
 * Ticks on the wall clock, as cron does. The clock is looked at every second:
 *
 * - put forward, or after the machine was suspended, what was due meanwhile gives one tick, late, at once;
 * - set back by less than three hours, no time gives a second tick: it waits until the clock has caught up;
 * - set back by more, it starts from the new time.
 *
 * Invariant: but for a clock that is set back by three hours, the scheduled times grow from tick to tick. A tick never comes
 * while the clock shows an earlier time. It ends when the line is never due again.
 *
 * Cancel safety: an aborted wait takes no tick and leaves no timer; the iterator rejects with `signal.reason` and is over.
 *
 * @param cron The times.
 * @throws {RangeError} If `jitterPercent` is out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Cron } from "./cron.ts";
 *
 * for await (const tick of schedule(new Cron("* * * * * *", { zone: "UTC" }))) {
 *   assertEquals(tick.scheduledMs % 1_000, 0);
 *   break;
 * }
 * ```
 */
export function schedule(cron: Cron, options: ScheduleOptions = {}): AsyncGenerator<Tick, void, void> {
  checkJitter(options.jitterPercent ?? 0);
  return ticks(cron, new Course(cron, options.clock ?? SYSTEM_CLOCK), options);
}

async function* ticks(
  cron: Cron,
  course: Course,
  options: ScheduleOptions,
): AsyncGenerator<Tick, void, void> {
  const { clock = SYSTEM_CLOCK, immediate = false, jitterPercent = 0, random = Math.random } = options;
  let number = 1;
  if (immediate) {
    options.signal?.throwIfAborted();
    const nowMs = clock.now();
    yield { number: number++, scheduledMs: nowMs, actualMs: nowMs, driftMs: 0, missed: 0 };
  }
  for (;; number++) {
    const part = jitterPercent === 0 ? 0 : random() * jitterPercent / 100;
    const due = () => {
      const dueMs = course.due();
      if (dueMs === undefined) return -Infinity;
      return dueMs + (part === 0 ? 0 : Math.floor(part * ((cron.next(dueMs) ?? dueMs) - dueMs)));
    };
    await waitUntilWall(due, options);
    const scheduledMs = due();
    if (scheduledMs === -Infinity) return;
    const actualMs = Math.max(clock.now(), scheduledMs);
    const missed = course.pass(actualMs - scheduledMs);
    yield { number, scheduledMs, actualMs, driftMs: actualMs - scheduledMs, missed };
  }
}

/** Where a schedule is: everything up to `#doneMs` is over. */
class Course {
  readonly #cron: Cron;
  readonly #clock: Clock;
  #doneMs: number;
  #seenMs: number;
  #dueMs: number | undefined;

  constructor(cron: Cron, clock: Clock) {
    this.#cron = cron;
    this.#clock = clock;
    this.#doneMs = this.#seenMs = clock.now();
    this.#dueMs = cron.next(this.#doneMs);
  }

  /** When the next tick is due; undefined if never. Asked again, it sees whether the clock was set back meanwhile. */
  due(): number | undefined {
    const nowMs = this.#clock.now();
    if (nowMs < this.#seenMs && this.#doneMs - nowMs >= CORRECTION_MS) {
      this.#doneMs = nowMs;
      this.#dueMs = this.#cron.next(nowMs);
    }
    this.#seenMs = nowMs;
    return this.#dueMs;
  }

  /** The tick has come, so late: all that was due meanwhile is over. Returns how many came to nothing, at most 1000. */
  pass(lateMs: number): number {
    const nowMs = this.#dueMs! + lateMs;
    let missed = 0;
    for (let ms = this.#cron.next(this.#dueMs!); ms !== undefined && ms <= nowMs && missed < 1_000;) {
      missed += 1;
      ms = this.#cron.next(ms);
    }
    this.#doneMs = nowMs;
    this.#dueMs = this.#cron.next(nowMs);
    return missed;
  }
}
