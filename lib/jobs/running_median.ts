/**
 * The median of numbers that come one by one.
 *
 * @module
 */

import { BinaryHeap } from "@std/data-structures/binary-heap";

/**
 * Two heaps meet in the middle. Invariant: every number below is at most every number above, and below holds as many as above or
 * one more.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const median = new RunningMedian();
 * for (const value of [5, 1, 3]) median.add(value);
 * assertEquals(median.median, 3);
 * ```
 */
export class RunningMedian {
  readonly #below = new BinaryHeap<number>((a, b) => b - a);
  readonly #above = new BinaryHeap<number>((a, b) => a - b);

  /** How many numbers there were. */
  get count(): number {
    return this.#below.length + this.#above.length;
  }

  /** The median, the lower one of two; NaN before the first number. */
  get median(): number {
    return this.#below.peek() ?? NaN;
  }

  /** Takes a number in. */
  add(value: number): void {
    this.#below.push(value);
    this.#above.push(this.#below.pop()!);
    if (this.#above.length > this.#below.length) this.#below.push(this.#above.pop()!);
  }
}
