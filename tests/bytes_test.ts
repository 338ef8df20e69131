import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { bytesToText, concatBytes, isWellFormed, textToBytes, toPrintable } from "../lib/bytes.ts";

/** Bytes that come near valid UTF-8: whole sequences, cut ones, overlong ones, surrogates, what is beyond U+10FFFF. */
const almostUtf8 = fc.array(
  fc.oneof(
    fc.string({ unit: "binary", maxLength: 3 }).map((text) => new TextEncoder().encode(text)),
    fc.uint8Array({ maxLength: 4 }),
    fc.constantFrom(
      ...[[0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82], [0xf0, 0x9f, 0x98]],
      ...[[0xef, 0xbb, 0xbf], [0xf0, 0x9f, 0x98, 0x80], [0xe0, 0x80, 0x80], [0xf0, 0x80, 0x80, 0x80], [0x80]],
    ).map((bytes) => Uint8Array.from(bytes)),
  ),
  { maxLength: 8 },
).map(concatBytes);

Deno.test("textToBytes() gives back the bytes that bytesToText() was given, whatever they are", () => {
  fc.assert(
    fc.property(almostUtf8, (bytes) => assertEquals(textToBytes(bytesToText(bytes)), bytes)),
    { numRuns: 2_000 },
  );
});

Deno.test("bytesToText() gives well-formed text exactly for valid UTF-8, and then what TextDecoder gives", () => {
  fc.assert(
    fc.property(almostUtf8, (bytes) => {
      let expected: string | undefined;
      try {
        expected = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
      } catch {
        expected = undefined;
      }
      const text = bytesToText(bytes);
      assertEquals(isWellFormed(text), expected !== undefined);
      if (expected !== undefined) assertEquals(text, expected);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("textToBytes() of well-formed text is what TextEncoder gives", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      assertEquals(textToBytes(text.toWellFormed()), new TextEncoder().encode(text));
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("bytesToText() escapes each invalid byte by itself", () => {
  assertEquals(bytesToText(new Uint8Array([0xe2, 0x82, 0x61, 0xff])), "\udce2\udc82a\udcff");
  assertEquals(bytesToText(new Uint8Array([0xf0, 0x9f, 0x98, 0x80, 0xff])), "😀\udcff");
  assertEquals(bytesToText(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])), "\ufeffa");
});

Deno.test("toPrintable() leaves well-formed text as it is, and replaces the rest", () => {
  fc.assert(
    fc.property(almostUtf8.map(bytesToText), (text) => {
      const printable = toPrintable(text);
      assert(isWellFormed(printable));
      assertEquals(printable.length, text.length);
      if (isWellFormed(text)) assertEquals(printable, text);
    }),
  );
});

Deno.test("concatBytes() gives all bytes in order, in an array of its own", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 5 })), (chunks) => {
      const whole = concatBytes(chunks);
      assertEquals([...whole], chunks.flatMap((chunk) => [...chunk]));
      assert(chunks.every((chunk) => chunk.buffer !== whole.buffer));
    }),
  );
});
