/**
 * Round-trip times in an HDR histogram: three significant digits from a nanosecond to an hour, in memory that does not grow.
 *
 * @module
 */

import type { Histogram as Counts, JsHistogram } from "hdr-histogram-js";

const NS_PER_MS = 1e6;
const LONGEST_NS = 3_600_000 * NS_PER_MS;

/** How times are distributed. */
export interface Distribution {
  count: number;
  /** All but `count` are 0 if there is none. */
  minMs: number;
  meanMs: number;
  maxMs: number;
  /** The longest time of each step that has any, in ascending order, and how many it has. */
  steps: readonly (readonly [limitMs: number, count: number])[];
}

/** Counts times. Invariants: the steps add up to the count; minimum, mean and maximum are exact. */
export class Histogram {
  readonly #counts: JsHistogram & Counts;
  #totalMs = 0;
  #minMs = Infinity;
  #maxMs = 0;

  private constructor(counts: JsHistogram & Counts) {
    this.#counts = counts;
  }

  /**
   * Loads the library, and returns what makes histograms.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   *
   * const make = await Histogram.load();
   * const times = make();
   * for (let i = 1; i <= 100; i++) times.record(i);
   * assertEquals(Math.round(percentileMs(times.distribution(), 90)), 90);
   * ```
   */
  static async load(): Promise<() => Histogram> {
    const library = await import("hdr-histogram-js");
    // A bundle knows the names of a CommonJS module only in its default export.
    const { build } = "build" in library ? library : (library as { default: typeof library }).default;
    return () =>
      new Histogram(
        build({
          bitBucketSize: 32,
          lowestDiscernibleValue: 1,
          highestTrackableValue: LONGEST_NS,
          numberOfSignificantValueDigits: 3,
          useWebAssembly: false,
        }) as JsHistogram & Counts,
      );
  }

  get count(): number {
    return this.#counts.totalCount;
  }

  /** Counts a time; what is longer than an hour counts as an hour among the steps. */
  record(ms: number): void {
    this.#counts.recordValue(Math.min(Math.max(1, Math.round(ms * NS_PER_MS)), LONGEST_NS));
    this.#totalMs += ms;
    if (ms < this.#minMs) this.#minMs = ms;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /** Forgets all. */
  reset(): void {
    this.#counts.reset();
    this.#totalMs = 0;
    this.#minMs = Infinity;
    this.#maxMs = 0;
  }

  /** What was counted so far. */
  distribution(): Distribution {
    const { count } = this;
    const steps: [number, number][] = [];
    let seen = 0;
    for (let index = 0; seen < count; index++) {
      const inStep = this.#counts.getCountAtIndex(index);
      if (inStep === 0) continue;
      seen += inStep;
      const limitNs = this.#counts.highestEquivalentValue(this.#counts.valueFromIndex(index));
      steps.push([Math.min(limitNs / NS_PER_MS, this.#maxMs), inStep]);
    }
    if (count === 0) return { count, minMs: 0, meanMs: 0, maxMs: 0, steps };
    return { count, minMs: this.#minMs, meanMs: this.#totalMs / count, maxMs: this.#maxMs, steps };
  }
}

/**
 * The time that so many percent of all do not exceed.
 *
 * @param distribution The times.
 * @param percent From 0 to 100.
 * @returns Milliseconds; 0 if there is no time.
 */
export function percentileMs({ count, steps }: Distribution, percent: number): number {
  const wanted = Math.max(1, Math.ceil(count * percent / 100 - 1e-9));
  let seen = 0;
  for (const [limitMs, inStep] of steps) {
    seen += inStep;
    if (seen >= wanted) return limitMs;
  }
  return 0;
}
