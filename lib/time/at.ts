/**
 * Times of day and dates, as people type them.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { instantOf, type LocalTime, localTime, localZone } from "./zone.ts";

const DAY_MS = 86_400_000;
const FORM =
  /^(?:(?:(today|tomorrow)|(\d{4})-(\d\d)-(\d\d))(?:T| +|$))?(?:(\d?\d):(\d\d)(?::(\d\d))?(Z|[+-]\d\d:\d\d)?)?$/;

/**
 * Reads a moment: `18:30`, `2026-12-01T09:00`, `2026-12-01T09:00Z`, `tomorrow 09:00`, `today 18:30`. Seconds may follow, as in
 * `18:30:15`. A time of day that has passed today means tomorrow's.
 *
 * A time that the zone's clocks show twice is the first of the two; one that they skip is the first moment after the gap.
 *
 * @param text What was typed.
 * @param options `nowMs`: the wall-clock time, by default that of this machine; `zone`: whose clocks are meant, by default those of
 * this machine.
 * @returns Milliseconds since the epoch, more than `nowMs`.
 * @throws {UsageError} If it is no moment, or one that has passed.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const nowMs = Date.parse("2026-11-24T17:00:00Z");
 * const read = (text: string) => new Date(parseMoment(text, { nowMs, zone: "Europe/Berlin" })).toISOString();
 * assertEquals(read("18:30"), "2026-11-24T17:30:00.000Z");
 * assertEquals(read("17:30"), "2026-11-25T16:30:00.000Z");
 * assertEquals(read("2026-12-01T09:00"), "2026-12-01T08:00:00.000Z");
 * ```
 */
export function parseMoment(
  text: string,
  { nowMs = Date.now(), zone = localZone() }: { nowMs?: number; zone?: string } = {},
): number {
  const match = FORM.exec(text.trim());
  const [, word, year, month, day, hour, minute, second = "0", offset] = match ?? [];
  if (hour === undefined || minute === undefined) throw noMoment(text);
  const time = { hour: Number(hour), minute: Number(minute), second: Number(second) };
  if (time.hour > 23 || time.minute > 59 || time.second > 59) throw noMoment(text);

  const isBare = word === undefined && year === undefined;
  if (isBare && offset !== undefined) throw noMoment(text);
  const date = year === undefined
    ? dayOf(localTime(nowMs, zone), word === "tomorrow" ? 1 : 0)
    : { year: Number(year), month: Number(month), day: Number(day) };
  if (!isDate(date)) throw noMoment(text);
  const moment = momentOf({ ...date, ...time }, zone, offset);
  if (moment > nowMs) return moment;
  if (isBare) return instantOf({ ...dayOf(date, 1), ...time }, zone);
  throw new UsageError(`cannot wait for '${text}' as that has passed: give a time to come`);
}

type LocalDate = Pick<LocalTime, "year" | "month" | "day">;

function momentOf(local: LocalTime, zone: string, offset: string | undefined): number {
  if (offset === undefined) return instantOf(local, zone);
  const asUtc = instantOf(local, "UTC");
  if (offset === "Z") return asUtc;
  const [hours = 0, minutes = 0] = offset.slice(1).split(":").map(Number);
  return asUtc - (offset.startsWith("-") ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

/** The day that is so many days later in the calendar. */
function dayOf({ year, month, day }: LocalDate, later: number): LocalDate {
  const date = new Date(Date.UTC(year, month - 1, day) + later * DAY_MS);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
}

function isDate(date: LocalDate): boolean {
  const { year, month, day } = dayOf(date, 0);
  return year === date.year && month === date.month && day === date.day;
}

function noMoment(text: string): UsageError {
  return new UsageError(
    `cannot read a time as it must be like 18:30, 'tomorrow 09:00' or 2026-12-01T09:00: received '${text}'`,
  );
}
