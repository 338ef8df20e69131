import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { textToBytes } from "../../lib/bytes.ts";
import { SystemError } from "../../lib/errors.ts";
import { type JobOutput, Printer } from "../../lib/jobs/printer.ts";
import { ReaderGoneError } from "../../lib/report/output.ts";
import { outputs, turn } from "../helpers.ts";

const quietly = { delivered: () => Promise.resolve() };

/** What each job prints: pieces of text, cut anywhere, lines or not. */
const jobsOfPieces = fc.array(fc.array(fc.stringMatching(/^[abc\n]{0,9}$/), { maxLength: 6 }), {
  minLength: 1,
  maxLength: 6,
});

Deno.test("Printer prints each job in one block, in the order of the ends", async () => {
  await fc.assert(
    fc.asyncProperty(jobsOfPieces, fc.infiniteStream(fc.nat()), async (jobs, random) => {
      const { stdout, stderr, out } = outputs({ pieceBytes: 3 });
      using printer = new Printer({ stdout, stderr, mode: "block", keepOrder: false });
      const opened = jobs.map(() => printer.open());
      const ends = shuffled(jobs.map((_, index) => index), random);
      await takeInterleaved(opened, jobs, random);
      for (const index of ends) opened[index]!.end(quietly);
      for (const output of opened) await printer.settle(output);
      await printer.flush();
      assertEquals(out.text, ends.map((index) => jobs[index]!.join("")).join(""));
    }),
    { numRuns: 50 },
  );
});

