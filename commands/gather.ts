/**
 * `conc gather`: run tasks at once and bring their results together.
 *
 * @module
 */

import { EitherSignal } from "../lib/abort.ts";
import { bytesToText, concatBytes } from "../lib/bytes.ts";
import { InterruptedError, TimeoutError, UsageError } from "../lib/errors.ts";
import { type Delivery, Printer } from "../lib/jobs/printer.ts";
import { recordWithOutput } from "../lib/jobs/record.ts";
import { describeEnd, NOT_RUN, parseTask, runTask, type Task, type TaskEnd } from "../lib/jobs/task.ts";
import { endAllDescendants, type EndOptions } from "../lib/process/terminate.ts";
import { type JsonRecord, ndjson } from "../lib/report/ndjson.ts";
import { Timeline } from "../lib/report/timeline.ts";
import { gather, type GatherMode } from "../lib/task/gather.ts";
import { formatDuration, parseDuration } from "../lib/time/duration.ts";
import { parseCount } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import { command, type CommandGroup, type CommonFlags } from "./declaration.ts";
import { FAILURE, SUCCESS, TIMEOUT } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";

type GatherFlags = {
  mode: GatherMode;
  limit?: number;
  timeout?: number;
  killAfter: number;
  stream: boolean;
  timeline: boolean;
};

const off = { kind: "boolean", default: false } as const;

const main = command<GatherFlags>({
  brief: "Run tasks at once and bring their results together",
  description: `A task is a script for sh -c, or an http(s):// URL to fetch; NAME= before it
names it. With - tasks are read from stdin, one a line. All run at once, and
each result is printed under its name, in the order of the tasks. Every mode
waits until what it cancelled has ended. Exit code: 0; 1 if a task failed (any:
all of them; race: the first to end); 124 if the time ran out.`,
  examples: [
    {
      line: "conc gather 'eat=sleep 0.3; echo eaten' 'play=sleep 0.3; echo played'",
      does: "Two tasks in the time of one",
    },
    {
      line: "conc gather --mode race 'fast=sleep 0.1' 'slow=sleep 60'",
      does: "Take the first, cancel the other",
    },
    {
      line: "printf '%s\\n' 'echo one' 'echo two' | conc gather --stream -",
      does: "Tasks from stdin, lines as they come",
    },
  ],
  words: { usage: "[NAME=]TASK…", minimum: 0, maximum: Infinity },
  flags: {
    mode: {
      kind: "enum",
      values: ["settled", "all", "any", "race"],
      default: "settled",
      brief:
        "When to end: settled, when all have; all, at the first failure; any, at the first success; race, at the first end",
    },
    limit: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      optional: true,
      placeholder: "N",
      brief: "Run at most N at a time",
    },
    timeout: {
      kind: "parsed",
      parse: parseDuration,
      optional: true,
      placeholder: "D",
      brief: "Cancel what still runs after D",
    },
    killAfter: {
      kind: "parsed",
      parse: parseDuration,
      default: "5s",
      placeholder: "D",
      brief: "From the signal that asks to the one that kills",
    },
    stream: { ...off, brief: "Print each line as it comes, behind the task's name and a tab" },
    timeline: { ...off, brief: "Draw at the end which task ran when" },
  },
  run: runGather,
});

const group: CommandGroup = {
  brief: main.brief,
  examples: main.examples,
  main,
  subcommands: {
    demo: {
      brief: "Eat and play at once: two tasks of 3s, done in 3s",
      load: async () => (await import("./gather_demo.ts")).default,
    },
  },
};
export default group;

/** A task that ended, and when. */
interface Ended {
  end: TaskEnd;
  /** On the monotonic clock; undefined if it never began. */
  startMs: number | undefined;
  durationMs: number;
}

/** Tells gather that a task failed. */
class TaskFailedError extends Error {}

