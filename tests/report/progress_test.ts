import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { Output, OutputQueue } from "../../lib/report/output.ts";
import { formatProgress, Progress } from "../../lib/report/progress.ts";
import { eventually } from "../cli/conc.ts";
import { MemorySink, outputs } from "../helpers.ts";

const state = { done: 1, failed: 0, running: 2, total: 4 };

Deno.test("formatProgress() says how long it took when all is done, and nothing of an end that is not known", () => {
  assertEquals(
    formatProgress({ ...state, done: 4, running: 0 }, 2_000),
    "4/4 done (100%), 0 running, 2.0/s, took 2s",
  );
  assertEquals(formatProgress({ ...state, total: undefined }, 500), "1 done, 2 running, 2.0/s");
  assertEquals(formatProgress({ ...state, done: 0 }, 0), "0/4 done (0%), 2 running, 0.0/s");
  assertEquals(
    formatProgress({ done: 0, failed: 0, running: 0, total: 0 }, 1),
    "0/0 done (0%), 0 running, 0.0/s, took 1ms",
  );
});

Deno.test("formatProgress() is one short line for any state", () => {
  const counts = fc.record({
    done: fc.nat(),
    failed: fc.nat(),
    running: fc.nat(),
    total: fc.option(fc.nat(), { nil: undefined }),
  });
  fc.assert(
    fc.property(counts, fc.integer({ min: 0, max: 1e9 }), (each, elapsedMs) => {
      const line = formatProgress(each, elapsedMs);
      assert(!/\n|NaN|Infinity|undefined/.test(line), line);
      assert(line.length < 200, line);
    }),
  );
});

Deno.test("Progress draws one line that fits the terminal, wipes it before each piece, and leaves the last one", async () => {
  // One terminal shows both streams.
  const screen = new MemorySink({ terminal: true });
  const queue = new OutputQueue();
  const [stdout, stderr] = [
    new Output(screen, "stdout", { queue }),
    new Output(screen, "stderr", { queue }),
  ];
  {
    await using _progress = new Progress(() => state, { stdout, stderr, columns: () => 12 });
    await eventually("a line is drawn", () => screen.text !== "");
    await stdout.write("data\n");
  }
  await stdout.write("after");
  const drawing = "1/4 done (2";
  const [first, ...others] = screen.text.split("\x1b[2K\r");
  assertEquals(first, drawing);
  assertEquals(others.at(-1), others.length === 1 ? `data\n${drawing}\nafter` : `${drawing}\nafter`);
  for (const other of others.slice(0, -1)) {
    assert([drawing, "data\n", `data\n${drawing}`].includes(other), screen.text);
  }
});

Deno.test("Progress writes whole lines where nothing can be drawn again", async () => {
  const { stdout, stderr, out, err } = outputs();
  {
    await using _progress = new Progress(() => state, { stdout, stderr, columns: () => 12 });
    await stdout.write("data\n");
  }
  assertEquals(out.text, "data\n");
  assertMatch(err.text, /^conc: 1\/4 done \(25%\), 2 running, [^\n]*\n$/);
});

Deno.test("Progress does not stop the work when nobody can see it", async () => {
  for (const terminal of [true, false]) {
    const { stdout, stderr, err } = outputs({ terminal });
    err.error = new Deno.errors.BrokenPipe("no reader");
    await using _progress = new Progress(() => state, { stdout, stderr, columns: () => 80 });
  }
});

Deno.test("Progress wipes no output away that ended within a line", async () => {
  const screen = new MemorySink({ terminal: true });
  const queue = new OutputQueue();
  const [stdout, stderr] = [
    new Output(screen, "stdout", { queue }),
    new Output(screen, "stderr", { queue }),
  ];
  {
    await using _progress = new Progress(() => state, { stdout, stderr, columns: () => 12 });
    await stdout.write("data");
    await eventually("a line is drawn", () => screen.text.includes("done"));
  }
  assertEquals(screen.text.split("\x1b[2K\r")[0], "data\n1/4 done (2");
});
