import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { UsageError } from "../../lib/errors.ts";
import { Cron, parseCron } from "../../lib/time/cron.ts";
import { instantOf, type LocalTime, localTime } from "../../lib/time/zone.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Clocks that change by an hour, by half an hour, by two hours, at midnight, under Ramadan, not at all. */
const ZONES = [
  ...["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Cairo"],
  ...["America/Havana", "Africa/Casablanca", "America/St_Johns", "Pacific/Chatham", "Asia/Kolkata", "UTC"],
];

/** One minute of a zone, as a walker sees it. */
interface Minute {
  ms: number;
  local: LocalTime;
  weekday: number;
}

function minuteAt(ms: number, zone: string): Minute {
  const local = localTime(ms, zone);
  return { ms, local, weekday: new Date(Date.UTC(local.year, local.month - 1, local.day)).getUTCDay() };
}

function wallMs({ year, month, day, hour, minute }: LocalTime): number {
  return Date.UTC(year, month - 1, day, hour, minute);
}

/** The hours of 2026 after which the clocks of a zone differ; where they never do, one in June. */
function changes(zone: string): number[] {
  const found: number[] = [];
  const offset = (ms: number) => wallMs(localTime(ms, zone)) - ms;
  for (let ms = Date.UTC(2026, 0, 1); ms < Date.UTC(2027, 0, 1); ms += HOUR_MS) {
    if (offset(ms) !== offset(ms + HOUR_MS)) found.push(ms);
  }
  return found.length > 0 ? found : [Date.UTC(2026, 5, 1)];
}

const windows = new Map<string, Minute[]>();

/** Every minute of the twenty hours around a change. */
function minutesAround(zone: string, changeMs: number): Minute[] {
  const key = `${zone} ${changeMs}`;
  let minutes = windows.get(key);
  if (minutes === undefined) {
    const fromMs = changeMs - 10 * HOUR_MS;
    minutes = Array.from({ length: 20 * 60 }, (_, i) => minuteAt(fromMs + i * MINUTE_MS, zone));
    windows.set(key, minutes);
  }
  return minutes;
}

/** A field of a cron line, and what it means. */
interface Field {
  text: string;
  has(value: number): boolean;
  isStar: boolean;
}

function fieldOf(minimum: number, maximum: number): fc.Arbitrary<Field> {
  const value = fc.integer({ min: minimum, max: maximum });
  return fc.oneof(
    fc.constant({ text: "*", has: () => true, isStar: true }),
    fc.integer({ min: 2, max: Math.min(30, maximum) }).map((step) => ({
      text: `*/${step}`,
      has: (n: number) => (n - minimum) % step === 0,
      isStar: true,
    })),
    value.map((only) => ({ text: `${only}`, has: (n: number) => n === only, isStar: false })),
    fc.tuple(value, value).map(([a, b]) => ({
      text: `${Math.min(a, b)}-${Math.max(a, b)}`,
      has: (n: number) => Math.min(a, b) <= n && n <= Math.max(a, b),
      isStar: false,
    })),
    fc.uniqueArray(value, { minLength: 2, maxLength: 4 }).map((list) => ({
      text: list.join(","),
      has: (n: number) => list.includes(n),
      isStar: false,
    })),
  );
}

const ANY_WEEKDAY: Field = { text: "*", has: () => true, isStar: true };

/** When the line is due, found by walking over every minute. */
function walk(minutes: Minute[], [minute, hour, weekday]: [Field, Field, Field]): number[] {
  const isFixed = !minute.isStar && !hour.isStar;
  const matches = (at: Minute) =>
    minute.has(at.local.minute) && hour.has(at.local.hour) && weekday.has(at.weekday);
  const due: number[] = [];
  let latestMs = -Infinity;
  for (const [i, at] of minutes.entries()) {
    const shownMs = wallMs(at.local);
    const before = minutes[i - 1];
    let isDue = matches(at) && !(isFixed && shownMs <= latestMs);
    // What the clocks skip: the minutes between what they showed before and what they show now.
    for (
      let ms = before && wallMs(before.local) + MINUTE_MS;
      isFixed && ms !== undefined && ms < shownMs;
      ms += MINUTE_MS
    ) {
      if (matches(minuteAt(ms, "UTC"))) isDue = true;
    }
    latestMs = Math.max(latestMs, shownMs);
    if (isDue) due.push(at.ms);
  }
  return due;
}

