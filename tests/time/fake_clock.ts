/**
 * A clock that stands still until a test moves it.
 *
 * @module
 */

import type { Clock } from "../../lib/time/clock.ts";

/** Invariant: callbacks run in the order of their times, and during each the clock shows its time. */
export class FakeClock implements Clock {
  #wallMs: number;
  #monotonicMs = 0;
  readonly #timers = new Set<{ dueMs: number; callback: () => void }>();
  /** The longest timeout that anybody asked for. */
  longestTimeoutMs = 0;

  constructor(wall: string | number = "2026-01-01T00:00:00Z") {
    this.#wallMs = new Date(wall).getTime();
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#wallMs;
  }

  monotonic(): number {
    return this.#monotonicMs;
  }

  setTimeout(callback: () => void, ms: number): () => void {
    this.longestTimeoutMs = Math.max(this.longestTimeoutMs, ms);
    const timer = { dueMs: this.#monotonicMs + ms, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Lets time pass, and everything that is due happen on the way. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    for (;;) {
      await settle();
      const next = [...this.#timers].sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined || next.dueMs > endMs) break;
      this.#pass(Math.max(0, next.dueMs - this.#monotonicMs));
      this.#timers.delete(next);
      next.callback();
    }
    this.#pass(endMs - this.#monotonicMs);
  }

  /** Lets time pass in which nothing runs, as in a process that is stopped. */
  stall(ms: number): void {
    this.#pass(ms);
  }

  /** Sets the wall clock by so much; the monotonic clock does not notice. */
  setWall(byMs: number): void {
    this.#wallMs += byMs;
  }

  #pass(ms: number): void {
    this.#monotonicMs += ms;
    this.#wallMs += ms;
  }
}

/** Lets all that is ready run: far more turns than any chain of promises under test needs. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await null;
}
