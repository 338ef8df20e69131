import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { decode, encode } from "../../lib/thread/codec.ts";

function back(value: unknown): unknown {
  return decode(encode(value).slice() as Uint8Array<ArrayBuffer>);
}

Deno.test("codec gives back a clone of any value", () => {
  fc.assert(fc.property(
    fc.anything({
      withMap: true,
      withSet: true,
      withDate: true,
      withBigInt: true,
      withTypedArray: true,
      withSparseArray: true,
    }),
    (value) => assertEquals(back(value), structuredClone(value)),
  ));
});

Deno.test("codec keeps what texts and numbers are often robbed of", () => {
  for (
    const value of [
      "",
      "\uFEFFmarked",
      "\uD800",
      "a\u0000b",
      -0,
      NaN,
      Infinity,
      undefined,
      null,
      new Uint8Array(),
    ]
  ) {
    assertEquals(Object.is(back(value), value) || typeof value === "object", true, String(value));
    assertEquals(back(value), value);
  }
});

Deno.test("codec gives back bytes that share nothing with what went in", () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const copy = back(bytes) as Uint8Array;
  bytes[0] = 9;
  assertEquals([...copy], [1, 2, 3]);
  assertEquals(copy.byteOffset, 0);
});

Deno.test("codec refuses what cannot be cloned", () => {
  const error = assertThrows(() => encode(() => {}), DOMException);
  assertEquals(error.name, "DataCloneError");
});
