/**
 * `conc pool`: run a command for every input, several at a time.
 *
 * @module
 */

import { textToBytes } from "../lib/bytes.ts";
import { InterruptedError, UsageError } from "../lib/errors.ts";
import { Admission, THIS_MACHINE } from "../lib/jobs/admission.ts";
import { type HaltRule, parseHalt } from "../lib/jobs/halt.ts";
import { type Inputs, type InputSource, openInputs, splitSources } from "../lib/jobs/input.ts";
import { Joblog, readJoblog } from "../lib/jobs/joblog.ts";
import type { AttemptEnd } from "../lib/jobs/pool.ts";
import { Results } from "../lib/jobs/results.ts";
import { type Job, JobRun, type JobRunOptions, type JobTemplate, type RunSummary } from "../lib/jobs/run.ts";
import { Template } from "../lib/jobs/template.ts";
import type { ThreadJobs } from "../lib/jobs/thread_jobs.ts";
import type { ThreadMapping, ThreadMappingOptions } from "../lib/jobs/thread_mapping.ts";
import { succeeded } from "../lib/process/exit_status.ts";
import { bytesEntry, ndjson } from "../lib/report/ndjson.ts";
import { Progress } from "../lib/report/progress.ts";
import { Timeline } from "../lib/report/timeline.ts";
import { Trace } from "../lib/report/trace.ts";
import { parseDuration } from "../lib/time/duration.ts";
import { parseCount, parsePercentage, parseRate, parseSize } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import { command, type CommandGroup, type CommonFlags } from "./declaration.ts";
import { exitCodeOf, FAILURE, SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";
import { JOBS_FLAG } from "./jobs_flag.ts";
import { endLeftovers } from "./leftovers.ts";

type PoolFlags = {
  kind: "process" | "thread";
  eval?: string;
  module?: string;
  export?: string;
  jobs?: number;
  keepOrder: boolean;
  tag: boolean;
  lineBuffer: boolean;
  ungroup: boolean;
  null: boolean;
  maxArgs: number;
  colsep?: RegExp;
  argFile?: readonly string[];
  shuf: boolean;
  dryRun: boolean;
  timeout?: { ms: number } | { percent: number };
  killAfter: number;
  retries: number;
  retryDelay: number;
  delay?: number;
  rate?: number;
  load?: number;
  memfree?: number;
  halt?: HaltRule;
  joblog?: string;
  resume: boolean;
  resumeFailed: boolean;
  results?: string;
  onDone?: string;
  progress: boolean;
  timeline: boolean;
  trace?: string;
  shell?: boolean;
};

const off = { kind: "boolean", default: false } as const;

const main = command<PoolFlags>({
  brief: "Run a command for every input, several at a time",
  description: `Inputs are the words behind ::: (several ::: are combined, :::+ goes along), the
lines of the files behind :::: or of -a, else the lines of stdin. The command is
executed directly; a single word with white space or a shell operator in it goes
to sh -c, and what is put into it is quoted. In the command stand

  {}   the input            {.}  without its extension   {#}  the job's number
  {/}  its base name        {/.} the same of that        {%}  the slot, from 1
  {//} its directory        {2} {2.} {-1}  one of several arguments

Without any of them the input is appended. Jobs read /dev/null; CONC_SEQ and
CONC_SLOT are in their environment. What a job leaves running is ended with
conc. Exit code: 0, 1 if any job failed, 127 if there is no such command.

With --kind thread no command runs, but a JavaScript function: that of -e, or an
export of --module. It gets the input as a string, several as several arguments,
and may be async. What it returns is printed on a line: a string as it is, all
else as JSON, undefined not at all. A Worker that dies fails its job alone.`,
  examples: [
    { line: "conc pool -j4 gzip -9 -k {} ::: *.log", does: "Compress files, four at a time" },
    { line: "find . -name '*.txt' -print0 | conc pool -0 -k wc -l", does: "Any file name, in order" },
    { line: "seq 5 | conc pool 'sleep 0.{}; echo {} slept'", does: "A script for each line" },
    { line: "conc pool -k echo {1}-{2} ::: a b ::: 1 2", does: "Every combination" },
    {
      line: "seq 9 | conc pool --joblog jobs.log --resume 'test {} -ne 7'",
      does: "Keep a log; the same line again runs what is missing",
      exitCode: 1,
    },
    {
      line: "seq 13 | conc pool --kind thread -k -e 'n => n ** 2'",
      does: "A function in Workers, no process",
    },
  ],
  words: { usage: "CMD… [::: ARG…] [:::+ ARG…] [:::: FILE…]", minimum: 0, maximum: Infinity, wrapsAfter: 0 },
  flags: {
    kind: {
      kind: "enum",
      values: ["process", "thread"],
      default: "process",
      brief: "Run a command in processes, or a JavaScript function in threads (Workers)",
    },
    eval: {
      kind: "parsed",
      parse: String,
      optional: true,
      placeholder: "SOURCE",
      brief: "The function: n => n ** 2",
    },
    module: {
      kind: "parsed",
      parse: String,
      optional: true,
      placeholder: "FILE",
      brief: "The module that exports the function",
    },
    export: {
      kind: "parsed",
      parse: String,
      optional: true,
      placeholder: "NAME",
      brief: "Which export of it (default)",
    },
    jobs: JOBS_FLAG,
    keepOrder: { ...off, brief: "Print in the order of the inputs" },
    tag: { ...off, brief: "Begin each line with the input and a tab" },
    lineBuffer: { ...off, brief: "Print each line as it comes, not each job in one block" },
    ungroup: { ...off, brief: "Let jobs print straight through, mixed as it comes" },
    null: { ...off, brief: "Inputs end with NUL, not with a line feed" },
    maxArgs: {
      kind: "parsed",
      parse: (text: string) => parseCount(text),
      default: "1",
      placeholder: "N",
      brief: "Give each job N inputs; 0 runs it for each but passes none",
    },
    colsep: {
      kind: "parsed",
      parse: parseRegExp,
      optional: true,
      placeholder: "RE",
      brief: "Split inputs at RE into {1} {2} …",
    },
    argFile: {
      kind: "parsed",
      parse: String,
      optional: true,
      variadic: true,
      placeholder: "FILE",
      brief: "Read inputs from FILE, like :::: (- is stdin)",
    },
    shuf: { ...off, brief: "Run in random order" },
    dryRun: { ...off, brief: "Print the commands, run nothing" },
    timeout: {
      kind: "parsed",
      parse: parseTimeout,
      optional: true,
      placeholder: "D|P%",
      brief: "End a job after D, or after P% of the median of those that worked",
    },
    killAfter: {
      kind: "parsed",
      parse: parseDuration,
      default: "5s",
      placeholder: "D",
      brief: "From the signal that asks to the one that kills",
    },
    retries: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      default: "1",
      placeholder: "N",
      brief: "Run a job up to N times until it works",
    },
    retryDelay: {
      kind: "parsed",
      parse: parseDuration,
      default: "0",
      placeholder: "D",
      brief: "Wait before a retry",
    },
    delay: {
      kind: "parsed",
      parse: parseDuration,
      optional: true,
      placeholder: "D",
      brief: "Wait between two starts",
    },
    rate: {
      kind: "parsed",
      parse: parseRate,
      optional: true,
      placeholder: "N/s",
      brief: "Start at most N per second",
    },
    load: {
      kind: "parsed",
      parse: parseLoad,
      optional: true,
      placeholder: "P%|N",
      brief: "Start none while more processes run than P% of the processors, or than N",
    },
    memfree: {
      kind: "parsed",
      parse: parseSize,
      optional: true,
      placeholder: "SIZE",
      brief: "Start none while less memory is free; below half of it the youngest job is put back",
    },
    halt: {
      kind: "parsed",
      parse: parseHalt,
      optional: true,
      placeholder: "RULE",
      brief:
        "Stop early: now,fail=1 ends what runs, soon,fail=5% starts no more; also success= and done=; never",
    },
    joblog: {
      kind: "parsed",
      parse: String,
      optional: true,
      placeholder: "FILE",
      brief: "Log each job in GNU parallel's columns",
    },
    resume: { ...off, brief: "Pass over the jobs that the joblog has" },
    resumeFailed: { ...off, brief: "Pass over those that it has as successful" },
    results: {
      kind: "parsed",
      parse: String,
      optional: true,
      placeholder: "DIR",
      brief: "Keep each job's output in DIR/1/INPUT/{stdout,stderr,seq} as well",
    },
    onDone: {
      kind: "parsed",
      parse: String,
      optional: true,
      placeholder: "CMD",
      brief: "Run CMD after each job, one at a time; it reads the job's output, and CONC_EXIT_CODE",
    },
    progress: { ...off, brief: "Show done/total, failed, rate and ETA" },
    timeline: { ...off, brief: "Draw at the end which slot ran what when" },
    trace: {
      kind: "parsed",
      parse: String,
      optional: true,
      placeholder: "FILE",
      brief: "Write a Chrome trace, to open in Perfetto",
    },
    shell: { kind: "boolean", optional: true, brief: "Always, or never, run the command through sh -c" },
  },
  aliases: { j: "jobs", k: "keepOrder", u: "ungroup", 0: "null", n: "maxArgs", a: "argFile", e: "eval" },
  run: runPool,
});

