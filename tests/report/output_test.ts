import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { textToBytes } from "../../lib/bytes.ts";
import { SystemError } from "../../lib/errors.ts";
import { Output, ReaderGoneError } from "../../lib/report/output.ts";
import { MemorySink, turn } from "../helpers.ts";

Deno.test("Output writes pieces in the order of the calls, none broken by another", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 3 }), { maxLength: 8 }),
      fc.integer({ min: 1, max: 4 }),
      async (pieces, pieceBytes) => {
        const sink = new MemorySink({ pieceBytes });
        const output = new Output(sink, "stdout");
        await Promise.all(pieces.map((parts) => output.writeParts(parts)));
        assertEquals([...sink.bytes], pieces.flat().flatMap((bytes) => [...bytes]));
      },
    ),
  );
});

Deno.test("Output writes the bytes of text as they came in", async () => {
  const sink = new MemorySink();
  await new Output(sink, "stdout").write("é\udcff");
  assertEquals(sink.bytes, new Uint8Array([0xc3, 0xa9, 0xff]));
});

Deno.test("Output resolves a write only when the sink has taken it all", async () => {
  const gate = Promise.withResolvers<void>();
  const sink = new MemorySink({ pieceBytes: 2 });
  sink.gate = gate.promise;
  const output = new Output(sink, "stdout");
  let isWritten = false;
  const written = output.write("four").then(() => isWritten = true);
  while (sink.writes === 0) await turn();
  assert(!isWritten);
  gate.resolve();
  await written;
  assertEquals(sink.text, "four");
});

Deno.test("Output says that the reader is gone, for each write after it", async () => {
  const sink = new MemorySink();
  sink.error = new Deno.errors.BrokenPipe("Broken pipe (os error 32)");
  const output = new Output(sink, "stdout");
  for (let i = 0; i < 2; i++) {
    await assertRejects(() => output.write("x"), ReaderGoneError, "nobody reads stdout any more");
  }
});

Deno.test("Output says what the system said of a failed write, and goes on with the next", async () => {
  const sink = new MemorySink();
  sink.error = new Error("No space left on device (os error 28)");
  const output = new Output(sink, "stderr");
  await assertRejects(
    () => output.write("x"),
    SystemError,
    "cannot write to stderr: No space left on device",
  );
  sink.error = undefined;
  await output.write("y");
  assertEquals(sink.text, "y");
});

Deno.test("Output writes small parts of a piece together, and never more than 64 KiB of them", async () => {
  const sink = new MemorySink();
  const output = new Output(sink, "stdout");
  await output.writeParts(["{", "", '"stdout":"', "data", '"}\n'].map((text) => textToBytes(text)));
  assertEquals([sink.text, sink.writes], ['{"stdout":"data"}\n', 1]);
  const large = new Uint8Array(40_000);
  await output.writeParts([large, large, large]);
  assertEquals([sink.bytes.length, sink.writes], [18 + 120_000, 4]);
});

Deno.test("Output fails one write with what its parts threw, and no other", async () => {
  const sink = new MemorySink();
  const output = new Output(sink, "stdout");
  const failing = output.writeParts((function* () {
    yield new Uint8Array([0x61]);
    throw new RangeError("no more");
  })());
  const next = output.write("b");
  await assertRejects(() => failing, RangeError, "no more");
  await next;
  assertEquals(sink.text, "ab");
});

Deno.test("Output asks for what comes before a piece when its turn comes", async () => {
  const sink = new MemorySink();
  const output = new Output(sink, "stderr");
  let count = 0;
  output.beforePiece = () => `<${++count}>`;
  const first = output.write("a");
  assertEquals(count, 0);
  await Promise.all([first, output.write("b")]);
  output.beforePiece = undefined;
  await output.write("c");
  assertEquals(sink.text, "<1>a<2>bc");
});
