/**
 * The clock that everything timed runs on. Whoever tests hands in another one and needs no real time.
 *
 * @module
 */

/** What tells the time, and calls back later. */
export interface Clock {
  /** Wall-clock time in milliseconds since the epoch. It can be set, so it may jump either way. */
  now(): number;
  /** Monotonic time in milliseconds: it never goes back. On Linux it stands still while the machine is suspended. */
  monotonic(): number;
  /**
   * Calls back once, after `ms` milliseconds or a little later.
   *
   * @param ms From 0 to {@link LONGEST_TIMEOUT_MS}.
   * @returns What calls it off.
   */
  setTimeout(callback: () => void, ms: number): () => void;
}

/** Options of what waits on a clock. */
export interface ClockOptions {
  /** Default {@link SYSTEM_CLOCK}. */
  clock?: Clock;
  /** Ends the wait when it is aborted; the wait rejects with `signal.reason`. */
  signal?: AbortSignal;
}

/** A longer timeout overflows 32 bits in every JavaScript engine and is over at once. What is longer is waited for in parts. */
export const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** How long the wall clock may have been set before a wait for it notices. */
const WALL_CHECK_MS = 1_000;

/** The clock of this machine. */
export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout(callback, ms) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * Waits for a moment of monotonic time. Invariant: it never resolves before `dueMs`, however long that is.
 *
 * Cancel safety: a cancelled wait leaves no timer behind.
 *
 * @param dueMs Milliseconds on `clock.monotonic()`. A moment that has passed is not waited for.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 *
 * const dueMs = performance.now() + 5;
 * await waitUntil(dueMs);
 * assert(performance.now() >= dueMs);
 * ```
 */
export async function waitUntil(
  dueMs: number,
  { clock = SYSTEM_CLOCK, signal }: ClockOptions = {},
): Promise<void> {
  signal?.throwIfAborted();
  for (let leftMs; (leftMs = dueMs - clock.monotonic()) > 0;) {
    await pause(Math.min(leftMs, LONGEST_TIMEOUT_MS), { clock, signal });
  }
}

/**
 * Waits for a moment of wall-clock time. The clock is looked at every second at least, so that a clock that is set, or a machine
 * that was suspended, is noticed within a second. Invariant: it never resolves while `clock.now()` is before `dueMs`.
 *
 * Cancel safety: a cancelled wait leaves no timer behind.
 *
 * @param dueMs Milliseconds since the epoch; a function is asked anew at each look, and what it returns may change.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 *
 * const dueMs = Date.now() + 5;
 * await waitUntilWall(dueMs);
 * assert(Date.now() >= dueMs);
 * ```
 */
export async function waitUntilWall(
  dueMs: number | (() => number),
  { clock = SYSTEM_CLOCK, signal }: ClockOptions = {},
): Promise<void> {
  const due = typeof dueMs === "number" ? () => dueMs : dueMs;
  signal?.throwIfAborted();
  for (let leftMs; (leftMs = due() - clock.now()) > 0;) {
    await pause(Math.min(leftMs, WALL_CHECK_MS), { clock, signal });
  }
}

/** Waits once. */
function pause(
  ms: number,
  { clock, signal }: { clock: Clock; signal: AbortSignal | undefined },
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = () => {
    cancel();
    reject(signal!.reason);
  };
  const cancel = clock.setTimeout(() => {
    signal?.removeEventListener("abort", abort);
    resolve();
  }, ms);
  signal?.addEventListener("abort", abort, { once: true });
  return promise;
}