async function runGather(
  context: Context,
  flags: GatherFlags & CommonFlags,
  words: string[],
): Promise<number> {
  const tasks = await readTasks(context, words);
  using interrupts = new Interrupts();
  const startedMs = context.monotonic();
  let ended: Ended[];
  try {
    ended = await runAll(context, { tasks, flags, interrupts });
  } finally {
    await endAllDescendants({ graceMs: flags.killAfter, escalate: interrupts.second });
  }
  const durationMs = context.monotonic() - startedMs;
  if (flags.timeline) {
    await context.stderr.writeLines(draw(tasks, ended, startedMs).draw({ columns: context.columns() }));
  }
  return await report(context, { ended, flags, durationMs, interruption: interrupts.first.reason });
}

/** Runs the tasks and prints each in its turn. */
async function runAll(
  context: Context,
  { tasks, flags, interrupts }: { tasks: Task[]; flags: GatherFlags & CommonFlags; interrupts: Interrupts },
): Promise<Ended[]> {
  const { stdout, stderr } = context;
  const live = flags.stream && !flags.json;
  using printer = new Printer({ stdout, stderr, mode: live ? "line" : "block", keepOrder: !live });
  const outputs = tasks.map(({ name }) => printer.open({ tag: live ? name : "" }));
  const ended: Ended[] = [];
  const defect = new AbortController();
  using either = new EitherSignal(interrupts.first, defect.signal);
  const { signal } = either;
  const finish = (index: number, result: Ended) => {
    ended[index] = result;
    outputs[index]!.end(delivery(context, { task: tasks[index]!, result, flags, live }));
  };
  const run = async (task: Task, { index, signal }: { index: number; signal: AbortSignal }) => {
    const startMs = context.monotonic();
    const end = await runTask(task, {
      signal,
      ending: (reason) => endingOf(reason, { graceMs: flags.killAfter, escalate: interrupts.second }),
      take: (stream, bytes) => outputs[index]!.take(stream, bytes),
    });
    finish(index, { end, startMs, durationMs: context.monotonic() - startMs });
    await printer.settle(outputs[index]!);
    if (end.exitCode !== 0) throw new TaskFailedError();
  };
  const { mode, limit, timeout: timeoutMs } = flags;
  const runs = tasks.map((task, index) => (signal: AbortSignal) =>
    run(task, { index, signal }).catch((error) => {
      if (!isOutcome(error)) defect.abort(error);
      throw error;
    })
  );
  const waits = { ...(limit !== undefined && { limit }), ...(timeoutMs !== undefined && { timeoutMs }) };
  let reason: unknown;
  await gather(runs, { mode, signal, ...waits }).catch((error) => reason = error);
  defect.signal.throwIfAborted();
  const { cause } = endingOf(reason, {});
  for (const index of tasks.keys()) {
    if (ended[index] !== undefined) continue;
    finish(index, { end: { cause, exitCode: NOT_RUN }, startMs: undefined, durationMs: 0 });
  }
  await printer.flush();
  return ended;
}

/** What is printed of a task that ended. */
function delivery(
  context: Context,
  { task, result, flags, live }: { task: Task; result: Ended; flags: CommonFlags; live: boolean },
): Delivery {
  const writeHead = async () => {
    if (!flags.quiet) await context.stdout.writeLines(heading(task, result));
  };
  if (live) return { delivered: writeHead };
  return {
    async print(blocks) {
      if (flags.json) {
        return await context.stdout.writeParts(recordWithOutput(record(context, task, result), blocks));
      }
      await writeHead();
      await context.stdout.writeParts(blocks.stdout.parts());
      await context.stderr.writeParts(blocks.stderr.parts());
    },
    delivered: () => Promise.resolve(),
  };
}

function heading({ name }: Task, { end, durationMs }: Ended): string {
  return `== ${name}: ${describeEnd(end)}, ${formatDuration(durationMs)}\n`;
}

function record(context: Context, { name, text }: Task, { end, startMs, durationMs }: Ended): JsonRecord {
  const { cause, exitCode, signal = null, status = null, error } = end;
  const startedAt = startMs === undefined
    ? null
    : new Date(context.now() - (context.monotonic() - startMs)).toISOString();
  const times = { startedAt, durationMs: Math.round(durationMs * 1_000) / 1_000 };
  return { type: "task", name, task: text, cause, exitCode, signal, status, ...times, error };
}