const group: CommandGroup = {
  brief: main.brief,
  examples: main.examples,
  main,
  subcommands: {
    demo: {
      brief: "Thirteen squares on four workers, with a callback",
      load: async () => (await import("./pool_demo.ts")).default,
    },
  },
};
export default group;

async function runPool(context: Context, flags: PoolFlags & CommonFlags, words: string[]): Promise<number> {
  const { command, sources } = splitSources(words);
  sources.unshift(...(flags.argFile ?? []).map((path) => ({ kind: "file" as const, path, linked: false })));
  const passesNone = flags.maxArgs === 0;
  await using threads = await openThreads(context, flags, command);
  const shell = flags.shell === undefined ? {} : { shell: flags.shell };
  const template = threads?.template ?? new Template(command, { ...shell, append: !passesNone });
  checkFlags(flags, template);
  const inputs = await openPoolInputs(context, flags, sources);
  if (flags.dryRun) return await dryRun(context, { json: flags.json, template, inputs });
  await threads?.ready();

  const mode = flags.resumeFailed ? "failed" : "unfinished";
  const isResumed = flags.resume || flags.resumeFailed;
  const resume = isResumed ? readJoblog(flags.joblog!, mode) : undefined;
  const results = flags.results === undefined ? undefined : new Results(flags.results);
  using joblog = flags.joblog === undefined ? undefined : new Joblog(flags.joblog, { append: isResumed });
  using trace = flags.trace === undefined ? undefined : new Trace(flags.trace);
  using interrupts = new Interrupts();
  const startedMs = context.monotonic();
  const timeline = flags.timeline ? new Timeline(startedMs) : undefined;
  const common = {
    inputs,
    stdout: context.stdout,
    keepOrder: flags.keepOrder,
    say: (text: string) => say(context, text),
  };
  const run = threads !== undefined && isPlain(flags)
    ? await openMapping(threads, { ...common, tag: flags.tag, signal: interrupts.first })
    : new JobRun({
      ...common,
      template,
      start: threads && ((input, take) => threads.start(input, take)),
      stderr: context.stderr,
      output: outputMode(flags),
      tag: flags.tag,
      resume,
      joblog,
      results,
      onDone: flags.onDone === undefined ? undefined : new Template([flags.onDone], { append: false }),
      pool: {
        ...poolOptions(flags, interrupts),
        ...((timeline ?? trace) && { observe: (end) => draw(end, { template, timeline, trace }) }),
      },
    });
  const summary = await supervise(context, { run, flags, interrupts });
  if (timeline !== undefined) await context.stderr.writeLines(timeline.draw({ columns: context.columns() }));
  return await report(context, { summary, flags, durationMs: context.monotonic() - startedMs, interrupts });
}

