import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { bytesToText, concatBytes, textToBytes } from "../../lib/bytes.ts";
import { SystemError, UsageError } from "../../lib/errors.ts";
import { type InputOptions, type InputSource, openInputs, splitSources } from "../../lib/jobs/input.ts";
import { inDirectory } from "../cli/conc.ts";

function streamOf(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(chunks);
}

async function read(
  sources: readonly InputSource[],
  options: Partial<InputOptions> & { chunks?: readonly Uint8Array[] } = {},
): Promise<string[][]> {
  const { chunks = [], ...others } = options;
  const inputs = await openInputs(sources, { stdin: streamOf(chunks), ...others });
  return await Array.fromAsync(inputs.read());
}

const value = fc.stringMatching(/^[a-c]{0,2}$/);
const sources = fc.array(
  fc.record({
    kind: fc.constant("values" as const),
    values: fc.array(value, { maxLength: 4 }),
    linked: fc.boolean(),
  }),
  { minLength: 1, maxLength: 4 },
).map(([first, ...others]) => [{ ...first!, linked: false }, ...others]);

/** Every combination of the columns, the last one varying fastest; a linked source goes along with the one before. */
function model(sources: readonly { values: readonly string[]; linked: boolean }[]): string[][] {
  const columns: string[][][] = [];
  for (const { values, linked } of sources) {
    const alone = values.map((value) => [value]);
    if (!linked) columns.push(alone);
    else {
      const before = columns.pop()!;
      const length = Math.min(before.length, alone.length);
      columns.push(Array.from({ length }, (_, index) => [...before[index]!, ...alone[index]!]));
    }
  }
  return columns.reduce((rows, column) => rows.flatMap((row) => column.map((cell) => [...row, ...cell])), [
    [],
  ]);
}

Deno.test("openInputs() splits a stream the same way, however it is cut into chunks", async () => {
  const bytes = fc.uint8Array({ maxLength: 40 }).map((bytes) =>
    bytes.map((byte) => byte % 4 === 0 ? 10 : byte || 1)
  );
  await fc.assert(
    fc.asyncProperty(bytes, fc.array(fc.nat(40), { maxLength: 6 }), async (whole, cuts) => {
      const ends = [...cuts.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length];
      const chunks = ends.map((end, index) => whole.slice(ends[index - 1] ?? 0, end));
      const lines = bytesToText(whole).split("\n");
      if (lines.at(-1) === "") lines.pop();
      assertEquals(await read([], { chunks }), lines.map((line) => [line]));
    }),
    { numRuns: 500 },
  );
});

Deno.test("openInputs() gives lines of any bytes back as they were", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 6 })), fc.boolean(), async (records, nul) => {
      const delimiter = nul ? 0 : 10;
      const clean = records.map((bytes) => bytes.map((byte) => byte === 10 || byte === 0 ? 1 : byte));
      const chunks = [concatBytes(clean.flatMap((bytes) => [bytes, Uint8Array.of(delimiter)]))];
      const inputs = await read([], { chunks, nul });
      assertEquals(inputs.map(([input]) => textToBytes(input!)), clean);
    }),
  );
});

Deno.test("openInputs() keeps line feeds in inputs that end with NUL, and refuses NUL in lines", async () => {
  const chunks = [new TextEncoder().encode("a\nb\0\0c")];
  assertEquals(await read([], { chunks, nul: true }), [["a\nb"], [""], ["c"]]);
  await assertRejects(() => read([], { chunks }), UsageError, "line 2 of stdin as it holds a NUL byte");
});

Deno.test("openInputs() combines sources, and lets linked ones go along, as the model does", async () => {
  await fc.assert(
    fc.asyncProperty(sources, async (sources) => {
      const inputs = await openInputs(sources, { stdin: streamOf([]) });
      const expected = model(sources);
      assertEquals(await Array.fromAsync(inputs.read()), expected);
      assertEquals(inputs.total, expected.length);
    }),
    { numRuns: 500 },
  );
});

Deno.test("openInputs() groups inputs, and counts the groups", async () => {
  await fc.assert(
    fc.asyncProperty(sources, fc.integer({ min: 0, max: 4 }), async (sources, maxArgs) => {
      const inputs = await openInputs(sources, { stdin: streamOf([]), maxArgs });
      const rows = model(sources);
      const size = Math.max(1, maxArgs);
      const groups = Array.from(
        { length: Math.ceil(rows.length / size) },
        (_, index) => rows.slice(index * size, (index + 1) * size).flat(),
      );
      assertEquals(await Array.fromAsync(inputs.read()), groups);
      assertEquals(inputs.total, groups.length);
    }),
    { numRuns: 300 },
  );
});

Deno.test("openInputs() with shuffle gives each input exactly once, and not always in order", async () => {
  const values = Array.from({ length: 100 }, (_, index) => String(index));
  const mixed = (await read([{ kind: "values", values, linked: false }], { shuffle: true })).flat();
  assertEquals(mixed.toSorted(), values.toSorted());
  assertEquals(mixed.join() === values.join(), false);
});

