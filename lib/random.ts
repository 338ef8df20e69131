/**
 * Random numbers that come out the same for the same seed, so that a demo or a failing test can be run again.
 *
 * @module
 */

/**
 * A generator of numbers from 0 up to but not including 1 (mulberry32; 32 bits of state, for demos and jitter, not for secrets).
 *
 * @param seed Any whole number.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const [one, other] = [seededRandom(1), seededRandom(1)];
 * assertEquals([one(), one()], [other(), other()]);
 * ```
 */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
