import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { concatBytes } from "../../lib/bytes.ts";
import { recordWithOutput } from "../../lib/jobs/record.ts";
import { Spill } from "../../lib/jobs/spill.ts";

/** A stream as pieces that cut characters in two. */
const pieces = fc.oneof(
  fc.tuple(fc.string({ unit: "binary", maxLength: 12 }), fc.integer({ min: 1, max: 5 })).map(
    ([text, size]) => {
      const bytes = new TextEncoder().encode(`\ufeff${text}`);
      return Array.from(
        { length: Math.ceil(bytes.length / size) },
        (_, i) => bytes.slice(i * size, (i + 1) * size),
      );
    },
  ),
  fc.array(fc.uint8Array({ maxLength: 7 }), { maxLength: 5 }),
);

Deno.test("recordWithOutput() is one line of JSON that holds the bytes of both streams", () => {
  fc.assert(
    fc.property(pieces, pieces, (stdout, stderr) => {
      using spill = new Spill({ memoryBytes: 16 });
      const blocks = { stdout: spill.block(), stderr: spill.block() };
      for (const piece of stdout) blocks.stdout.append(piece);
      for (const piece of stderr) blocks.stderr.append(piece);
      const bytes = concatBytes([...recordWithOutput({ type: "job", seq: 1 }, blocks)]);
      assertEquals(bytes.indexOf(10), bytes.length - 1);
      const record = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
      assertEquals([record.type, record.seq, Object.keys(record).length], ["job", 1, 4]);
      for (const [name, expected] of [["stdout", stdout], ["stderr", stderr]] as const) {
        const whole = concatBytes(expected);
        if (typeof record[name] === "string") assertEquals(new TextEncoder().encode(record[name]), whole);
        else {
          const decoded = atob(record[`${name}Base64`]);
          assertEquals(Uint8Array.from(decoded, (character) => character.charCodeAt(0)), whole);
          assertEquals(isUtf8(whole), false);
        }
      }
    }),
    { numRuns: 1_000 },
  );
});

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
