/**
 * Working on the items of a queue: a command runs for each, and how it ends decides what becomes of the item.
 *
 * @module
 */

import { bytesToText, concatBytes, textToBytes, toPrintable } from "../bytes.ts";
import { SpawnError } from "../errors.ts";
import type { Consumer, Received } from "../named.ts";
import { capture, type StreamName } from "../process/capture.ts";
import { CANNOT_EXECUTE, describeStatus, succeeded } from "../process/exit_status.ts";
import { feed } from "../process/feed.ts";
import { type ChildStatus, spawn } from "../process/spawn.ts";
import { bytesEntry } from "../report/ndjson.ts";
import type { Output } from "../report/output.ts";
import { shorten } from "../report/table.ts";
import { formatDuration } from "../time/duration.ts";
import { type Attempt, type EndCause, type JobEnd, JobPool, type PoolOptions } from "./pool.ts";
import { type JobOutput, Printer } from "./printer.ts";
import { recordWithOutput } from "./record.ts";
import { causeOf } from "./run.ts";
import type { OutputBlock } from "./spill.ts";
import type { Template } from "./template.ts";

/** Where the items come from, and what is said of each in the end. Whoever opened it disposes of it. */
export type WorkSource = Omit<Consumer, typeof Symbol.dispose>;

/** What {@link WorkRun} runs, and how. */
export interface WorkRunOptions {
  template: Template;
  source: WorkSource;
  stdout: Output;
  stderr: Output;
  /** Prints a record of each job instead of its output. */
  json: boolean;
  /** Gives the command the item as its standard input. */
  stdin: boolean;
  /** How often an item is tried before it is a dead letter. */
  retries: number;
  /** Milliseconds from the first failure of an item to its second try; twice as many from each one to the next. */
  backoffMs: number;
  /** What becomes of the job of an item that was lost: it is ended, or goes on and comes to nothing. Default `kill`. */
  onLost?: "kill" | "warn";
  /** Says something to people; `isNews` is what they need not know. */
  say(text: string, options?: { isNews: boolean }): Promise<void>;
  /** Everything about the pool itself. */
  pool: Omit<PoolOptions<WorkJob>, "start" | "ended" | "dropped" | "tries" | "retryDelayMs">;
}

/** One item on its way. */
export interface WorkJob extends Received {
  seq: number;
  output: JobOutput;
  attempt: Attempt | undefined;
  isLost: boolean;
}

/** What has become of the items. */
export interface WorkSummary {
  /** Dealt with. */
  done: number;
  /** Failed, and given back to be tried again. */
  retried: number;
  /** Failed too often. */
  dead: number;
  /** Cut off, and given back. */
  returned: number;
  /** Taken away, as the lease had ended. */
  lost: number;
}

type Outcome = "done" | "retried" | "dead" | "returned" | "lost";
type Blocks = Record<StreamName, OutputBlock>;

/** No item waits longer for its next try. */
const LONGEST_BACKOFF_MS = 3_600_000;
/** How much of the last line that a job printed to stderr is kept as its error. */
const ERROR_LENGTH = 200;
const ERROR_BYTES = 4 * 2 ** 10;
/** How much of an item stands in a message. */
const NAMED_LENGTH = 40;
const NUL = 0;

/**
 * One run. Invariant: an item is dealt with exactly if its command exited with 0 and all that it printed was delivered; any other item
 * that was received is given back, is a dead letter, or was lost.
 */
export class WorkRun {
  readonly #options: WorkRunOptions;
  readonly #printer: Printer;
  readonly #pool: JobPool<WorkJob>;
  readonly #jobs = new Map<string, WorkJob>();
  readonly #summary: WorkSummary = { done: 0, retried: 0, dead: 0, returned: 0, lost: 0 };
  #seq = 0;

