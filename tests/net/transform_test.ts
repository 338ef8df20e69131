/**
 * What an echo does to bytes, against what strings do.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Transform, transform, TRANSFORMS } from "../../lib/net/transform.ts";

/** A transform of text, by way of its bytes. */
function transformText(text: string, how: Transform): string {
  return new TextDecoder().decode(transform(new TextEncoder().encode(text), how));
}

const text = fc.string({ unit: "binary" }).filter((text) => text.isWellFormed());
const bytes = fc.uint8Array({ maxLength: 64 }).map((bytes) => new Uint8Array(bytes));

Deno.test("transform() changes ASCII letters only", () => {
  assertEquals(transformText("hello 你好 ÀÉ ßß\n", "upper"), "HELLO 你好 ÀÉ ßß\n");
  assertEquals(transformText("HELLO @[`{ ÀÉ\n", "lower"), "hello @[`{ ÀÉ\n");
  const change = (pattern: RegExp, how: "toUpperCase" | "toLowerCase") => (text: string) =>
    text.replace(pattern, (letters) => letters[how]());
  fc.assert(fc.property(text, (text) => {
    assertEquals(transformText(text, "upper"), change(/[a-z]+/g, "toUpperCase")(text));
    assertEquals(transformText(text, "lower"), change(/[A-Z]+/g, "toLowerCase")(text));
  }));
});

Deno.test("transform() reverses the characters of each line, and leaves the ends of lines", () => {
  assertEquals(transformText("one\r\nzwei\n\ndrei 三", "reverse"), "eno\r\niewz\n\n三 ierd");
  fc.assert(fc.property(text, (text) => {
    const expected = text.split("\n").map((line, index, lines) => {
      const end = index < lines.length - 1 && line.endsWith("\r") ? "\r" : "";
      return [...line.slice(0, line.length - end.length)].reverse().join("") + end;
    });
    assertEquals(transformText(text, "reverse"), expected.join("\n"));
  }));
});

Deno.test("transform() keeps the length of any bytes, and reversing valid text twice gives it back", () => {
  fc.assert(fc.property(bytes, fc.constantFrom(...TRANSFORMS), (bytes, how) => {
    assertEquals(transform(bytes.slice(), how).length, bytes.length);
  }));
  // A carriage return that began a line is at its end then, and belongs to the line feed.
  fc.assert(fc.property(text.map((text) => text.replaceAll("\r", "")), (text) => {
    assertEquals(transformText(transformText(text, "reverse"), "reverse"), text);
  }));
});

Deno.test("transform() by case does not care where the bytes are cut", () => {
  fc.assert(
    fc.property(bytes, fc.nat(), fc.constantFrom("upper" as const, "lower" as const), (bytes, cut, how) => {
      const at = cut % (bytes.length + 1);
      const whole = transform(bytes.slice(), how);
      assertEquals([...transform(bytes.slice(0, at), how), ...transform(bytes.slice(at), how)], [...whole]);
    }),
  );
});
