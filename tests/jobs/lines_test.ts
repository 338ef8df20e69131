import { assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { concatBytes } from "../../lib/bytes.ts";
import { SystemError, UsageError } from "../../lib/errors.ts";
import { readRecords } from "../../lib/jobs/lines.ts";

function streamOf(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(chunks);
}

async function recordsOf(chunks: readonly Uint8Array[], delimiter = 10): Promise<Uint8Array[]> {
  return (await Array.fromAsync(readRecords(streamOf(chunks), { delimiter, name: "stdin" }))).flat();
}

Deno.test("readRecords() gives the records however the stream is cut into pieces", async () => {
  const record = fc.uint8Array({ maxLength: 20 }).map((bytes) =>
    bytes.map((byte) => byte === 10 ? 11 : byte)
  );
  await fc.assert(
    fc.asyncProperty(fc.array(record), fc.array(fc.nat(9)), async (records, cuts) => {
      const all = concatBytes(records.flatMap((each) => [each, Uint8Array.of(10)]));
      const chunks: Uint8Array[] = [];
      let from = 0;
      for (const size of cuts) chunks.push(all.slice(from, from += size));
      assertEquals(await recordsOf([...chunks, all.slice(from)]), records);
    }),
  );
});

Deno.test("readRecords() counts a last record without its delimiter, and no empty one behind the last", async () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  assertEquals(await recordsOf([bytes("a\nb")]), [bytes("a"), bytes("b")]);
  assertEquals(await recordsOf([bytes("a\n\n")]), [bytes("a"), bytes("")]);
  assertEquals(await recordsOf([bytes("a\nb\0c\0")], 0), [bytes("a\nb"), bytes("c")]);
  assertEquals(await recordsOf([]), []);
});

Deno.test("readRecords() refuses what is longer than 64 MiB, and says what cannot be read", async () => {
  const piece = new Uint8Array(2 ** 20);
  await assertRejects(
    () => recordsOf([Uint8Array.of(10), ...Array(65).fill(piece)]),
    UsageError,
    "cannot use input 2 of stdin as it is longer than 64 MiB",
  );
  const broken = new ReadableStream({
    pull: () => Promise.reject(new Error("Input/output error (os error 5)")),
  });
  await assertRejects(
    () => Array.fromAsync(readRecords(broken, { delimiter: 10, name: "stdin" })),
    SystemError,
    "cannot read stdin: Input/output error",
  );
});