/** The Workers, if jobs are to run in threads; what is loaded for them is loaded only then. */
async function openThreads(
  context: Context,
  flags: PoolFlags,
  command: readonly string[],
): Promise<ThreadJobs | undefined> {
  const { kind, eval: source, module, export: name } = flags;
  if (kind === "process" && (source ?? module ?? name) === undefined) return undefined;
  const { threadJobs } = await import("./pool_thread.ts");
  return threadJobs(flags, { command, size: slotsOf(flags), stacks: Boolean(context.env.get("CONC_DEBUG")) });
}

async function openMapping(threads: ThreadJobs, options: ThreadMappingOptions): Promise<ThreadMapping> {
  const { ThreadMapping } = await import("../lib/jobs/thread_mapping.ts");
  return new ThreadMapping(threads, options);
}

/** Whether nothing is asked for that needs to know of each job when it ran, and where. */
function isPlain(flags: PoolFlags & CommonFlags): boolean {
  const { json, timeline, retries, delay, rate, load, memfree, timeout, halt } = flags;
  const { joblog, results, onDone, trace } = flags;
  const details = [delay, rate, load, memfree, timeout, halt, joblog, results, onDone, trace];
  return !json && !timeline && retries === 1 && details.every((detail) => detail === undefined);
}

/** Enters an attempt into the timeline and the trace. */
function draw(
  { job, slot, attempt, startMs, durationMs, status }: AttemptEnd<Job>,
  { template, timeline, trace }: {
    template: JobTemplate;
    timeline: Timeline | undefined;
    trace: Trace | undefined;
  },
): void {
  const { seq, args } = job;
  const { cause = null, exitCode, signal = null } = status;
  const label = String(seq);
  const endMs = startMs + durationMs;
  timeline?.add({ lane: `slot ${slot}`, label, startMs, endMs, failed: !succeeded(status) });
  const { text } = template.fill({ args, seq, slot });
  trace?.add({
    name: text,
    lane: slot,
    startMs,
    durationMs,
    details: { seq, attempt, cause, exitCode, signal },
  });
}

