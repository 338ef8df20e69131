/**
 * Running a JavaScript function for every input in Workers: what turns an input into a task, and its result into output.
 *
 * @module
 */

import { textToBytes, toPrintable } from "../bytes.ts";
import { SystemError, TimeoutError } from "../errors.ts";
import type { Take } from "../process/capture.ts";
import { quoteForShell } from "../process/command_line.ts";
import type { ChildStatus } from "../process/spawn.ts";
import { type ThreadFunction, ThreadPool } from "../thread/pool.ts";
import type { Attempt, EndCause } from "./pool.ts";
import type { JobInput, JobTemplate } from "./run.ts";

/** Options of {@link ThreadJobs}. */
export interface ThreadJobsOptions {
  /** How many Workers there are at most. */
  size: number;
  /** What the function is called in logs. */
  name: string;
  /** Milliseconds until a task is ended. Default: no limit. */
  timeoutMs?: number | undefined;
  /** Whether what is thrown is shown with its stack. Default false. */
  stacks?: boolean;
}

/** How the function ended for an input. */
export type Outcome =
  & { seq: number }
  & (
    | { /** What is printed; undefined if it returned undefined. */ text: string | undefined }
    | { /** What it threw. */ error: unknown }
  );

/** A function, and the Workers that run it. The arguments of an input are the arguments of the function. */
export class ThreadJobs implements AsyncDisposable {
  readonly #pool: ThreadPool<string[], unknown>;
  readonly #options: ThreadJobsOptions;

  constructor(fn: ThreadFunction, options: ThreadJobsOptions) {
    this.#options = options;
    this.#pool = new ThreadPool(fn, { size: options.size, idleMs: Infinity, spread: true });
  }

  /** What an input is called: the function, and its arguments. It runs no process. */
  readonly template: JobTemplate = {
    program: undefined,
    usesSlot: false,
    fill: ({ args }) => ({ words: [], text: [this.#options.name, ...args].map(quoteForShell).join(" ") }),
  };

  /** How many Workers there are at most. */
  get size(): number {
    return this.#options.size;
  }

  /** How many tasks run at this moment. */
  get running(): number {
    return this.#pool.statistics().running;
  }

  /**
   * Waits until the function is loaded.
   *
   * @throws {UsageError} If it cannot be loaded.
   */
  ready(): Promise<void> {
    return this.#pool.ready();
  }

  /**
   * Runs the function for an input.
   *
   * @throws {SystemError} If no function can be run any more.
   */
  async run({ seq, args }: JobInput, signal?: AbortSignal): Promise<Outcome> {
    try {
      const { timeoutMs } = this.#options;
      const limits = timeoutMs === undefined
        ? signal && { signal }
        : { ...(signal && { signal }), timeoutMs };
      return { seq, text: line(await this.#pool.submit(args, limits)) };
    } catch (error) {
      if (error instanceof SystemError) throw error;
      return { seq, error };
    }
  }

  /** Starts an attempt of a job: a task that prints and ends as a process does. */
  start(input: JobInput, take: Take): Attempt {
    const controller = new AbortController();
    let cause: EndCause | undefined;
    const run = async (): Promise<ChildStatus> => {
      const outcome = await this.run(input, controller.signal);
      const isFailed = "error" in outcome;
      if (isFailed && outcome.error instanceof TimeoutError) cause ??= "timeout";
      if (!isFailed && outcome.text !== undefined) await take("stdout", textToBytes(outcome.text));
      if (isFailed && cause === undefined) {
        await take("stderr", textToBytes(`conc: ${this.describe(outcome)}\n`));
      }
      return { exitCode: isFailed ? 1 : 0, signal: undefined, cause };
    };
    const finished = run();
    const end = async (why: EndCause) => {
      cause ??= why;
      controller.abort(why);
      await finished.catch(() => {});
    };
    return { finished, end };
  }

  /** What was thrown, in one line, or with its stack. */
  describe({ seq, error }: { seq: number; error: unknown }): string {
    if (!(error instanceof Error)) {
      return toPrintable(`job ${seq}: threw ${Deno.inspect(error, { breakLength: Infinity })}`);
    }
    const text = this.#options.stacks
      ? String(error.stack)
      : `${error.name}: ${error.message}`.replace(/\s*\n[^]*$/, " …");
    return toPrintable(`job ${seq}: ${text}`);
  }

  /** Ends the Workers, whatever they do. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.cancel();
  }
}

/** A result as it is printed: text as it is, everything else as JSON, undefined not at all. */
function line(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string") return `${value}\n`;
  return `${typeof value === "bigint" ? value : JSON.stringify(value)}\n`;
}
