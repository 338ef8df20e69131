/**
 * Ticks at a fixed interval that do not drift.
 *
 * @module
 */

import { type Clock, type ClockOptions, SYSTEM_CLOCK, waitUntil } from "./clock.ts";

/** One tick of {@link every} or of `schedule`. */
export interface Tick {
  /** Counts the ticks that came, from 1. */
  number: number;
  /** When it was due, in milliseconds since the epoch as the wall clock counts them now. */
  scheduledMs: number;
  /** When it came, in milliseconds since the epoch. */
  actualMs: number;
  /** How late it came, in milliseconds; never negative. */
  driftMs: number;
  /** How many ticks before it were left out, because their time had passed when somebody came to take them. */
  missed: number;
}

/** Options of {@link every}. */
export interface EveryOptions extends ClockOptions {
  /** The first tick comes at once, not after one interval. Default false. */
  immediate?: boolean;
  /**
   * What becomes of ticks whose time has passed, such as after a stall or a slow consumer. `skip` gives the latest of them and
   * goes on in step; `burst` gives each of them, one right after the other. Default `skip`.
   */
  missedTicks?: "skip" | "burst";
  /** Each tick is late on purpose by a random part of the interval, up to this percentage of it, 0 to 100. Default 0. */
  jitterPercent?: number;
  /** Gives the random numbers, from 0 up to 1. Default `Math.random`. */
  random?: () => number;
}

/**
 * Ticks on the monotonic clock, which no change of the wall clock touches.
 *
 * Invariant: ticks lie on a grid that is fixed when `every` is called: tick N is due at start + N x interval, and how late one
 * tick comes has no bearing on the next. A tick never comes early, and no place of the grid gives two.
 *
 * Cancel safety: an aborted wait takes no tick and leaves no timer; the iterator rejects with `signal.reason` and is over.
 *
 * @param intervalMs Milliseconds between ticks, more than 0.
 * @throws {RangeError} If `intervalMs` or `jitterPercent` is out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const numbers: number[] = [];
 * for await (const { number } of every(2)) {
 *   numbers.push(number);
 *   if (number === 3) break;
 * }
 * assertEquals(numbers, [1, 2, 3]);
 * ```
 */
export function every(intervalMs: number, options: EveryOptions = {}): AsyncGenerator<Tick, never, void> {
  const { clock = SYSTEM_CLOCK, jitterPercent = 0 } = options;
  if (!(intervalMs > 0 && Number.isFinite(intervalMs))) {
    throw new RangeError(
      `cannot tick as 'intervalMs' must be more than 0 and finite: received ${intervalMs}`,
    );
  }
  checkJitter(jitterPercent);
  const { monotonicMs: startMs, wallMs: originMs } = bothClocks(clock);
  return ticks(intervalMs, { startMs, originMs }, options);
}

/** Both clocks at one moment: looked at again if this process lost the processor in between. */
function bothClocks(clock: Clock): { monotonicMs: number; wallMs: number } {
  for (let tries = 1;; tries++) {
    const monotonicMs = clock.monotonic();
    const wallMs = clock.now();
    if (clock.monotonic() - monotonicMs < WALL_TOLERANCE_MS / 2 || tries === 3) {
      return { monotonicMs, wallMs };
    }
  }
}

/** By how much the wall clock may differ from the grid before it is taken to have been set. */
const WALL_TOLERANCE_MS = 20;

/** Throws unless it is a percentage from 0 to 100. */
export function checkJitter(jitterPercent: number): void {
  if (jitterPercent >= 0 && jitterPercent <= 100) return;
  throw new RangeError(`cannot tick as 'jitterPercent' must be from 0 to 100: received ${jitterPercent}`);
}

async function* ticks(
  intervalMs: number,
  { startMs, originMs }: { startMs: number; originMs: number },
  options: EveryOptions,
): AsyncGenerator<Tick, never, void> {
  const { clock = SYSTEM_CLOCK, immediate = false, missedTicks = "skip" } = options;
  const { jitterPercent = 0, random = Math.random } = options;
  let place = immediate ? 0 : 1;
  for (let number = 1;; number++, place++) {
    const jitterMs = jitterPercent === 0 ? 0 : intervalMs * random() * jitterPercent / 100;
    await waitUntil(startMs + place * intervalMs + jitterMs, options);
    const { monotonicMs, wallMs: actualMs } = bothClocks(clock);
    const elapsedMs = monotonicMs - startMs - jitterMs;
    const latest = Math.floor(elapsedMs / intervalMs);
    const missed = missedTicks === "skip" ? Math.max(0, latest - place) : 0;
    place += missed;
    const driftMs = Math.max(0, elapsedMs - place * intervalMs);
    const placeMs = place * intervalMs + jitterMs;
    // The times lie on a grid like the ticks, however the two clocks are rounded; if the wall clock was set, the grid moves.
    const wallOriginMs = actualMs - (monotonicMs - startMs);
    if (Math.abs(wallOriginMs - originMs) > WALL_TOLERANCE_MS) originMs = wallOriginMs;
    yield { number, scheduledMs: originMs + placeMs, actualMs, driftMs, missed };
  }
}