Deno.test("openInputs() with colsep splits each input into arguments", async () => {
  const chunks = [new TextEncoder().encode("a,b\nc\n,\n")];
  assertEquals(await read([], { chunks, colsep: /,/u }), [["a", "b"], ["c"], ["", ""]]);
});

Deno.test("openInputs() reads files and stdin side by side", async () => {
  await inDirectory(async (directory) => {
    await Deno.writeTextFile(`${directory}/file`, "1\n2\n3\n");
    const file = { kind: "file" as const, path: `${directory}/file`, linked: false };
    const stdin = { kind: "file" as const, path: "-", linked: true };
    const chunks = [new TextEncoder().encode("x\ny\nz")];
    assertEquals(await read([file, stdin], { chunks }), [["1", "x"], ["2", "y"], ["3", "z"]]);
    const inputs = await openInputs([file], { stdin: streamOf([]) });
    assertEquals(inputs.total, undefined);
    assertEquals(await Array.fromAsync(inputs.read()), [["1"], ["2"], ["3"]]);
  });
});

Deno.test({
  name: "openInputs() says which file cannot be read, before anything was read",
  // The directory that was opened to look at it is closed when conc ends.
  sanitizeResources: false,
  async fn() {
    await inDirectory(async (directory) => {
      for (
        const [path, why] of [[`${directory}/none`, "No such file"], [
          directory,
          "it is a directory",
        ]] as const
      ) {
        const source = { kind: "file" as const, path, linked: false };
        await assertRejects(() => read([source]), UsageError, `cannot read inputs from '${path}': ${why}`);
      }
    });
  },
});

Deno.test("openInputs() takes stdin once only", async () => {
  const stdin = { kind: "file" as const, path: "-", linked: false };
  await assertRejects(() => read([stdin, stdin]), UsageError, "stdin can be only one of the sources");
});

Deno.test("openInputs() says that a stream broke", async () => {
  const broken = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.error(new Error("Input/output error (os error 5)")),
  });
  const inputs = await openInputs([], { stdin: broken });
  await assertRejects(
    () => Array.fromAsync(inputs.read()),
    SystemError,
    "cannot read stdin: Input/output error",
  );
});

Deno.test("openInputs() refuses an input that has no end", async () => {
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(2 ** 20).fill(97)),
  });
  const inputs = await openInputs([], { stdin: endless });
  await assertRejects(() => Array.fromAsync(inputs.read()), UsageError, "longer than 64 MiB");
});

Deno.test("openInputs() pulls no more of a stream than it is asked for", async () => {
  let pulled = 0;
  const lines = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled += 1;
      controller.enqueue(new TextEncoder().encode(`${pulled}\n`));
    },
  }, { highWaterMark: 0 });
  const inputs = (await openInputs([], { stdin: lines })).read();
  assertEquals((await inputs.next()).value, ["1"]);
  assertEquals((await inputs.next()).value, ["2"]);
  assertEquals(pulled, 2);
  await inputs.return(undefined);
});

Deno.test("splitSources() takes apart what was put together from a command and sources", () => {
  const words = fc.array(fc.stringMatching(/^[a-z:]{1,3}$/), { minLength: 1, maxLength: 3 });
  const source = fc.record({ separator: fc.constantFrom(":::", ":::+", "::::", "::::+"), words });
  fc.assert(
    fc.property(words, fc.array(source, { maxLength: 4 }), (command, [first, ...others]) => {
      const isSeparator = (word: string) => /^:{3,4}\+?$/.test(word);
      const parts = first === undefined
        ? []
        : [{ ...first, separator: first.separator.replace("+", "") }, ...others];
      fc.pre(![...command, ...parts.flatMap(({ words }) => words)].some(isSeparator));
      const line = [...command, ...parts.flatMap(({ separator, words }) => [separator, ...words])];
      const expected = parts.flatMap(({ separator, words }): InputSource[] => {
        const linked = separator.endsWith("+");
        if (separator.startsWith("::::")) return words.map((path) => ({ kind: "file", path, linked }));
        return [{ kind: "values", values: words, linked }];
      });
      assertEquals(splitSources(line), { command, sources: expected });
    }),
  );
});

Deno.test("splitSources() refuses a link to nothing, and no file", () => {
  assertThrows(() => splitSources(["echo", ":::+", "a"]), UsageError, "nothing to link :::+ to");
  assertThrows(() => splitSources(["echo", "::::+", "a"]), UsageError, "nothing to link ::::+ to");
  assertThrows(() => splitSources(["echo", "::::"]), UsageError, "no file after ::::");
  assertEquals(splitSources([":::"]), {
    command: [],
    sources: [{ kind: "values", values: [], linked: false }],
  });
});
