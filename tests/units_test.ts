import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { UsageError } from "../lib/errors.ts";
import { parseByteRate, parseCount, parseName, parsePercentage, parseRate, parseSize } from "../lib/units.ts";

Deno.test("parseCount() reads what a whole number prints, and nothing below the minimum", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.nat(100), (count, minimum) => {
      if (count >= minimum) assertEquals(parseCount(String(count), minimum), count);
      else assertThrows(() => parseCount(String(count), minimum), UsageError, `from ${minimum}`);
    }),
  );
});

Deno.test("parseCount() refuses what is no whole number", () => {
  for (const text of ["", " 1", "1 ", "-1", "+1", "1.0", "1e3", "0x10", "9007199254740993", "∞", "1\n"]) {
    assertThrows(() => parseCount(text), UsageError, "cannot read a count", JSON.stringify(text));
  }
});

Deno.test("parseSize() reads numbers with units of 1024, in either case", () => {
  fc.assert(
    fc.property(
      fc.nat(9_999),
      fc.constantFrom("", "k", "M", "g", "T", "K", "m", "G", "t"),
      (number, unit) => {
        const factor = 1_024 ** ["", "k", "m", "g", "t"].indexOf(unit.toLowerCase());
        assertEquals(parseSize(`${number}${unit}`), number * factor);
      },
    ),
  );
  assertEquals(parseSize("1.5k"), 1_536);
  assertEquals(parseSize("0.3"), 0);
});

Deno.test("parseSize() refuses what is no size", () => {
  for (const text of ["", "k", "4kb", "4 k", "-4", "4p", ".5k", "1.k", "1e3", "4k\n"]) {
    assertThrows(() => parseSize(text), UsageError, "cannot read a size", JSON.stringify(text));
  }
});

Deno.test("parseRate() reads times per period as times per second", () => {
  const cases: [string, number][] = [
    ["100", 100],
    ["100/s", 100],
    ["30/m", 0.5],
    ["7200/h", 2],
    ["5/250ms", 20],
    ["0.5/s", 0.5],
    ["86400/d", 1],
  ];
  for (const [text, rate] of cases) assertEquals(parseRate(text), rate, text);
  for (const text of ["", "0", "0/s", "/s", "1/", "1/0s", "1/w", "-1/s", "1/s/s", "x", "1 /s"]) {
    assertThrows(() => parseRate(text), UsageError, "cannot read a rate", JSON.stringify(text));
  }
});

Deno.test("parseByteRate() reads a size for each second, with or without saying so", () => {
  const cases: [string, number][] = [["64k/s", 65_536], ["64K", 65_536], ["1.5k/s", 1_536], ["1/s", 1], [
    "2G/s",
    2 ** 31,
  ]];
  for (const [text, rate] of cases) assertEquals(parseByteRate(text), rate, text);
  for (const text of ["", "0", "0k/s", "/s", "64k/", "64k/m", "-1/s", "x/s", "1 k/s"]) {
    assertThrows(() => parseByteRate(text), UsageError, "SIZE/s", JSON.stringify(text));
  }
});

Deno.test("parsePercentage() reads a number above 0, with or without the sign", () => {
  assertEquals([parsePercentage("80%"), parsePercentage("80"), parsePercentage("0.5%")], [80, 80, 0.5]);
  for (const text of ["", "%", "0", "0%", "-5%", "5%%", "5 %", "1e2%"]) {
    assertThrows(() => parsePercentage(text), UsageError, "cannot read a percentage", JSON.stringify(text));
  }
});

Deno.test("parseName() takes 1 to 128 letters, digits and . _ : - and nothing else", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Za-z0-9._:-]{1,128}$/), (name) => assertEquals(parseName(name), name)),
  );
  for (const text of ["", "a/b", "../x", "a b", "ä", "a\n", "a\0", "x".repeat(129), "$(x)"]) {
    assertThrows(() => parseName(text), UsageError, "cannot use that as a name", JSON.stringify(text));
  }
});
