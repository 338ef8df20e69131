/**
 * Running a command for every input: what pulls inputs, runs them in a pool of processes, and delivers what they print.
 *
 * @module
 */

import { textToBytes } from "../bytes.ts";
import { SpawnError } from "../errors.ts";
import { capture, type StreamName, type Take } from "../process/capture.ts";
import { describeStatus, signalNumber, succeeded } from "../process/exit_status.ts";
import { feed } from "../process/feed.ts";
import { isReaderGone } from "../process/libc.ts";
import { type Child, type ChildStatus, spawn } from "../process/spawn.ts";
import { bytesEntry } from "../report/ndjson.ts";
import { type Output, ReaderGoneError } from "../report/output.ts";
import type { Inputs } from "./input.ts";
import type { Joblog, Resume } from "./joblog.ts";
import {
  type Attempt,
  type EndCause,
  type JobEnd,
  JobPool,
  type PoolOptions,
  type PoolSummary,
} from "./pool.ts";
import { type JobOutput, Printer } from "./printer.ts";
import { recordWithOutput } from "./record.ts";
import type { ResultFiles, Results } from "./results.ts";
import { type OutputBlock, Spill } from "./spill.ts";
import type { FilledCommand, Template } from "./template.ts";

/** What an input makes: the words that are run, and the text that it is known by. */
export type JobTemplate = Pick<Template, "fill" | "program" | "usesSlot">;

/** How output is printed: in blocks, line by line, straight through, or as NDJSON. */
export type OutputMode = "block" | "line" | "through" | "json";

/** What {@link JobRun} runs, and how. */
export interface JobRunOptions {
  template: JobTemplate;
  inputs: Inputs;
  stdout: Output;
  stderr: Output;
  output: OutputMode;
  /** Prints in the order of the inputs. Default false. */
  keepOrder?: boolean;
  /** Puts the input before each line. Default false. */
  tag?: boolean;
  /** What an earlier run has done. */
  resume?: Resume | undefined;
  joblog?: Joblog | undefined;
  results?: Results | undefined;
  /** Starts an attempt of a job, which hands over what it prints. Default: a process that runs the command. */
  start?: ((input: JobInput, take: Take) => Attempt) | undefined;
  /** Runs after each job, one at a time; reads what the job printed. */
  onDone?: Template | undefined;
  /** Says something to people. */
  say(text: string): Promise<void>;
  /** Everything about the pool itself. */
  pool: Omit<PoolOptions<Job>, "start" | "ended" | "dropped">;
}

/** One input. */
export interface JobInput {
  /** Its number, from 1. */
  seq: number;
  args: string[];
}

/** One input on its way. */
export interface Job extends JobInput {
  output: JobOutput;
  files: ResultFiles | undefined;
}

/** What a run has done. */
export interface RunSummary extends PoolSummary {
  /** Passed over, because an earlier run did them. */
  skipped: number;
  /** How often the command that runs after each job failed. */
  onDoneFailed: number;
}

/** Why a job ended before it was done: it is not reported, and a resumed run does it again. */
const CUT: readonly (string | undefined)[] = ["halted", "interrupted", "memory"] satisfies EndCause[];

type Blocks = Record<StreamName, OutputBlock>;

/** One run. Invariant: a job is in the joblog exactly if it ended and all that it printed was delivered. */
export class JobRun {
  readonly #options: JobRunOptions;
  readonly #printer: Printer;
  readonly #pool: JobPool<Job>;
  readonly #tally = { done: 0, failed: 0, skipped: 0, onDoneFailed: 0 };
  #callbacks: Promise<void> = Promise.resolve();

