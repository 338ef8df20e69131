/**
 * The other values that people type: counts, sizes, rates, percentages and names. Durations are in `time/duration.ts`.
 *
 * @module
 */

import { UsageError } from "./errors.ts";
import { parseDuration } from "./time/duration.ts";

const UNIT_BYTES: Readonly<Record<string, number>> = {
  "": 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/**
 * Reads a whole number that is at least `minimum`.
 *
 * @param text What was typed.
 * @param minimum The smallest that is allowed. Default 0.
 * @throws {UsageError} If it is none, or too small.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseCount("12"), 12);
 * ```
 */
export function parseCount(text: string, minimum = 0): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < minimum || !Number.isSafeInteger(count)) {
    throw new UsageError(
      `cannot read a count as it must be a whole number from ${minimum}: received '${text}'`,
    );
  }
  return count;
}

/**
 * Reads a size in bytes: `64`, `4k`, `1M`, `2G`. Units are powers of 1024.
 *
 * @param text What was typed.
 * @returns Bytes.
 * @throws {UsageError} If it is no size.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseSize("4k"), 4096);
 * ```
 */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kmgt]?)$/i.exec(text);
  if (match === null) {
    throw new UsageError(`cannot read a size as it must be a number with k, M, G or T: received '${text}'`);
  }
  return Math.round(Number(match[1]) * UNIT_BYTES[match[2]!.toLowerCase()]!);
}

/**
 * Reads how often something may happen: `100/s`, `30/m`, `5/250ms`; a bare number is per second.
 *
 * @param text What was typed.
 * @returns Times per second, more than 0.
 * @throws {UsageError} If it is no rate.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseRate("30/m"), 0.5);
 * ```
 */
export function parseRate(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(?:\/(.+))?$/.exec(text);
  const per = match?.[2] === undefined ? "1s" : /^\d/.test(match[2]) ? match[2] : `1${match[2]}`;
  const perSecond = match === null ? NaN : Number(match[1]) * 1_000 / readPeriod(per, text);
  if (!(perSecond > 0 && Number.isFinite(perSecond))) throw noRate(text);
  return perSecond;
}

/**
 * Reads how many bytes may pass in a second: `64k/s`; `/s` may be left out.
 *
 * @param text What was typed.
 * @returns Bytes per second, more than 0.
 * @throws {UsageError} If it is none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseByteRate("64k/s"), 65_536);
 * ```
 */
export function parseByteRate(text: string): number {
  const match = /^(\d+(?:\.\d+)?[kmgt]?)(?:\/s)?$/i.exec(text);
  const bytesPerSecond = match === null ? 0 : parseSize(match[1]!);
  if (bytesPerSecond > 0) return bytesPerSecond;
  throw new UsageError(
    `cannot read how many bytes a second may pass as it must be SIZE/s, such as 64k/s: received '${text}'`,
  );
}

function readPeriod(period: string, text: string): number {
  try {
    return parseDuration(period);
  } catch {
    throw noRate(text);
  }
}

function noRate(text: string): UsageError {
  return new UsageError(
    `cannot read a rate as it must be N/s, N/m or N/h with N above 0: received '${text}'`,
  );
}

/**
 * Reads a percentage: `80%`; the sign may be left out.
 *
 * @param text What was typed.
 * @returns The number before the sign, more than 0.
 * @throws {UsageError} If it is none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parsePercentage("80%"), 80);
 * ```
 */
export function parsePercentage(text: string): number {
  const percentage = /^\d+(\.\d+)?%?$/.test(text) ? Number.parseFloat(text) : NaN;
  if (!(percentage > 0)) {
    throw new UsageError(
      `cannot read a percentage as it must be a number above 0 with %: received '${text}'`,
    );
  }
  return percentage;
}

/**
 * Reads the name of a lock, semaphore, event or queue: 1 to 128 of `A-Z a-z 0-9 . _ : -`, so that no name is a path.
 *
 * @param text What was typed.
 * @throws {UsageError} If it is no name.
 *
 * @example
 * ```ts
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * assertEquals(parseName("db:backup"), "db:backup");
 * assertThrows(() => parseName("../etc/passwd"));
 * ```
 */
export function parseName(text: string): string {
  if (!/^[A-Za-z0-9._:-]{1,128}$/.test(text)) {
    throw new UsageError(
      `cannot use that as a name as it must be 1 to 128 of A-Z a-z 0-9 . _ : - : received '${text}'`,
    );
  }
  return text;
}
