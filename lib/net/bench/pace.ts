/**
 * When a bench sends: as soon as the last reply is there, or at a fixed rate whatever the server does.
 *
 * @module
 */

/** See {@link Pace}. */
export interface PaceOptions {
  /** Nothing is sent after so many milliseconds. */
  durationMs: number;
  /** No more than this is sent. */
  count: number;
  /** How many are to be sent per second; undefined: as many as go. */
  ratePerSecond: number | undefined;
}

const ROUNDING = 1e-6;

/**
 * Tells which message may be sent now, and when it was to be sent.
 *
 * With a rate message N is due at the start plus N intervals, and nothing moves it: a server that stalls delays those that are due
 * meanwhile, and the delay counts (no coordinated omission). Invariant: the times that {@link Pace.take} returns ascend, and none is in the
 * future.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const pace = new Pace(1_000, { durationMs: 100, count: Infinity, ratePerSecond: 100 });
 * assertEquals([pace.take(1_025), pace.take(1_025), pace.take(1_025), pace.take(1_025)], [1_000, 1_010, 1_020, undefined]);
 * ```
 */
export class Pace {
  readonly #startMs: number;
  readonly #endMs: number;
  readonly #count: number;
  readonly #intervalMs: number;
  #taken = 0;

  /**
   * @param startMs When it begins, on the clock of all other times.
   * @param options How much, how long, how fast.
   */
  constructor(startMs: number, { durationMs, count, ratePerSecond }: PaceOptions) {
    this.#startMs = startMs;
    this.#endMs = startMs + durationMs;
    this.#count = count;
    this.#intervalMs = ratePerSecond === undefined ? 0 : 1_000 / ratePerSecond;
  }

  /** When the next is due, which may be past. */
  get dueMs(): number {
    return this.#startMs + this.#taken * this.#intervalMs;
  }

  /**
   * Takes the next message, if one may be sent.
   *
   * @param nowMs The time.
   * @returns When it was to be sent; undefined if none may be now.
   */
  take(nowMs: number): number | undefined {
    if (this.isOver(nowMs)) return undefined;
    if (this.#intervalMs === 0) {
      this.#taken += 1;
      return nowMs;
    }
    const { dueMs } = this;
    if (dueMs > nowMs) return undefined;
    this.#taken += 1;
    return dueMs;
  }

  /** Whether no more is sent. */
  isOver(nowMs: number): boolean {
    return nowMs >= this.#endMs || this.#taken >= this.#count;
  }

  /** How many were due by now, and never sent. */
  unsent(nowMs: number): number {
    if (this.#intervalMs === 0) return 0;
    const intervals = (Math.min(nowMs, this.#endMs) - this.#startMs) / this.#intervalMs;
    // What is due at the end is not sent any more, and a sum of fractions may be a little more than that.
    const due = Math.ceil(intervals - ROUNDING);
    return Math.max(0, Math.min(due, this.#count) - this.#taken);
  }
}