Deno.test("Cron.next() agrees with a walk over every minute around every change of clocks", () => {
  const weekday = fc.oneof({ weight: 3, arbitrary: fc.constant(ANY_WEEKDAY) }, fieldOf(0, 6));
  fc.assert(
    fc.property(
      fc.constantFrom(...ZONES),
      fc.nat(),
      fieldOf(0, 59),
      fieldOf(0, 23),
      weekday,
      (zone, which, minute, hour, weekday) => {
        const found = changes(zone);
        const minutes = minutesAround(zone, found[which % found.length]!);
        const cron = new Cron(`${minute.text} ${hour.text} * * ${weekday.text}`, { zone });
        const due: number[] = [];
        const lastMs = minutes.at(-1)!.ms;
        for (let ms = cron.next(minutes[0]!.ms - 1); ms !== undefined && ms <= lastMs; ms = cron.next(ms)) {
          due.push(ms);
        }
        const show = (times: number[]) => times.map((ms) => new Date(ms).toISOString());
        assertEquals(show(due), show(walk(minutes, [minute, hour, weekday])));
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("Cron.next() gives the same from wherever it is asked", () => {
  const cron = new Cron("15,45 2 * * *", { zone: "Europe/Berlin" });
  for (const day of ["2026-03-28", "2026-10-24"]) {
    const fromMs = Date.parse(`${day}T12:00:00Z`);
    let expected = cron.next(fromMs)!;
    for (let ms = fromMs; ms < fromMs + 36 * HOUR_MS; ms += 7 * MINUTE_MS + 333) {
      if (ms >= expected) expected = cron.next(expected)!;
      assertEquals(cron.next(ms), expected, new Date(ms).toISOString());
    }
  }
});

Deno.test("Cron knows six fields, names, and last days", () => {
  const next = (line: string) => {
    const ms = new Cron(line, { zone: "UTC" }).next(Date.parse("2026-11-24T05:06:07.500Z"));
    return ms === undefined ? undefined : new Date(ms).toISOString();
  };
  assertEquals(next("*/10 * * * * *"), "2026-11-24T05:06:10.000Z");
  assertEquals(next("* * * * * *"), "2026-11-24T05:06:08.000Z");
  assertEquals(next("@daily"), "2026-11-25T00:00:00.000Z");
  assertEquals(next("@hourly"), "2026-11-24T06:00:00.000Z");
  assertEquals(next("@weekly"), "2026-11-29T00:00:00.000Z");
  assertEquals(next("@monthly"), "2026-12-01T00:00:00.000Z");
  assertEquals(next("@yearly"), "2027-01-01T00:00:00.000Z");
  assertEquals(next("0 9 * JAN MON-FRI"), "2027-01-01T09:00:00.000Z");
  assertEquals(next("0 0 L * *"), "2026-11-30T00:00:00.000Z");
  assertEquals(next("0 0 13 * FRI"), "2026-11-27T00:00:00.000Z");
  assertEquals(next("0 0 29 2 *"), "2028-02-29T00:00:00.000Z");
  assertEquals(next("0 0 30 2 *"), undefined);
});

Deno.test("parseCron() refuses a line that is never due again", () => {
  const nowMs = Date.parse("2026-11-24T00:00:00Z");
  for (const line of ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 0 31 2 *"]) {
    const { message } = assertThrows(() => parseCron(line, { zone: "UTC", nowMs }), UsageError, "never due");
    assertEquals(message.includes(line), true);
  }
  assertEquals(
    parseCron("0 0 29 2 *", { zone: "UTC", nowMs }).next(nowMs),
    Date.parse("2028-02-29T00:00:00Z"),
  );
});

Deno.test("Cron refuses what is no cron line, in one line", () => {
  for (
    const line of [
      ...["", "*", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *"],
      ...[
        "a b c d e",
        "*/0 * * * *",
        "5-1 * * * *",
        "@reboot",
        "@never",
        "2026-01-01T00:00",
        "1-2-3 * * * *",
      ],
    ]
  ) {
    const { message } = assertThrows(() => new Cron(line, { zone: "UTC" }), UsageError, `received '${line}'`);
    assertEquals(message.includes("\n"), false);
  }
});

Deno.test("instantOf() finds when clocks show a time, the first of two, or the end of a gap", () => {
  for (const zone of ZONES) {
    for (const changeMs of changes(zone)) {
      const minutes = minutesAround(zone, changeMs);
      const first = new Map<number, number>();
      for (const { ms, local } of minutes) if (!first.has(wallMs(local))) first.set(wallMs(local), ms);
      let expected = minutes[0]!.ms;
      for (
        let shown = wallMs(minutes[0]!.local);
        shown <= wallMs(minutes.at(-1)!.local);
        shown += MINUTE_MS
      ) {
        // In a gap it is the next moment there is: found from behind.
        let later = shown;
        while (!first.has(later)) later += MINUTE_MS;
        expected = first.get(later)!;
        assertEquals(
          instantOf(localTime(shown, "UTC"), zone),
          expected,
          `${zone} ${new Date(shown).toISOString()}`,
        );
      }
    }
  }
});
