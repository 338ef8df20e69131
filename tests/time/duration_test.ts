import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { UsageError } from "../../lib/errors.ts";
import { formatDuration, parseDuration } from "../../lib/time/duration.ts";

const UNITS: readonly [string, number][] = [["ms", 1], ["s", 1e3], ["m", 6e4], ["h", 36e5], ["d", 864e5]];

Deno.test("parseDuration() adds up numbers with units, and reads a bare number as seconds", () => {
  const part = fc.tuple(fc.nat(9_999), fc.constantFrom(...UNITS));
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
      const text = parts.map(([number, [unit]]) => `${number}${unit}`).join("");
      assertEquals(parseDuration(text), parts.reduce((sum, [number, [, ms]]) => sum + number * ms, 0), text);
    }),
  );
  fc.assert(
    fc.property(fc.nat(), (seconds) => assertEquals(parseDuration(String(seconds)), seconds * 1_000)),
  );
});

Deno.test("parseDuration() reads fractions", () => {
  const cases: [string, number][] = [["1.5s", 1_500], [".5", 500], ["0.25m", 15_000], ["2.", 2_000], [
    "1.h",
    36e5,
  ]];
  for (const [text, ms] of cases) assertEquals(parseDuration(text), ms, text);
});

Deno.test("parseDuration() refuses what is no duration", () => {
  const texts = [
    "",
    " ",
    "s",
    "1 s",
    "-1s",
    "+1",
    "1x",
    "1s ",
    "1h-5m",
    "1e3",
    "1.2.3s",
    ".",
    "Infinity",
    "1s\n",
  ];
  for (const text of [...texts, "1".repeat(400)]) {
    assertThrows(() => parseDuration(text), UsageError, "cannot", JSON.stringify(text));
  }
});

Deno.test("formatDuration() writes what parseDuration() reads, no further off than its smaller unit", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (ms) => {
      const text = formatDuration(ms);
      const units = [...text.matchAll(/[a-z]+/g)].map(([unit]) => UNITS.find(([name]) => name === unit)![1]);
      const digits = text.split(".")[1]?.match(/^\d+/)?.[0].length ?? 0;
      // What is left out is the next smaller unit, or beyond the second digit of seconds.
      const smallest = units.length > 1
        ? units[1]!
        : units[0] === 1
        ? 1
        : units[0] === 1_000
        ? 10
        : units[0]!;
      assert(digits <= 2 && units.length <= 2, text);
      assert(Math.abs(parseDuration(text) - ms) <= smallest, `${ms} as ${text}`);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("formatDuration() changes units where they are whole", () => {
  const cases: [number, string][] = [
    [0, "0ms"],
    [999, "999ms"],
    [999.6, "1s"],
    [59_994, "59.99s"],
    [59_995, "1m"],
    [60_000, "1m"],
    [61_000, "1m1s"],
    [3_599_600, "1h"],
    [86_399_999, "1d"],
    [90_000_000, "1d1h"],
  ];
  for (const [ms, text] of cases) assertEquals(formatDuration(ms), text, String(ms));
});