/** Runs the jobs, and sees to it that nothing of theirs is left. */
async function supervise(
  context: Context,
  { run, flags, interrupts }: {
    run: Pick<JobRun, "run" | "progress">;
    flags: PoolFlags & CommonFlags;
    interrupts: Interrupts;
  },
): Promise<RunSummary> {
  await using _progress = flags.progress
    ? new Progress(() => run.progress, {
      stdout: context.stdout,
      stderr: context.stderr,
      columns: () => context.columns(),
    })
    : undefined;
  try {
    return await run.run();
  } finally {
    await endLeftovers(context, { killAfterMs: flags.killAfter, quiet: flags.quiet, interrupts });
  }
}

async function report(
  context: Context,
  { summary, flags, durationMs, interrupts }: {
    summary: RunSummary;
    flags: PoolFlags & CommonFlags;
    durationMs: number;
    interrupts: Interrupts;
  },
): Promise<number> {
  const { succeeded, failed, cut, skipped, halted, onDoneFailed } = summary;
  const isSuccess = (failed === 0 || (halted && flags.halt!.isSuccess)) && onDoneFailed === 0;
  const interruption: unknown = interrupts.first.reason;
  const isInterrupted = interruption instanceof InterruptedError;
  const exitCode = isInterrupted ? exitCodeOf(interruption) : isSuccess ? SUCCESS : FAILURE;
  const jobs = succeeded + failed;
  if (flags.json) {
    const counts = { jobs, succeeded, failed, cut, skipped, onDoneFailed, halted };
    await context.stdout.write(
      ndjson({ type: "summary", ...counts, exitCode, durationMs: Math.round(durationMs * 1_000) / 1_000 }),
    );
  }
  if (isInterrupted) {
    const hint = flags.joblog === undefined ? "" : ": --resume goes on from here";
    if (!flags.quiet) {
      await say(
        context,
        `stopped by ${interruption.signal}: ${jobs} jobs had ended, ${cut} were cut off${hint}`,
      );
    }
    throw interruption;
  }
  if (failed > 0) {
    await say(context, `${failed} of ${jobs} jobs failed${halted ? ", and the rest was not run" : ""}`);
  }
  return exitCode;
}

