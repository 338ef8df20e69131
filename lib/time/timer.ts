/**
 * A function that runs after some time, once.
 *
 * @module
 */

import { type Clock, LONGEST_TIMEOUT_MS, SYSTEM_CLOCK } from "./clock.ts";

/** Options of {@link Timer}. */
export interface TimerOptions {
  /** Cancels the timer when it is aborted. */
  signal?: AbortSignal;
  /** Default {@link SYSTEM_CLOCK}. */
  clock?: Clock;
}

/** Where a {@link Timer} is: it waits, has run its function, or was cancelled before that. */
export type TimerState = "waiting" | "fired" | "cancelled";

/**
 * Runs a function after a delay, as Python's `threading.Timer` does, without a thread. It can be cancelled and restarted, and its
 * delay may be longer than the 24.8 days of `setTimeout`.
 *
 * Invariant: the function runs at most once for each start, never early, and never after {@link Timer.cancel} returned.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const { promise, resolve } = Promise.withResolvers<string>();
 * const timer = new Timer(3, () => resolve("three milliseconds later"));
 * assertEquals(await promise, "three milliseconds later");
 * assertEquals(timer.state, "fired");
 * ```
 */
export class Timer implements Disposable {
  readonly #callback: () => void;
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;
  readonly #abort = () => void this.cancel();
  #delayMs: number;
  #dueMs = 0;
  #state: TimerState = "cancelled";
  #stop: () => void = () => {};

  /**
   * Starts at once.
   *
   * @param delayMs Milliseconds until the function runs, 0 or more.
   * @param callback What runs. What it throws is an uncaught error, as with `setTimeout`.
   * @throws {RangeError} If `delayMs` is negative, infinite or NaN.
   */
  constructor(delayMs: number, callback: () => void, { signal, clock = SYSTEM_CLOCK }: TimerOptions = {}) {
    this.#delayMs = checkedDelay(delayMs);
    this.#callback = callback;
    this.#clock = clock;
    this.#signal = signal;
    this.restart();
  }

  /** Where it is. */
  get state(): TimerState {
    return this.#state;
  }

  /** Milliseconds until the function runs; 0 if nothing is waited for. */
  get remainingMs(): number {
    return this.#state === "waiting" ? Math.max(0, this.#dueMs - this.#clock.monotonic()) : 0;
  }

  /**
   * Calls it off.
   *
   * @returns Whether it was in time: false if the function has run, or it was cancelled before.
   */
  cancel(): boolean {
    if (this.#state !== "waiting") return false;
    this.#settle("cancelled");
    return true;
  }

  /**
   * Starts anew, from now, whether it waits, has fired or was cancelled. With a signal that is aborted it stays cancelled.
   *
   * @param delayMs Milliseconds until the function runs. Default: what it was.
   * @throws {RangeError} If `delayMs` is negative, infinite or NaN.
   */
  restart(delayMs: number = this.#delayMs): void {
    this.#delayMs = checkedDelay(delayMs);
    this.cancel();
    if (this.#signal?.aborted) return;
    this.#state = "waiting";
    this.#dueMs = this.#clock.monotonic() + delayMs;
    this.#signal?.addEventListener("abort", this.#abort, { once: true });
    this.#wait();
  }

  /** Cancels it. */
  [Symbol.dispose](): void {
    this.cancel();
  }

  #wait(): void {
    const ms = Math.min(this.remainingMs, LONGEST_TIMEOUT_MS);
    this.#stop = this.#clock.setTimeout(() => {
      if (this.remainingMs > 0) return this.#wait();
      this.#settle("fired");
      this.#callback();
    }, ms);
  }

  #settle(state: TimerState): void {
    this.#state = state;
    this.#stop();
    this.#signal?.removeEventListener("abort", this.#abort);
  }
}

function checkedDelay(delayMs: number): number {
  if (!(delayMs >= 0 && Number.isFinite(delayMs))) {
    throw new RangeError(
      `cannot start a timer as 'delayMs' must be 0 or more and finite: received ${delayMs}`,
    );
  }
  return delayMs;
}
