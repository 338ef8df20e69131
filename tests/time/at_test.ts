import { assert, assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../lib/errors.ts";
import { parseMoment } from "../../lib/time/at.ts";
import { formatInZone } from "../../lib/time/zone.ts";

const ZONE = "Europe/Berlin";

function at(text: string, { now = "2026-11-24T12:00:00+01:00", zone = ZONE } = {}): string {
  return formatInZone(parseMoment(text, { nowMs: Date.parse(now), zone }), zone);
}

Deno.test("parseMoment() reads times of day, days, dates and offsets", () => {
  assertEquals(at("18:30"), "2026-11-24T18:30:00.000+01:00");
  assertEquals(at("9:05:30"), "2026-11-25T09:05:30.000+01:00");
  assertEquals(at("today 18:30"), "2026-11-24T18:30:00.000+01:00");
  assertEquals(at("tomorrow 09:00"), "2026-11-25T09:00:00.000+01:00");
  assertEquals(at("2026-12-01T09:00"), "2026-12-01T09:00:00.000+01:00");
  assertEquals(at("2026-12-01 09:00:01"), "2026-12-01T09:00:01.000+01:00");
  assertEquals(at("2026-12-01T09:00Z"), "2026-12-01T10:00:00.000+01:00");
  assertEquals(at("2026-12-01T09:00-05:30"), "2026-12-01T15:30:00.000+01:00");
});

Deno.test("parseMoment() takes a time of day that has passed for tomorrow's, in the zone that is meant", () => {
  assertEquals(at("12:00"), "2026-11-25T12:00:00.000+01:00");
  assertEquals(at("12:01"), "2026-11-24T12:01:00.000+01:00");
  assertEquals(at("20:01", { zone: "Asia/Tokyo" }), "2026-11-24T20:01:00.000+09:00");
  assertEquals(at("tomorrow 09:00", { now: "2026-11-24T23:30:00Z" }), "2026-11-26T09:00:00.000+01:00");
  assertEquals(at("00:00", { now: "2026-12-31T12:00:00+01:00" }), "2027-01-01T00:00:00.000+01:00");
});

Deno.test("parseMoment() gives the first moment after hours that are skipped, and the first of two that are alike", () => {
  assertEquals(at("02:30", { now: "2026-03-28T12:00:00Z" }), "2026-03-29T03:00:00.000+02:00");
  assertEquals(at("02:30", { now: "2026-10-24T12:00:00Z" }), "2026-10-25T02:30:00.000+02:00");
  assertEquals(
    at("2011-12-30T12:00", { now: "2011-12-01T00:00:00Z", zone: "Pacific/Apia" }),
    "2011-12-31T00:00:00.000+14:00",
  );
});

Deno.test("parseMoment() means the time and the zone of this machine unless told otherwise", () => {
  const before = Date.now();
  const moment = parseMoment("tomorrow 12:00");
  assert(moment > before && moment <= before + 49 * 3_600_000);
  assertEquals(new Date(moment).getHours(), 12);
});

Deno.test("parseMoment() refuses what has passed and what is no time", () => {
  for (const text of ["2026-11-24T12:00", "2020-01-01T00:00", "today 11:59"]) {
    assertThrows(() => at(text), UsageError, "has passed");
  }
  for (
    const text of [
      ...["", "soon", "25:00", "12:60", "12:00:60", "2026-02-30T10:00", "2026-13-01T10:00", "tomorrow", "12"],
      ...["2026-12-01", "18:30Z", "yesterday 10:00", "T10:00", "1e3:00"],
    ]
  ) {
    assertThrows(() => at(text), UsageError, `received '${text}'`);
  }
});
