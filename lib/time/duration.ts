/**
 * Durations as people type them and as conc prints them.
 *
 * @module
 */

import { UsageError } from "../errors.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * Reads a duration: `250ms`, `1.5s`, `2m`, `1h`, `1d`; a bare number is seconds. Several may follow each other, as in
 * `1h30m`.
 *
 * @param text What was typed.
 * @returns Milliseconds, not negative.
 * @throws {UsageError} If it is no duration.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseDuration("250ms"), 250);
 * assertEquals(parseDuration("1h30m"), 5_400_000);
 * assertEquals(parseDuration("0.5"), 500);
 * ```
 */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ms|s|m|h|d)/g)];
  const bare = /^(\d+(\.\d*)?|\.\d+)$/.test(text);
  if (!bare && (parts.length === 0 || parts.map(([part]) => part).join("") !== text)) {
    throw new UsageError(
      `cannot read a duration as it must be a number with ms, s, m, h or d, such as 250ms or 1.5s: received '${text}'`,
    );
  }
  const ms = bare
    ? Number(text) * 1_000
    : parts.reduce((sum, [, number, unit]) => sum + Number(number) * UNIT_MS[unit!]!, 0);
  if (!Number.isFinite(ms)) throw new UsageError(`cannot use a duration that long: received '${text}'`);
  return ms;
}

/** From the shortest to the longest duration, in milliseconds. */
export interface DurationRange {
  minMs: number;
  maxMs: number;
}

/**
 * Reads a duration, or two with `..` between them: `1s`, `1s..3s`.
 *
 * @param text What was typed.
 * @throws {UsageError} If it is none, or the second is shorter than the first.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseDurationRange("250ms..1s"), { minMs: 250, maxMs: 1_000 });
 * assertEquals(parseDurationRange("2"), { minMs: 2_000, maxMs: 2_000 });
 * ```
 */
export function parseDurationRange(text: string): DurationRange {
  const [first = "", second = first, ...others] = text.split("..");
  const range = { minMs: parseDuration(first), maxMs: parseDuration(second) };
  if (others.length > 0 || range.maxMs < range.minMs) {
    throw new UsageError(
      `cannot read a range of durations as it must be the shortest..the longest: received '${text}'`,
    );
  }
  return range;
}

/**
 * Writes a duration for people: the two largest units that matter.
 *
 * @param ms Milliseconds, not negative.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(formatDuration(250), "250ms");
 * assertEquals(formatDuration(1_540), "1.54s");
 * assertEquals(formatDuration(5_400_000), "1h30m");
 * ```
 */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)}ms`;
  if (ms < 59_995) return `${Number((ms / 1_000).toFixed(2))}s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return pair(Math.floor(seconds / 60), "m", seconds % 60, "s");
  const minutes = Math.round(seconds / 60);
  if (minutes < 1_440) return pair(Math.floor(minutes / 60), "h", minutes % 60, "m");
  const hours = Math.round(minutes / 60);
  return pair(Math.floor(hours / 24), "d", hours % 24, "h");
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;
}