  constructor(options: WorkRunOptions) {
    this.#options = options;
    const { stdout, stderr, source } = options;
    this.#printer = new Printer({ stdout, stderr, mode: "block", keepOrder: false });
    this.#pool = new JobPool({
      ...options.pool,
      start: (job, where) => this.#start(job, where),
      ended: (end) => this.#ended(end),
      dropped: (job) => this.#drop(job),
    });
    source.onLost = (token, reason) => this.#lose(token, reason);
  }

  /** What has become of the items so far. */
  get summary(): WorkSummary {
    return { ...this.#summary };
  }

  /**
   * Works until there is nothing left, or it is stopped.
   *
   * @throws What stopped it: a command that cannot be run, a reader that is gone, a store that cannot be used.
   */
  async run(): Promise<WorkSummary> {
    using printer = this.#printer;
    try {
      await this.#pool.run({ next: () => this.#next() });
    } finally {
      await printer.flush();
      await this.#options.source.close();
    }
    return this.summary;
  }

  async #next(): Promise<IteratorResult<WorkJob, undefined>> {
    const { source, retries } = this.#options;
    for (let item = await source.next(); item !== undefined; item = await source.next()) {
      this.#seq += 1;
      if (item.attempts <= retries) return { done: false, value: this.#take(item) };
      // It was received as often as it may be, and nobody lived to tell how that ended.
      const error = "its worker died each time";
      source.giveBack(item.token, { dead: true, error, counts: false });
      this.#summary.dead += 1;
      await this.#options.say(`${naming(item)} is a dead letter now: ${error}`);
    }
    return { done: true, value: undefined };
  }

  #take(item: Received): WorkJob {
    const output = this.#printer.open();
    const job = { ...item, seq: this.#seq, output, attempt: undefined, isLost: false };
    this.#jobs.set(item.token, job);
    return job;
  }

  #start(job: WorkJob, { slot }: { slot: number }): Attempt {
    const { stdin } = this.#options;
    if (!stdin && job.item.includes(NUL)) {
      throw new SpawnError("cannot pass the item as an argument as it holds a NUL byte: use --stdin", {
        exitCode: CANNOT_EXECUTE,
        cause: undefined,
        fault: "arguments",
      });
    }
    const child = spawn(this.#fill(job, slot).words, {
      stdin: stdin ? "piped" : "null",
      stdout: "piped",
      stderr: "piped",
      env: {
        ...{ CONC_SEQ: String(job.seq), CONC_SLOT: String(slot), CONC_ATTEMPT: String(job.attempts) },
        ...job.env,
      },
    });
    if (stdin) void feed(child.stdin, [job.item]);
    const finished = capture(child, (stream, bytes) => job.output.take(stream, bytes));
    job.attempt = { finished, end: (cause, options) => child.end(cause, options) };
    if (job.isLost) this.#endLost(job);
    return job.attempt;
  }

  #fill({ item, seq }: WorkJob, slot: number): { words: string[]; text: string } {
    return this.#options.template.fill({ args: [bytesToText(item)], seq, slot });
  }

  async #ended(end: JobEnd<WorkJob>): Promise<void> {
    const { job, error } = end;
    const { template } = this.#options;
    // What cannot be started for one item cannot be started for any.
    if (error?.fault === "program" && template.program !== undefined) {
      this.#drop(job);
      throw error;
    }
    const outcome = this.#judge(end);
    const delayMs = outcome === "retried" ? this.#backoffMs(job) : 0;
    let problem = problemOf(end);
    job.output.end({
      ...(this.#options.json && {
        print: (blocks: Blocks) => this.#printRecord(end, { outcome, delayMs, blocks }),
      }),
      delivered: ({ stderr }) => {
        const line = lastLine(stderr);
        if (line !== "") problem += `: ${line}`;
        return Promise.resolve();
      },
    });
    try {
      await this.#printer.settle(job.output);
    } catch (failure) {
      this.#drop(job);
      throw failure;
    }
    await this.#settle(job, { outcome, delayMs, problem });
  }

  #judge({ job, status, error }: JobEnd<WorkJob>): Outcome {
    const { retries, pool } = this.#options;
    if (job.isLost) return "lost";
    if (succeeded(status)) return "done";
    const cuts: readonly (string | undefined)[] = ["halted", "interrupted"] satisfies EndCause[];
    // What was typed at the terminal may reach the job before it reaches us.
    if (cuts.includes(status.cause) || pool.signal?.aborted) return "returned";
    return job.attempts >= retries || error?.fault === "arguments" ? "dead" : "retried";
  }

  async #settle(
    job: WorkJob,
    { outcome, delayMs, problem }: { outcome: Outcome; delayMs: number; problem: string },
  ): Promise<void> {
    const { source, say, retries } = this.#options;
    const { token, attempts } = job;
    // It may have been taken away while its output was printed.
    const result = job.isLost ? "lost" : outcome;
    this.#jobs.delete(token);
    this.#summary[result] += 1;
    if (result === "done") {
      source.done(token);
    } else if (result === "returned") {
      source.giveBack(token, { counts: false });
    } else if (result === "retried") {
      source.giveBack(token, { delayMs, error: problem });
      const again = `again in ${formatDuration(delayMs)} (try ${attempts} of ${retries})`;
      await say(`${naming(job)} failed: ${problem}: ${again}`, { isNews: true });
    } else if (result === "dead") {
      source.giveBack(token, { dead: true, error: problem });
      await say(`${naming(job)} is a dead letter now: ${problem}`);
    }
  }

  /** Gives an item back that came to nothing. */
  #drop({ token, output, isLost }: WorkJob): void {
    output.end(undefined);
    if (!this.#jobs.delete(token) || isLost) return;
    this.#summary.returned += 1;
    this.#options.source.giveBack(token, { counts: false });
  }

  /** An item was taken away, and somebody else has it, or will. What was done already may be done again. */
  #lose(token: string, reason?: Error): void {
    const job = this.#jobs.get(token);
    const why = reason === undefined ? "" : `: ${reason.message}`;
    if (job === undefined) {
      this.#summary.lost += 1;
      const text = `the lease of an item had ended when its job did: it is done again${why}`;
      void this.#options.say(text).catch(() => {});
      return;
    }
    job.isLost = true;
    this.#endLost(job);
    const result = this.#options.onLost === "warn"
      ? "its job goes on, and it may be done twice"
      : "its job is ended, too";
    void this.#options.say(`the lease of ${naming(job)} has ended: ${result}${why}`).catch(() => {});
  }

  /** Ends the job of an item that was lost, before somebody else has it if that can be. */
  #endLost({ attempt }: WorkJob): void {
    const { source, pool: { killAfterMs }, onLost } = this.#options;
    if (onLost === "warn") return;
    const graceMs = Math.min(source.graceMs ?? Infinity, killAfterMs ?? Infinity);
    void attempt?.end("lost", graceMs === Infinity ? {} : { graceMs });
  }

  #backoffMs({ attempts }: WorkJob): number {
    return Math.min(this.#options.backoffMs * 2 ** (attempts - 1), LONGEST_BACKOFF_MS);
  }

  #printRecord(
    end: JobEnd<WorkJob>,
    { outcome, delayMs, blocks }: { outcome: Outcome; delayMs: number; blocks: Blocks },
  ): Promise<void> {
    const { job, slot, startedAtMs, durationMs, status, error } = end;
    const record = {
      type: "job",
      seq: job.seq,
      slot,
      ...bytesEntry("item", job.item),
      ...bytesEntry("command", textToBytes(this.#fill(job, slot).text)),
      outcome,
      attempts: job.attempts,
      cause: causeOf(status),
      exitCode: status.exitCode,
      signal: status.signal ?? null,
      ...(outcome === "retried" && { retryInMs: delayMs }),
      startedAt: new Date(startedAtMs).toISOString(),
      durationMs: Math.round(durationMs * 1_000) / 1_000,
      ...(error && { error: error.message }),
    };
    return this.#options.stdout.writeParts(recordWithOutput(record, blocks));
  }
}

/** An item in a message. */
function naming({ item }: { item: Uint8Array }): string {
  const text = toPrintable(bytesToText(item.subarray(0, 4 * NAMED_LENGTH)));
  return `item '${shorten(text, NAMED_LENGTH)}'`;
}

/** Why a job failed, in a few words. */
function problemOf(
  { status, error, durationMs }: { status: ChildStatus; error?: SpawnError | undefined; durationMs: number },
): string {
  if (error !== undefined) return error.message;
  return status.cause === "timeout"
    ? `timed out after ${formatDuration(durationMs)}`
    : describeStatus(status);
}

/** The last line of a block that is not blank, shortened: programs say there what was wrong. */
function lastLine(block: OutputBlock): string {
  let tail = new Uint8Array();
  for (const part of block.parts()) tail = concatBytes([tail, part]).slice(-ERROR_BYTES);
  const lines = toPrintable(bytesToText(tail)).split(/[\r\n]+/).map((line) => line.trim());
  return (lines.findLast((line) => line !== "") ?? "").slice(0, ERROR_LENGTH);
}
