/**
 * Time zones: what the clocks on the wall show at a moment, and when they show something.
 *
 * @module
 */

import { UsageError } from "../errors.ts";

/** What a clock on the wall shows. */
export interface LocalTime {
  year: number;
  /** 1 to 12. */
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

const DAY_MS = 86_400_000;
const formats = new Map<string, Intl.DateTimeFormat>();

/** The zone of this machine, or of the variable TZ. */
export function localZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/**
 * Reads the name of a time zone (IANA, RFC 6557).
 *
 * @param text What was typed.
 * @throws {UsageError} If there is no such zone.
 *
 * @example
 * ```ts
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * assertEquals(parseZone("Europe/Berlin"), "Europe/Berlin");
 * assertThrows(() => parseZone("Mars/Phobos"));
 * ```
 */
export function parseZone(text: string): string {
  try {
    formatOf(text);
  } catch {
    throw new UsageError(
      `cannot use that as a time zone as it must be an IANA name such as Europe/Berlin or UTC: received '${text}'`,
    );
  }
  return text;
}

/**
 * What the clocks of a zone show.
 *
 * @param ms Milliseconds since the epoch.
 */
export function localTime(ms: number, zone: string): LocalTime {
  const parts = formatOf(zone).formatToParts(ms);
  const read = (type: string) => Number(parts.find((part) => part.type === type)!.value);
  return {
    year: read("year"),
    month: read("month"),
    day: read("day"),
    hour: read("hour"),
    minute: read("minute"),
    second: read("second"),
  };
}

/**
 * When the clocks of a zone show a time. Of a time that they show twice, because they are set back, it is the first; for one that
 * they skip, because they are put forward, it is the first moment after the gap.
 *
 * @returns Milliseconds since the epoch.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const skipped = { year: 2026, month: 3, day: 29, hour: 2, minute: 30, second: 0 };
 * assertEquals(new Date(instantOf(skipped, "Europe/Berlin")).toISOString(), "2026-03-29T01:00:00.000Z");
 * ```
 */
export function instantOf(local: LocalTime, zone: string): number {
  const asUtc = utc(local);
  // Clocks change far less than once in two days: these are the offsets before and after a change that may be near.
  let before = asUtc - DAY_MS;
  let after = asUtc + DAY_MS;
  const offsets = [offsetMs(before, zone), offsetMs(after, zone)];
  const found = offsets.map((offset) => asUtc - offset).filter((ms, i) => offsetMs(ms, zone) === offsets[i]);
  if (found.length > 0) return Math.min(...found);
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (offsetMs(middle, zone) === offsets[0]) before = middle;
    else after = middle;
  }
  return after;
}

/**
 * A moment as ISO 8601 with the offset of a zone, to the millisecond.
 *
 * @param ms Milliseconds since the epoch.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(formatInZone(0, "Europe/Berlin"), "1970-01-01T01:00:00.000+01:00");
 * ```
 */
export function formatInZone(ms: number, zone: string): string {
  const offset = offsetMs(ms, zone);
  const minutes = Math.round(Math.abs(offset) / 60_000);
  const hh = String(Math.floor(minutes / 60)).padStart(2, "0");
  const mm = String(minutes % 60).padStart(2, "0");
  return `${new Date(ms + offset).toISOString().slice(0, -1)}${offset < 0 ? "-" : "+"}${hh}:${mm}`;
}

/** How far the clocks of a zone are ahead of UTC. */
function offsetMs(ms: number, zone: string): number {
  const second = Math.floor(ms / 1_000) * 1_000;
  return utc(localTime(second, zone)) - second;
}

function utc({ year, month, day, hour, minute, second }: LocalTime): number {
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(zone, format);
  }
  return format;
}