/** Whether an error of gather says how the tasks ended, which we know better. */
function isOutcome(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isOutcome);
  return [TaskFailedError, TimeoutError, InterruptedError].some((type) => error instanceof type);
}

/** What an aborted task is told, and how its command is ended. */
function endingOf(reason: unknown, options: EndOptions): { cause: string; options: EndOptions } {
  if (reason instanceof InterruptedError) {
    return { cause: "interrupted", options: { ...options, signal: reason.signal as Deno.Signal } };
  }
  return { cause: reason instanceof TimeoutError ? "timeout" : "cancelled", options };
}

function draw(tasks: Task[], ended: Ended[], startedMs: number): Timeline {
  const timeline = new Timeline(startedMs);
  for (const [index, { end, startMs, durationMs }] of ended.entries()) {
    if (startMs === undefined) continue;
    const label = describeEnd(end);
    const endMs = startMs + durationMs;
    timeline.add({ lane: tasks[index]!.name, label, startMs, endMs, failed: end.exitCode !== 0 });
  }
  return timeline;
}

async function report(
  context: Context,
  { ended, flags, durationMs, interruption }: {
    ended: Ended[];
    flags: GatherFlags & CommonFlags;
    durationMs: number;
    interruption: unknown;
  },
): Promise<number> {
  const count = (...causes: string[]) => ended.filter(({ end }) => causes.includes(end.cause)).length;
  const succeeded = ended.filter(({ end }) => end.exitCode === 0).length;
  const cancelled = count("cancelled", "timeout", "interrupted");
  const failed = ended.length - succeeded - cancelled;
  const timedOut = count("timeout") > 0;
  const isSuccess = {
    settled: succeeded === ended.length,
    all: succeeded === ended.length,
    any: succeeded > 0,
    race: firstOf(ended)?.end.exitCode === 0,
  }[flags.mode];
  const exitCode = isSuccess ? SUCCESS : timedOut ? TIMEOUT : FAILURE;
  if (flags.json) {
    const counts = { tasks: ended.length, succeeded, failed, cancelled };
    await context.stdout.write(
      ndjson({
        type: "summary",
        mode: flags.mode,
        ...counts,
        exitCode,
        durationMs: Math.round(durationMs * 1_000) / 1_000,
      }),
    );
  }
  if (interruption instanceof InterruptedError) throw interruption;
  if (exitCode === TIMEOUT) {
    await say(
      context,
      `timed out after ${
        formatDuration(flags.timeout!)
      }: ${cancelled} of ${ended.length} tasks were cancelled`,
    );
  } else if (exitCode === FAILURE) {
    const rest = cancelled > 0 ? `, and ${cancelled} were cancelled` : "";
    await say(context, `${failed} of ${ended.length} tasks failed${rest}`);
  }
  return exitCode;
}

/** Who ended first. */
function firstOf(ended: readonly Ended[]): Ended | undefined {
  const endMs = ({ startMs = Infinity, durationMs }: Ended) => startMs + durationMs;
  return ended.toSorted((a, b) => endMs(a) - endMs(b))[0];
}

async function readTasks(context: Context, words: string[]): Promise<Task[]> {
  if (words.filter((word) => word === "-").length > 1) {
    throw new UsageError("stdin can be read only once: one -");
  }
  const tasks: Task[] = [];
  for (const word of words) {
    if (word !== "-") tasks.push(parseTask(word));
    else {for (const line of (await readText(context)).split("\n")) {
        if (line.trim() !== "") tasks.push(parseTask(line));
      }}
  }
  if (words.length === 0) {
    throw new UsageError("no task: conc gather [NAME=]TASK…, or - to read them from stdin");
  }
  const names = tasks.map(({ name }) => name);
  const twice = tasks.find(({ name, text }, index) => name !== text && names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new UsageError(`cannot tell two tasks apart as both are named '${twice.name}'`);
  }
  return tasks;
}

async function readText(context: Context): Promise<string> {
  return bytesToText(concatBytes(await Array.fromAsync(context.stdin)));
}
