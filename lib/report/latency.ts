/**
 * How long things took, drawn as text: percentiles, and a histogram.
 *
 * @module
 */

import { table } from "./table.ts";

/** So many times were longer than those of the step before, and no longer than this. */
export type Step = readonly [limitMs: number, count: number];

const MOST_ROWS = 16;
const SERIES = [1, 2, 5] as const;
const WIDEST_BAR = 40;

/**
 * Writes a short time for people, with three digits.
 *
 * @param ms Milliseconds.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([0.0446, 1.2, 61.04, 2_500].map(formatLatency), ["44.6µs", "1.2ms", "61ms", "2.5s"]);
 * ```
 */
export function formatLatency(ms: number): string {
  const digits = (value: number) => Number(value.toPrecision(3));
  if (digits(ms * 1_000) < 1_000) return `${digits(ms * 1_000)}µs`;
  return digits(ms) < 1_000 ? `${digits(ms)}ms` : `${digits(ms / 1_000)}s`;
}

/**
 * A histogram: a row for each of the steps 1, 2, 5, 10 and so on that have any, and those between.
 *
 * @param steps The times, in ascending order.
 * @param options `columns`: how wide a line may be.
 * @returns Lines, each with its line feed; empty if there are no times.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(drawHistogram([[0.03, 1], [0.1, 4]], { columns: 36 }), [
 *   "up to 50µs   20%  1  ####\n",
 *   "up to 100µs  80%  4  ###############\n",
 * ].join(""));
 * ```
 */
export function drawHistogram(steps: readonly Step[], { columns }: { columns: number }): string {
  const rows = gather(steps);
  const total = rows.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) return "";
  const heads = rows.map(([limitMs, count]) => {
    return [`up to ${formatLatency(limitMs)}`, `${formatShare(count * 100 / total)}%`, String(count)];
  });
  const widths = [0, 1, 2].map((column) => Math.max(...heads.map((head) => head[column]!.length)));
  const most = Math.max(...rows.map(([, count]) => count));
  const width = Math.max(1, Math.min(WIDEST_BAR, columns - widths.reduce((sum, cell) => sum + cell + 2, 0)));
  return table(rows.map(([, count], index) => [
    heads[index]![0]!,
    ...[1, 2].map((column) => heads[index]![column]!.padStart(widths[column]!)),
    "#".repeat(Math.ceil(count * width / most)),
  ]));
}

/** A percentage with two digits, or three from 99.5 on. */
function formatShare(percent: number): string {
  return percent < 99.5 ? percent.toPrecision(2).replace(/\.0$/, "") : "100";
}

/** The times by the steps of the rows. */
function gather(steps: readonly Step[]): Step[] {
  if (steps.length === 0) return [];
  const limits = limitsOf(steps);
  const counts = limits.map(() => 0);
  let row = 0;
  for (const [limitMs, count] of steps) {
    while (row < limits.length - 1 && limitMs > limits[row]!) row += 1;
    counts[row]! += count;
  }
  return limits.map((limit, index) => [limit, counts[index]!]);
}

/** 1, 2, 5, 10 and so on from the shortest time to the longest; if that is too many rows, 1, 10, 100 and so on. */
function limitsOf(steps: readonly Step[]): number[] {
  const [shortest, longest] = [steps[0]![0], steps.at(-1)![0]];
  for (const series of [SERIES, [1] as const]) {
    const limits: number[] = [];
    for (let power = Math.floor(Math.log10(shortest)) - 1; (limits.at(-1) ?? 0) < longest; power++) {
      for (const factor of series) {
        // A power of ten is exact only if it is not negative.
        const limit = power < 0 ? factor / 10 ** -power : factor * 10 ** power;
        if (limit >= shortest && (limits.at(-1) ?? 0) < longest) limits.push(limit);
      }
    }
    if (limits.length <= MOST_ROWS || series.length === 1) return limits;
  }
  return [longest];
}