Deno.test("Printer with keepOrder prints in the order of the inputs, whatever the order of the ends", async () => {
  await fc.assert(
    fc.asyncProperty(
      jobsOfPieces,
      fc.constantFrom("block" as const, "line" as const),
      fc.infiniteStream(fc.nat()),
      async (jobs, mode, random) => {
        const { stdout, stderr, out } = outputs({ pieceBytes: 3 });
        using printer = new Printer({ stdout, stderr, mode, keepOrder: true });
        const opened = jobs.map(() => printer.open());
        const delivered: number[] = [];
        const ends = shuffled(jobs.map((_, index) => index), random);
        for (const index of ends) {
          for (const piece of jobs[index]!) await opened[index]!.take("stdout", textToBytes(piece));
          opened[index]!.end({ delivered: () => Promise.resolve(void delivered.push(index)) });
          if (random.next().value % 2 === 0) await turn();
        }
        await printer.flush();
        assertEquals(out.text, jobs.map((pieces) => pieces.join("")).join(""));
        assertEquals(delivered, jobs.map((_, index) => index));
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("Printer in line mode never mixes two jobs within a line, and loses none", async () => {
  await fc.assert(
    fc.asyncProperty(jobsOfPieces, fc.infiniteStream(fc.nat()), async (jobs, random) => {
      const { stdout, stderr, out } = outputs({ pieceBytes: 2 });
      using printer = new Printer({ stdout, stderr, mode: "line", keepOrder: false });
      // Each job writes letters of its own, and ends with a whole line.
      const own = jobs.map((pieces, job) =>
        [...pieces, "\n"].map((piece) => piece.replace(/[abc]/g, String(job)))
      );
      const opened = own.map(() => printer.open());
      await takeInterleaved(opened, own, random);
      for (const output of opened) output.end(quietly);
      for (const output of opened) await printer.settle(output);
      const lines = out.text.split("\n").slice(0, -1);
      assert(lines.every((line) => new Set(line).size <= 1), out.text);
      const expected = own.flatMap((pieces) => pieces.join("").split("\n").slice(0, -1));
      assertEquals(lines.toSorted(), expected.toSorted());
    }),
    { numRuns: 50 },
  );
});

Deno.test("Printer puts a tag before each line, wherever the pieces are cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.stringMatching(/^[ab\n]{1,5}$/), { minLength: 1, maxLength: 8 }),
      fc.constantFrom("block" as const, "line" as const),
      async (pieces, mode) => {
        const { stdout, stderr, out } = outputs();
        using printer = new Printer({ stdout, stderr, mode, keepOrder: false });
        const output = printer.open({ tag: "t\udcff" });
        for (const piece of pieces) await output.take("stdout", textToBytes(piece));
        output.end(quietly);
        await printer.settle(output);
        assertEquals(out.text, pieces.join("").replace(/^(?!$(?![^]))/gm, "t\udcff\t"));
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("Printer in line mode prints a line before the job ends", async () => {
  const { stdout, stderr, out } = outputs();
  using printer = new Printer({ stdout, stderr, mode: "line", keepOrder: false });
  const output = printer.open();
  await output.take("stdout", textToBytes("whole\nhalf"));
  assertEquals(out.text, "whole\n");
  output.end(quietly);
  await printer.settle(output);
  assertEquals(out.text, "whole\nhalf");
});

Deno.test("Printer in line mode loses nothing that comes while the other stream is printed", async () => {
  const { stdout, stderr, out, err } = outputs();
  using printer = new Printer({ stdout, stderr, mode: "line", keepOrder: true });
  const first = printer.open();
  const second = printer.open();
  await second.take("stdout", textToBytes("early\n"));
  await second.take("stderr", textToBytes("error\n"));
  const gate = Promise.withResolvers<void>();
  err.gate = gate.promise;
  first.end(quietly);
  while (err.writes === 0) await turn();
  await second.take("stdout", textToBytes("meanwhile\n"));
  gate.resolve();
  second.end(quietly);
  await printer.flush();
  assertEquals([out.text, err.text], ["early\nmeanwhile\n", "error\n"]);
});

Deno.test("Printer in line mode gives a short line behind a long one as a whole", async () => {
  const { stdout, stderr, out } = outputs();
  using printer = new Printer({ stdout, stderr, mode: "line", keepOrder: false });
  const [one, other] = [printer.open(), printer.open()];
  const long = "x".repeat(2 ** 20 - 1);
  await one.take("stdout", textToBytes(long));
  await one.take("stdout", textToBytes("x\nab"));
  await other.take("stdout", textToBytes("other\n"));
  await one.take("stdout", textToBytes("cd\n"));
  assertEquals(out.text, `${long}x\nother\nabcd\n`);
  for (const output of [one, other]) output.end(quietly);
});

Deno.test("Printer in line mode prints a line without end in pieces", async () => {
  const { stdout, stderr, out } = outputs();
  using printer = new Printer({ stdout, stderr, mode: "line", keepOrder: false });
  const output = printer.open();
  const piece = textToBytes("x".repeat(2 ** 16));
  for (let i = 0; i < 33; i++) await output.take("stdout", piece);
  assert(out.text.length >= 2 ** 20);
  output.end(quietly);
  await printer.settle(output);
  assertEquals(out.text.length, 33 * 2 ** 16);
});

Deno.test("JobOutput.reset() forgets what a failed attempt printed", async () => {
  for (const mode of ["block", "line"] as const) {
    const { stdout, stderr, out } = outputs();
    using printer = new Printer({ stdout, stderr, mode, keepOrder: false });
    const output = printer.open();
    await output.take("stdout", textToBytes("half a line"));
    output.reset();
    assertEquals(output.receivedBytes, 0);
    await output.take("stdout", textToBytes("again\n"));
    output.end(quietly);
    await printer.settle(output);
    assertEquals([out.text, output.receivedBytes], ["again\n", 6]);
  }
});

Deno.test("JobOutput.reset() leaves lines that are on their way out", async () => {
  const { stdout, stderr, out } = outputs();
  using printer = new Printer({ stdout, stderr, mode: "line", keepOrder: true });
  const [first, second] = [printer.open(), printer.open()];
  await second.take("stdout", textToBytes("one\n"));
  await second.take("stdout", textToBytes("two\n"));
  const gate = Promise.withResolvers<void>();
  out.gate = gate.promise;
  first.end(quietly);
  while (out.writes === 0) await turn();
  second.reset();
  await second.take("stdout", textToBytes("three\n"));
  gate.resolve();
  second.end(quietly);
  await printer.flush();
  assertEquals(out.text, "one\ntwo\nthree\n");
});

Deno.test("JobOutput.end() without a delivery drops what was printed", async () => {
  const { stdout, stderr, out } = outputs();
  using printer = new Printer({ stdout, stderr, mode: "block", keepOrder: true });
  const [first, second] = [printer.open(), printer.open()];
  await first.take("stdout", textToBytes("dropped"));
  await second.take("stdout", textToBytes("kept"));
  second.end(quietly);
  first.end(undefined);
  await printer.flush();
  assertEquals(out.text, "kept");
});

Deno.test("Printer says what went wrong to every job behind it, and to flush", async () => {
  const { stdout, stderr, out } = outputs();
  using printer = new Printer({ stdout, stderr, mode: "block", keepOrder: true });
  const [first, second] = [printer.open(), printer.open()];
  out.error = new Deno.errors.BrokenPipe("no reader");
  await first.take("stdout", textToBytes("x"));
  first.end(quietly);
  second.end(quietly);
  await assertRejects(() => printer.flush(), ReaderGoneError);
  await assertRejects(() => printer.settle(second), ReaderGoneError);
});

Deno.test("Printer does not report a job as delivered whose output could not be written", async () => {
  const { stdout, stderr, out } = outputs();
  using printer = new Printer({ stdout, stderr, mode: "block", keepOrder: false });
  const output = printer.open();
  out.error = new Error("No space left on device (os error 28)");
  await output.take("stdout", textToBytes("x"));
  let isDelivered = false;
  output.end({ delivered: () => Promise.resolve(void (isDelivered = true)) });
  await assertRejects(
    () => printer.settle(output),
    SystemError,
    "cannot write to stdout: No space left on device",
  );
  assert(!isDelivered);
});

/** Hands each job its pieces in order, the jobs mixed at random. */
async function takeInterleaved(
  outputs: readonly JobOutput[],
  jobs: readonly (readonly string[])[],
  random: fc.Stream<number>,
): Promise<void> {
  const left = jobs.map((pieces) => [...pieces]);
  for (;;) {
    const open = left.flatMap((pieces, index) => pieces.length > 0 ? [index] : []);
    if (open.length === 0) return;
    const index = open[random.next().value % open.length]!;
    await outputs[index]!.take("stdout", textToBytes(left[index]!.shift()!));
  }
}

function shuffled<T>(values: T[], random: fc.Stream<number>): T[] {
  return values.map((value) => ({ value, key: random.next().value })).sort((a, b) => a.key - b.key)
    .map(({ value }) => value);
}
