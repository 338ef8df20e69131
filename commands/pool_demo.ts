/**
 * `conc pool demo`: the tutorial's pool. Thirteen numbers are squared on four workers, and a callback takes each result.
 *
 * @module
 */

import { EitherSignal, onAbort } from "../lib/abort.ts";
import { bytesToText } from "../lib/bytes.ts";
import { capture } from "../lib/process/capture.ts";
import { shellWords } from "../lib/process/command_line.ts";
import { spawn } from "../lib/process/spawn.ts";
import { endAllDescendants } from "../lib/process/terminate.ts";
import { seededRandom } from "../lib/random.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { TaskPool } from "../lib/task/pool.ts";
import { ThreadPool } from "../lib/thread/pool.ts";
import { type DurationRange, formatDuration, parseDurationRange } from "../lib/time/duration.ts";
import { parseCount } from "../lib/units.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";

type DemoFlags = {
  kind: "process" | "thread";
  workers: number;
  tasks: number;
  delay: DurationRange;
  seed?: number;
};

/** A square, and which worker found it: the number of a Worker, or the id of a process. */
interface Square {
  worker: number;
  square: number;
}

/** A pool that squares numbers, and takes its time for each. */
interface Squares extends AsyncDisposable {
  submit(
    input: { n: number; delayMs: number },
    options: { signal: AbortSignal; onDone: (outcome: PromiseSettledResult<Square>) => void },
  ): Promise<Square>;
  shutdown(): Promise<void>;
}

export default command<DemoFlags>({
  brief: "Thirteen squares on four workers, with a callback",
  description: `Each task sleeps and squares its number, in a process of its own or in one of
the threads. A callback takes each result as it comes, and the pool is shut down
once all have ended.`,
  examples: [
    { line: "conc pool demo --delay 50ms..150ms", does: "The same, faster" },
    { line: "conc pool demo --kind thread --delay 50ms --json", does: "In Workers, for programs" },
  ],
  words: { usage: "", minimum: 0, maximum: 0 },
  flags: {
    kind: {
      kind: "enum",
      values: ["process", "thread"],
      default: "process",
      brief: "Whether workers are processes or threads",
    },
    workers: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      default: "4",
      placeholder: "N",
      brief: "How many workers there are",
    },
    tasks: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      default: "13",
      placeholder: "N",
      brief: "How many numbers are squared",
    },
    delay: {
      kind: "parsed",
      parse: parseDurationRange,
      default: "1s..3s",
      placeholder: "D[..D]",
      brief: "How long each task takes",
    },
    seed: {
      kind: "parsed",
      parse: (text: string) => parseCount(text),
      optional: true,
      placeholder: "N",
      brief: "Draw the same times again",
    },
  },
  run: runDemo,
});

async function runDemo(context: Context, flags: DemoFlags & CommonFlags): Promise<number> {
  const { kind, workers, tasks, delay, seed, json } = flags;
  const random = seededRandom(seed ?? Math.floor(Math.random() * 2 ** 32));
  const startedMs = context.monotonic();
  const elapsedMs = () => Math.round(context.monotonic() - startedMs);
  const defect = new AbortController();
  const callback = (task: number) => (outcome: PromiseSettledResult<Square>) => {
    if (outcome.status === "rejected") return;
    const { worker, square } = outcome.value;
    const who = kind === "thread" ? "worker" : "pid";
    context.stdout.write(
      json
        ? ndjson({ type: "result", task, [who]: worker, square, elapsedMs: elapsedMs() })
        : `${formatDuration(elapsedMs()).padStart(7)}  ${who} ${worker}: ${task} squared is ${square}\n`,
    ).catch((error) => defect.abort(error));
  };
  using interrupts = new Interrupts();
  using either = new EitherSignal(interrupts.first, defect.signal);
  const { signal } = either;
  try {
    await using pool: Squares = kind === "thread" ? threadSquares(workers) : new ProcessSquares(workers);
    const squares = Array.from({ length: tasks }, (_, index) => {
      const delayMs = delay.minMs + random() * (delay.maxMs - delay.minMs);
      return pool.submit({ n: index + 1, delayMs }, { signal, onDone: callback(index + 1) });
    });
    await Promise.all(squares);
    await pool.shutdown();
  } finally {
    await endAllDescendants({ escalate: interrupts.second });
  }
  const durationMs = elapsedMs();
  await context.stdout.write(
    json
      ? ndjson({ type: "summary", kind, tasks, workers, durationMs })
      : `${tasks} tasks on ${workers} workers, done in ${formatDuration(durationMs)}\n`,
  );
  return SUCCESS;
}

function threadSquares(size: number): Squares {
  const source = `({ n, delayMs }, { worker }) =>
    new Promise((resolve) => setTimeout(() => resolve({ worker, square: n ** 2 }), delayMs))`;
  return new ThreadPool<{ n: number; delayMs: number }, Square>({ source }, { size });
}

/** Squares in processes: one for each number, so many at once. */
class ProcessSquares implements Squares {
  readonly #pool: TaskPool;

  constructor(concurrency: number) {
    this.#pool = new TaskPool(concurrency);
  }

  submit(
    { n, delayMs }: { n: number; delayMs: number },
    options: { signal: AbortSignal; onDone: (outcome: PromiseSettledResult<Square>) => void },
  ): Promise<Square> {
    return this.#pool.submit(async (signal) => {
      const script = `sleep ${delayMs / 1_000}; echo $((${n} * ${n}))`;
      const child = spawn(shellWords(script), { stdout: "piped", stderr: "piped" });
      onAbort(signal, () => void child.end("interrupted"));
      let printed = "";
      await capture(child, (_stream, bytes) => void (printed += bytesToText(bytes)));
      signal.throwIfAborted();
      return { worker: child.pid, square: Number(printed) };
    }, options);
  }

  shutdown(): Promise<void> {
    return this.#pool.shutdown();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}
