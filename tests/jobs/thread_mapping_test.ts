import { assertEquals, assertRejects } from "@std/assert";
import { ThreadJobs } from "../../lib/jobs/thread_jobs.ts";
import { ThreadMapping } from "../../lib/jobs/thread_mapping.ts";
import { outputs } from "../helpers.ts";

function open(
  source: string,
  args: string[][],
  { keepOrder = true, tag = false, total }: { keepOrder?: boolean; tag?: boolean; total?: number } = {},
) {
  const { stdout, out } = outputs({ pieceBytes: 100 });
  const said: string[] = [];
  const controller = new AbortController();
  const mapping = new ThreadMapping(new ThreadJobs({ source }, { size: 2, name: source }), {
    inputs: {
      total,
      async *read() {
        yield* args;
      },
    },
    stdout,
    keepOrder,
    tag,
    signal: controller.signal,
    say: (text) => {
      said.push(text);
      return Promise.resolve();
    },
  });
  return { mapping, out, said, controller };
}

const NUMBERS = Array.from({ length: 2_000 }, (_, index) => [String(index)]);

Deno.test("ThreadMapping prints every result once, in the order of the inputs", async () => {
  const { mapping, out } = open("n => n", NUMBERS);
  const summary = await mapping.run();
  assertEquals(out.text, NUMBERS.map(([text]) => `${text}\n`).join(""));
  assertEquals(summary, { succeeded: 2_000, failed: 0, cut: 0, skipped: 0, halted: false, onDoneFailed: 0 });
  assertEquals(mapping.progress, { done: 2_000, failed: 0, running: 0, total: 2_000 });
});

Deno.test("ThreadMapping puts the input before each line of a result, and before nothing else", async () => {
  const results = { a: "'one\\ntwo\\r\u2028$&'", b: "''", c: "undefined", d: "[1]" };
  const cases = Object.entries(results).map(([name, result]) => `${name}: ${result}`).join();
  const args = [["a", "$1"], ["b"], ["c"], ["d"]];
  const { mapping, out } = open(`name => ({ ${cases} })[name]`, args, { tag: true });
  await mapping.run();
  assertEquals(out.text, "a $1\tone\na $1\ttwo\r\u2028$&\nb\t\nd\t[1]\n");
});

Deno.test("ThreadMapping counts and says what failed, and prints the rest, also behind results that print nothing", async () => {
  const { mapping, out, said } = open(
    "n => { if (n % 500 === 1) throw new Error(n); if (n % 2 === 0) return; return n; }",
    NUMBERS,
  );
  const { succeeded, failed } = await mapping.run();
  assertEquals([succeeded, failed], [1_996, 4]);
  assertEquals(said, [1, 501, 1_001, 1_501].map((n) => `job ${n + 1}: Error: ${n}`));
  const expected = NUMBERS.map(Number).filter((n) => n % 2 === 1 && n % 500 !== 1);
  assertEquals(out.text, expected.map((n) => `${n}\n`).join(""));
});

Deno.test("ThreadMapping stops by its signal, prints what has ended and counts what was cut", async () => {
  const { mapping, out, controller } = open(
    "n => n === '3' ? new Promise(() => {}) : n",
    NUMBERS.slice(0, 4),
  );
  const run = mapping.run();
  while (mapping.progress.done < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  controller.abort("enough");
  const { succeeded, cut } = await run;
  assertEquals([succeeded, cut, out.text], [3, 1, "0\n1\n2\n"]);
});

Deno.test("ThreadMapping throws what its output or its inputs throw", async () => {
  const { mapping, out } = open("n => n", NUMBERS);
  out.error = new Deno.errors.BrokenPipe();
  await assertRejects(() => mapping.run(), Error, "nobody reads");
});
