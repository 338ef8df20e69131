import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { concatBytes } from "../../../lib/bytes.ts";
import { PacedWriter } from "../../../lib/net/tcp_echo/paced_writer.ts";

/** A writer that takes no more than some bytes at a time, and keeps them. */
function sink(
  most: number,
): { written: Uint8Array<ArrayBuffer>[]; write(bytes: Uint8Array): Promise<number> } {
  const written: Uint8Array<ArrayBuffer>[] = [];
  return {
    written,
    write(bytes) {
      const taken = Uint8Array.from(bytes.subarray(0, most));
      written.push(taken);
      return Promise.resolve(taken.length);
    },
  };
}

Deno.test("PacedWriter writes what it was given in its order, however little is taken at a time", async () => {
  const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(pieces, fc.integer({ min: 1, max: 60 }), fc.boolean(), async (pieces, most, isSlow) => {
      const writer = sink(most);
      const paced = new PacedWriter(writer, { delayMs: 1, bytesPerSecond: isSlow ? 20_000 : Infinity });
      for (const piece of pieces) {
        const bytes = Uint8Array.from(piece);
        assertEquals(await paced.write(bytes), piece.length);
        // It has a copy.
        bytes.fill(0);
      }
      await paced.flush();
      assert(paced.isEmpty);
      assertEquals(concatBytes(writer.written), concatBytes(pieces));
    }),
    { numRuns: 20 },
  );
});

Deno.test("PacedWriter takes no more when 1 MiB waits", async () => {
  const paced = new PacedWriter(sink(Infinity), { delayMs: 3_600_000, bytesPerSecond: Infinity });
  await paced.write(new Uint8Array(2 ** 19));
  const full = paced.write(new Uint8Array(2 ** 19));
  const refused = assertRejects(() => full, Error, "given up");
  paced.abandon();
  await refused;
});

Deno.test("PacedWriter tells of a write that failed, at the next write and at the flush", async () => {
  const broken = { write: () => Promise.reject(new Error("broken")) };
  const paced = new PacedWriter(broken, { delayMs: 0, bytesPerSecond: Infinity });
  await paced.write(Uint8Array.of(1)).catch(() => {});
  await assertRejects(() => paced.flush(), Error, "broken");
  await assertRejects(() => paced.write(Uint8Array.of(2)), Error, "broken");
});
