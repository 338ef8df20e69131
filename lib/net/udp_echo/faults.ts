/**
 * What a bad network does to datagrams, on purpose: some are lost, some come twice, late, or in another order. It is decided datagram by
 * datagram, and comes out the same for the same seed.
 *
 * @module
 */

import { UsageError } from "../../errors.ts";
import { seededRandom } from "../../random.ts";
import type { DurationRange } from "../../time/duration.ts";

/** How far apart the seeds of two kinds of faults are: 2^32 by the golden ratio, so that their numbers do not meet. */
const STREAM_STEP = 0x9e3779b9;

/** Which faults, and how often. Each share is one of all datagrams, as far as those that are not lost suffice. */
export interface FaultOptions {
  /** How many of a hundred are lost, from 0 to 100. Default 0. */
  dropPercent?: number | undefined;
  /** How many of a hundred come twice, from 0 to 100. Default 0. */
  duplicatePercent?: number | undefined;
  /** How many of a hundred come after the one that was sent behind them, from 0 to 100. Default 0. */
  reorderPercent?: number | undefined;
  /** How late each one comes; between two durations every time is as likely. Default: not late. */
  delay?: DurationRange | undefined;
  /** Any whole number: the same makes the same decisions. */
  seed: number;
}

/** What is to become of a datagram. */
export interface Fate {
  isDropped: boolean;
  isDuplicated: boolean;
  isReordered: boolean;
  delayMs: number;
}

/**
 * Decides what becomes of each datagram.
 *
 * Invariant: the decisions depend on the seed and on how many there were before. Each kind of fault draws numbers of its own, so that to
 * change how often one happens, other than how many are lost, does not change when the others do.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const [one, other] = [new Faults({ dropPercent: 50, seed: 7 }), new Faults({ dropPercent: 50, seed: 7 })];
 * for (let i = 0; i < 100; i++) assertEquals(one.next().isDropped, other.next().isDropped);
 * ```
 */
export class Faults {
  readonly #drops: () => boolean;
  readonly #duplicates: () => boolean;
  readonly #reorders: () => boolean;
  readonly #delayMs: () => number;
  readonly #fate: Fate = { isDropped: false, isDuplicated: false, isReordered: false, delayMs: 0 };

  /**
   * @throws {UsageError} If a percentage is below 0 or above 100.
   */
  constructor({ dropPercent = 0, duplicatePercent = 0, reorderPercent = 0, delay, seed }: FaultOptions) {
    let streams = 0;
    const stream = () => seededRandom(seed + STREAM_STEP * streams++);
    const drops = shareOf(dropPercent);
    // What is lost cannot be doubled: the others make up for it.
    const ofOthers = (percent: number) => shareOf(percent) / (1 - drops);
    this.#drops = chance(drops, stream());
    this.#duplicates = chance(ofOthers(duplicatePercent), stream());
    this.#reorders = chance(ofOthers(reorderPercent), stream());
    const random = stream();
    const { minMs, maxMs } = delay ?? { minMs: 0, maxMs: 0 };
    this.#delayMs = maxMs === 0 ? () => 0 : () => minMs + (maxMs - minMs) * random();
  }

  /**
   * What becomes of the next datagram. One that is dropped has the other faults drawn for it too, so that those of the others stay the same.
   *
   * @returns The same object each time, so that nothing is allocated: it is true until the next call.
   */
  next(): Readonly<Fate> {
    const fate = this.#fate;
    fate.isDropped = this.#drops();
    fate.isDuplicated = this.#duplicates();
    fate.isReordered = this.#reorders();
    fate.delayMs = this.#delayMs();
    return fate;
  }
}

/** Whether any fault is to happen at all. */
export function hasFaults(
  { dropPercent = 0, duplicatePercent = 0, reorderPercent = 0, delay }: FaultOptions,
): boolean {
  return dropPercent > 0 || duplicatePercent > 0 || reorderPercent > 0 || (delay?.maxMs ?? 0) > 0;
}

/**
 * Reads how many of a hundred: `5%`, `0.1%`; the sign may be left out.
 *
 * @param text What was typed.
 * @returns From 0 to 100.
 * @throws {UsageError} If it is none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseFaultPercent("0.5%"), 0.5);
 * ```
 */
export function parseFaultPercent(text: string): number {
  return checkPercent(/^\d+(\.\d+)?%?$/.test(text) ? Number.parseFloat(text) : NaN, text);
}

function shareOf(percent: number): number {
  return checkPercent(percent, String(percent)) / 100;
}

function chance(share: number, random: () => number): () => boolean {
  return share > 0 ? () => random() < share : () => false;
}

function checkPercent(percent: number, received: string): number {
  if (percent >= 0 && percent <= 100) return percent;
  throw new UsageError(
    `cannot read how many of a hundred as it must be from 0% to 100%: received '${received}'`,
  );
}