  constructor(options: JobRunOptions) {
    this.#options = options;
    const { stdout, stderr, output, keepOrder = false } = options;
    this.#printer = new Printer({ stdout, stderr, mode: output === "line" ? "line" : "block", keepOrder });
    this.#pool = new JobPool({
      ...options.pool,
      start: (job, where) => this.#start(job, where),
      ended: (end) => this.#ended(end),
      dropped: ({ output, files }) => {
        files?.[Symbol.dispose]();
        output.end(undefined);
      },
    });
    this.#pool.total = options.inputs.total;
  }

  /** How far it is. */
  get progress(): { done: number; failed: number; running: number; total: number | undefined } {
    const { done, failed, skipped } = this.#tally;
    const total = this.#pool.total;
    return {
      done,
      failed,
      running: this.#pool.running,
      total: total === undefined ? undefined : total - skipped,
    };
  }

  /**
   * Runs all jobs.
   *
   * @throws What stopped it: a command that cannot be run, a reader that is gone, a disk that is full, an input that is none.
   */
  async run(): Promise<RunSummary> {
    using printer = this.#printer;
    let summary: PoolSummary;
    try {
      summary = await this.#pool.run(this.#jobs());
    } finally {
      await printer.flush();
    }
    const { skipped, onDoneFailed } = this.#tally;
    return { ...summary, skipped, onDoneFailed };
  }

  async *#jobs(): AsyncGenerator<Job> {
    const { inputs, template, resume, tag = false } = this.#options;
    let seq = 0;
    for await (const args of inputs.read()) {
      seq += 1;
      if (resume?.isDone(template.fill({ args, seq, slot: 0 }).text)) {
        this.#tally.skipped += 1;
        continue;
      }
      yield { seq, args, output: this.#printer.open({ tag: tag ? args.join(" ") : "" }), files: undefined };
    }
    this.#pool.total = seq;
  }

  #start(job: Job, { slot, attempt }: { slot: number; attempt: number }): Attempt {
    const { template, output: mode, results } = this.#options;
    const { seq, args, output } = job;
    if (attempt > 1) {
      output.reset();
      job.files?.reset();
    }
    // Opened first: a job whose output cannot be kept is not started.
    const files = job.files ??= results?.open(seq, args);
    const take = (stream: StreamName, bytes: Uint8Array) => {
      files?.write(stream, bytes);
      return mode === "through" ? this.#options[stream].write(bytes) : output.take(stream, bytes);
    };
    if (this.#options.start !== undefined) return this.#options.start({ seq, args }, take);
    const through = mode === "through" && results === undefined;
    const child = spawn(template.fill({ args, seq, slot }).words, {
      stdout: through ? "inherit" : "piped",
      stderr: through ? "inherit" : "piped",
      env: { CONC_SEQ: String(seq), CONC_SLOT: String(slot) },
    });
    const end: Attempt["end"] = (cause, options) => child.end(cause, options);
    if (through) return { finished: uncaptured(child), end };
    return { finished: capture(child, take), end };
  }

  async #ended(end: JobEnd<Job>): Promise<void> {
    const { job, slot, status, error } = end;
    job.files?.[Symbol.dispose]();
    const command = this.#options.template.fill({ args: job.args, seq: job.seq, slot });
    // What cannot be started for one input cannot be started for any: it is said once, and not a million times.
    if (error?.fault === "program" && this.#options.template.program !== undefined) {
      job.output.end(undefined);
      throw error;
    }
    const isCut = !succeeded(status) && CUT.includes(status.cause);
    if (!isCut) this.#tally.done += 1;
    if (!succeeded(status) && !isCut) this.#tally.failed += 1;
    const isJson = this.#options.output === "json";
    job.output.end(
      isCut ? undefined : {
        ...(isJson && { print: (blocks: Blocks) => this.#printRecord(end, command, blocks) }),
        delivered: (blocks) => this.#delivered(end, command, blocks),
      },
    );
    // The output was ended before: a message that nobody can take must not keep the jobs behind this one waiting.
    if (error !== undefined) await this.#options.say(`job ${job.seq}: ${error.message}`);
    await this.#printer.settle(job.output);
  }

  #printRecord(end: JobEnd<Job>, { text }: FilledCommand, blocks: Blocks): Promise<void> {
    const { job, slot, attempts, startedAtMs, durationMs, status, error } = end;
    const args = job.args.every((arg) => arg.isWellFormed())
      ? { args: job.args }
      : { argsBase64: job.args.map((arg) => bytesEntry("arg", textToBytes(arg)).argBase64 ?? btoa(arg)) };
    const record = {
      type: "job",
      seq: job.seq,
      slot,
      ...bytesEntry("command", textToBytes(text)),
      ...args,
      cause: causeOf(status),
      exitCode: status.exitCode,
      signal: status.signal ?? null,
      attempts,
      startedAt: new Date(startedAtMs).toISOString(),
      durationMs: Math.round(durationMs * 1_000) / 1_000,
      ...(error && { error: error.message }),
    };
    return this.#options.stdout.writeParts(recordWithOutput(record, blocks));
  }

  async #delivered(end: JobEnd<Job>, { text }: FilledCommand, blocks: Blocks): Promise<void> {
    const { job, startedAtMs, durationMs, status } = end;
    const { joblog, onDone } = this.#options;
    joblog?.add({
      seq: job.seq,
      startedAtMs,
      durationMs,
      receivedBytes: job.output.receivedBytes,
      exitValue: status.cause === "timeout" ? -1 : status.signal === undefined ? status.exitCode : 0,
      signal: status.signal !== undefined ? signalNumber(status.signal) : 0,
      command: text,
    });
    if (onDone === undefined) return;
    const called = this.#callbacks.then(() => this.#callBack(onDone, end, text, blocks.stdout));
    this.#callbacks = called.catch(() => {});
    await called;
  }

  /** Runs the command that wants to know how a job ended; the job's stdout is its stdin. */
  async #callBack(onDone: Template, end: JobEnd<Job>, text: string, result: OutputBlock): Promise<void> {
    const { job, slot, status, durationMs } = end;
    const { signal, killAfterMs: graceMs = 5_000 } = this.#options.pool;
    if (signal?.aborted) return;
    using spill = new Spill();
    const blocks: Blocks = { stdout: spill.block(), stderr: spill.block() };
    let child: Child;
    try {
      child = spawn(onDone.fill({ args: job.args, seq: job.seq, slot }).words, {
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
        env: {
          CONC_SEQ: String(job.seq),
          CONC_SLOT: String(slot),
          CONC_INPUT: job.args.join(" ").toWellFormed(),
          CONC_COMMAND: text.toWellFormed(),
          CONC_EXIT_CODE: String(status.exitCode),
          CONC_SIGNAL: status.signal ?? "",
          CONC_DURATION_MS: String(Math.round(durationMs)),
        },
      });
    } catch (error) {
      if (!(error instanceof SpawnError) || error.fault === "program") throw error;
      return await this.#callbackFailed(job, error.message);
    }
    const stop = () => void child.end("interrupted", { graceMs });
    signal?.addEventListener("abort", stop, { once: true });
    try {
      const fed = feed(child.stdin, result.parts());
      const ended = await capture(child, (stream, bytes) => blocks[stream].append(bytes.slice()));
      await fed;
      if (this.#options.output === "json") await this.#printDoneRecord(job.seq, ended, blocks);
      else {
        await this.#options.stdout.writeParts(blocks.stdout.parts());
        await this.#options.stderr.writeParts(blocks.stderr.parts());
      }
      if (!succeeded(ended)) await this.#callbackFailed(job, describeStatus(ended));
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  #callbackFailed({ seq }: Job, why: string): Promise<void> {
    this.#tally.onDoneFailed += 1;
    return this.#options.say(`the --on-done command of job ${seq} failed: ${why}`);
  }

  #printDoneRecord(seq: number, status: ChildStatus, blocks: Blocks): Promise<void> {
    const record = { type: "onDone", seq, exitCode: status.exitCode, signal: status.signal ?? null };
    return this.#options.stdout.writeParts(recordWithOutput(record, blocks));
  }
}

/** How a child ended that prints straight to our stdout. When nobody reads that any more, only such a child gets to know. */
async function uncaptured(child: Child): Promise<ChildStatus> {
  const status = await child.status;
  if (!succeeded(status) && isReaderGone(1)) throw new ReaderGoneError("nobody reads stdout any more");
  return status;
}

/** Why a job ended, in one word. */
export function causeOf({ cause, signal, exitCode }: ChildStatus): string {
  if (cause !== undefined && exitCode !== 0) return cause;
  return signal === undefined ? "exit" : "signal";
}
