/**
 * The short way from inputs to printed results, for runs that need not know of each job when it ran, and where: many inputs share a
 * message to a Worker, and many results a write. A million of them pass in seconds.
 *
 * @module
 */

import { EitherSignal } from "../abort.ts";
import type { Output } from "../report/output.ts";
import { Feed } from "../task/feed.ts";
import type { Inputs } from "./input.ts";
import type { JobInput, JobRun, RunSummary } from "./run.ts";
import type { ThreadJobs } from "./thread_jobs.ts";

/** Options of {@link ThreadMapping}. */
export interface ThreadMappingOptions {
  inputs: Inputs;
  stdout: Output;
  /** Prints in the order of the inputs. */
  keepOrder: boolean;
  /** Puts the input before each line. Default false. */
  tag?: boolean;
  /** Stops it. */
  signal: AbortSignal;
  /** Says something to people. */
  say(text: string): Promise<void>;
}

/** How many inputs are on their way for each Worker. */
const AHEAD = 256;
/** So much text waits for what is being written. */
const PENDING_CHARACTERS = 2 ** 16;

/** One run. Invariant: what a job returned is written once, in one piece. */
export class ThreadMapping implements Pick<JobRun, "run" | "progress"> {
  readonly #threads: ThreadJobs;
  readonly #options: ThreadMappingOptions;
  readonly #lines: Lines;
  readonly #tally = { done: 0, failed: 0 };
  #total: number | undefined;

  constructor(threads: ThreadJobs, options: ThreadMappingOptions) {
    this.#threads = threads;
    this.#options = options;
    this.#lines = new Lines(options.stdout);
    this.#total = options.inputs.total;
  }

  /** How far it is. */
  get progress(): JobRun["progress"] {
    return { ...this.#tally, running: this.#threads.running, total: this.#total };
  }

  /**
   * Runs the function for all inputs, and prints what it returns.
   *
   * Cancel safety: when it is stopped, what has ended is printed, and the Workers are ended.
   *
   * @throws What stopped it: a reader that is gone, a disk that is full, an input that is none.
   */
  async run(): Promise<RunSummary> {
    const { keepOrder, tag = false, signal } = this.#options;
    const stop = new AbortController();
    using both = new EitherSignal(signal, stop.signal);
    const either = both.signal;
    const feed = new Feed({
      source: this.#inputs(),
      ordered: keepOrder,
      ahead: AHEAD * this.#threads.size,
      signal: either,
      start: async (input: JobInput) => {
        const outcome = await this.#threads.run(input, either);
        either.throwIfAborted();
        return tag && "text" in outcome ? { ...outcome, text: tagged(outcome.text, input) } : outcome;
      },
    });
    let cut = 0;
    // Before the tasks are told: then none of them runs any more.
    const count = () => void (cut = this.#threads.running);
    signal.addEventListener("abort", count, { once: true });
    try {
      for await (const outcome of feed.results()) {
        this.#tally.done += 1;
        if ("text" in outcome) await this.#lines.add(outcome.text ?? "");
        else await this.#fail(outcome);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener("abort", count);
      stop.abort();
      await this.#threads[Symbol.asyncDispose]();
      await feed.ended();
    }
    await this.#lines.flush();
    const { done, failed } = this.#tally;
    return { succeeded: done - failed, failed, cut, skipped: 0, halted: false, onDoneFailed: 0 };
  }

  async *#inputs(): AsyncGenerator<JobInput> {
    let seq = 0;
    for await (const args of this.#options.inputs.read()) yield { seq: ++seq, args };
    this.#total = seq;
  }

  async #fail(outcome: { seq: number; error: unknown }): Promise<void> {
    this.#tally.failed += 1;
    await this.#lines.flush();
    await this.#options.say(this.#threads.describe(outcome));
  }
}

/** The same lines, each behind the input and a tab. */
function tagged(text: string | undefined, { args }: JobInput): string | undefined {
  const tag = `${args.join(" ")}\t`;
  return text?.replace(/[^\n]*\n/g, (line) => tag + line);
}

/** Writes lines as they come; those that come while others are being written go out together. */
class Lines {
  readonly #output: Output;
  #pending = "";
  #writing: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Adds a line, or nothing. Waits while much is pending. Throws what went wrong with this line or an earlier one. */
  async add(text: string): Promise<void> {
    if (text === "") return;
    this.#pending += text;
    this.#writing ??= this.#write();
    if (this.#pending.length > PENDING_CHARACTERS) await this.#writing;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Waits until all is written. Throws what went wrong. */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #write(): Promise<void> {
    try {
      while (this.#pending !== "") {
        const text = this.#pending;
        this.#pending = "";
        await this.#output.write(text);
      }
    } catch (error) {
      this.#failure = { error };
    }
    this.#writing = undefined;
  }
}