async function dryRun(
  context: Context,
  { json, template, inputs }: { json: boolean; template: JobTemplate; inputs: Inputs },
): Promise<number> {
  let seq = 0;
  let lines: string[] = [];
  for await (const args of inputs.read()) {
    const { text } = template.fill({ args, seq: ++seq, slot: 1 });
    lines.push(
      json ? ndjson({ type: "command", seq, ...bytesEntry("command", textToBytes(text)) }) : `${text}\n`,
    );
    if (lines.length < 1_000) continue;
    await context.stdout.write(lines.join(""));
    lines = [];
  }
  await context.stdout.write(lines.join(""));
  return SUCCESS;
}

/** How many jobs run at once. */
function slotsOf({ jobs = navigator.hardwareConcurrency }: PoolFlags): number {
  return jobs;
}

function poolOptions(flags: PoolFlags, interrupts: Interrupts): JobRunOptions["pool"] {
  const { delay, rate, load, memfree } = flags;
  return {
    slots: slotsOf(flags),
    admission: new Admission({
      ...(delay !== undefined && { delayMs: delay }),
      ...(rate !== undefined && { ratePerSecond: rate }),
      ...(load !== undefined && { loadPercent: load }),
      ...(memfree !== undefined && { memfreeBytes: memfree }),
    }),
    ...(flags.timeout && { timeout: flags.timeout }),
    tries: flags.retries,
    retryDelayMs: flags.retryDelay,
    ...(flags.halt && { halt: flags.halt }),
    ...(memfree !== undefined && { isMemoryShort: () => THIS_MACHINE.availableBytes() < memfree / 2 }),
    killAfterMs: flags.killAfter,
    signal: interrupts.first,
    escalate: interrupts.second,
  };
}

async function openPoolInputs(
  context: Context,
  flags: PoolFlags & CommonFlags,
  sources: InputSource[],
): Promise<Inputs> {
  if (sources.length === 0 && context.stdinIsTerminal && !flags.quiet) {
    await say(context, "reading inputs from the terminal, one a line: Ctrl-D ends them");
  }
  const inputs = await openInputs(sources, {
    get stdin() {
      return context.stdin;
    },
    nul: flags.null,
    ...(flags.colsep && { colsep: flags.colsep }),
    maxArgs: flags.maxArgs,
    shuffle: flags.shuf,
  });
  if (flags.maxArgs > 0) return inputs;
  return {
    total: inputs.total,
    async *read() {
      for await (const _args of inputs.read()) yield [];
    },
  };
}

function checkFlags(flags: PoolFlags & CommonFlags, template: JobTemplate): void {
  if ((flags.resume || flags.resumeFailed) && flags.joblog === undefined) {
    throw new UsageError("--resume needs the log to go on from: --joblog FILE");
  }
  if ((flags.resume || flags.resumeFailed) && template.usesSlot) {
    throw new UsageError(
      "cannot resume a command with {%} as it differs from run to run: use CONC_SLOT instead",
    );
  }
  const modes = [flags.ungroup && "--ungroup", flags.lineBuffer && "--line-buffer", flags.json && "--json"];
  const [one, other] = modes.filter((mode) => mode !== false);
  if (other !== undefined) throw new UsageError(`${one} and ${other} exclude each other: choose one`);
  for (const name of ["tag", "keepOrder"] as const) {
    if (flags.ungroup && flags[name]) {
      throw new UsageError(
        `--ungroup passes output through as it comes: leave out --${name === "tag" ? name : "keep-order"}`,
      );
    }
  }
}

function outputMode(flags: PoolFlags & CommonFlags): JobRunOptions["output"] {
  if (flags.json) return "json";
  if (flags.ungroup) return "through";
  return flags.lineBuffer ? "line" : "block";
}

/** Reads `80%` of the processors, or as GNU parallel does a number of processes; gives a percentage either way. */
function parseLoad(text: string): number {
  const number = parsePercentage(text);
  return text.endsWith("%") ? number : number * 100 / navigator.hardwareConcurrency;
}

function parseTimeout(text: string): { ms: number } | { percent: number } {
  if (text.endsWith("%")) return { percent: parsePercentage(text) };
  const ms = parseDuration(text);
  if (ms <= 0) throw new UsageError(`cannot use a timeout of nothing: received '${text}'`);
  return { ms };
}

function parseRegExp(text: string): RegExp {
  try {
    return new RegExp(text, "u");
  } catch {
    throw new UsageError(`cannot read a regular expression: received '${text}'`);
  }
}
