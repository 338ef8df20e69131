/**
 * The children of one `conc spawn`: started together, each supervised, and joined.
 *
 * @module
 */

import { EitherSignal } from "../lib/abort.ts";
import { SystemError } from "../lib/errors.ts";
import { ChildRun } from "../lib/jobs/child_run.ts";
import { Supervisor } from "../lib/jobs/supervisor.ts";
import type { Take } from "../lib/process/capture.ts";
import { succeeded } from "../lib/process/exit_status.ts";
import { checkProgram } from "../lib/process/program.ts";
import type { ChildStatus } from "../lib/process/spawn.ts";
import { endAllDescendants } from "../lib/process/terminate.ts";
import { type JsonRecord, ndjson } from "../lib/report/ndjson.ts";
import type { Context } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import { exitCodeOf, FAILURE, SUCCESS } from "./exit_code.ts";
import type { Interrupts } from "./interrupt.ts";
import type { SpawnFlags } from "./spawn_flags.ts";
import type { RunOutput, SpawnOutput } from "./spawn_output.ts";
import type { Readiness } from "./spawn_ready.ts";
import { processes, remarks, runRecord, type SpawnEnd, writeReport } from "./spawn_record.ts";
import type { WrappedCommand } from "./wrapped.ts";

/** The words before a command that have the kernel kill it when we die (prctl(2), PR_SET_PDEATHSIG). */
export const DAEMON_WORDS = ["setpriv", "--pdeathsig", "KILL", "--"] as const;

/** What is run, and how. */
export interface SuperviseOptions {
  flags: SpawnFlags & CommonFlags;
  /** The command, as it was typed. */
  typed: readonly string[];
  /** Told the process id of the first child once all were started. With it nobody is there to read, nor to write. */
  detached?: (pid: number) => Promise<void>;
}

/** What a {@link Group} works with. */
export interface Surroundings extends SuperviseOptions {
  command: WrappedCommand;
  interrupts: Interrupts;
  output: SpawnOutput | undefined;
  readiness: Readiness | undefined;
  /** Says something to people. */
  tell: (text: string) => Promise<void>;
}

/**
 * The children of one command line. Invariant: when `run` settles, nothing lives of what they started, whatever became of the others.
 */
export class Group {
  readonly #context: Context;
  readonly #options: Surroundings;
  readonly #count: number;
  readonly #running = new Set<ChildRun>();
  readonly #over = new AbortController();
  /** Aborted by a signal, or when one of them cannot go on. */
  readonly #stop: EitherSignal;
  #started = 0;
  #runs = 0;
  /** The wait until they are ready. */
  #watched: Promise<void> = Promise.resolve();

  constructor(context: Context, options: Surroundings) {
    this.#context = context;
    this.#options = options;
    this.#count = options.flags.count ?? 1;
    this.#stop = new EitherSignal(options.interrupts.first, this.#over.signal);
  }

  /** The children that run. */
  *pids(): Iterable<number> {
    for (const { child } of this.#running) yield child.pid;
  }

  /** Runs them all, and says what became of them. */
  async run(): Promise<number> {
    const { flags, interrupts } = this.#options;
    const startMs = this.#context.monotonic();
    const ends = await this.#runAll();
    const failed = ends.filter((status) => !succeeded(status)).length;
    const isOne = this.#count === 1;
    const isStopped = !isOne && interrupts.first.aborted;
    const joined = isStopped ? exitCodeOf(interrupts.first.reason) : failed > 0 ? FAILURE : SUCCESS;
    const exitCode = isOne ? ends[0]!.exitCode : joined;
    if (flags.json) {
      await this.#context.stdout.write(ndjson({
        type: "summary",
        count: this.#count,
        ...{ succeeded: this.#count - failed, failed, runs: this.#runs, exitCode },
        durationMs: Math.round((this.#context.monotonic() - startMs) * 1_000) / 1_000,
      }));
    }
    if (!isOne && !isStopped && failed > 0) await this.#options.tell(`${failed} of ${this.#count} failed`);
    return exitCode;
  }

  async #runAll(): Promise<ChildStatus[]> {
    const { flags, interrupts, tell } = this.#options;
    const runs = Array.from({ length: this.#count }, (_, at) => this.#supervise(at + 1));
    try {
      return await Promise.all(runs);
    } catch (error) {
      // One that cannot be started, or written for, ends them all.
      this.#over.abort(error);
      throw error;
    } finally {
      await Promise.allSettled(runs);
      this.#over.abort();
      await this.#watched;
      const { found, left } = await endAllDescendants({
        graceMs: flags.killAfter,
        escalate: interrupts.second,
      });
      const remarks = left.map(({ pid }) => `cannot end process ${pid}: kill it as its owner`);
      if (found > 0 && !flags.quiet) remarks.push(`ended ${processes(found)} that had been left running`);
      for (const remark of remarks) await tell(remark).catch(() => {});
    }
  }

  async #supervise(index: number): Promise<ChildStatus> {
    const { flags, interrupts, command, typed } = this.#options;
    const { timeout, signal, restart, maxRestarts, backoff, killAfter } = flags;
    const { words, text } = flags.count === undefined ? command : numbered(command, index);
    let output: RunOutput | undefined;
    return await new Supervisor<ChildRun>({
      start: (attempt) => {
        output = this.#options.output?.open(nameOf(typed), index);
        const run = this.#start(words, { index, take: output?.take });
        if (attempt === 1) this.#startedOne(run);
        return run;
      },
      ended: (end) => this.#ended({ ...end, index, command: text }, output),
      ...{ restart, backoff, killAfterMs: killAfter, timeoutSignal: signal },
      ...(maxRestarts !== undefined && { maxRestarts }),
      ...(timeout !== undefined && timeout > 0 && { timeoutMs: timeout }),
      ...{ signal: this.#stop.signal, escalate: interrupts.second },
    }).run();
  }

  #start(words: readonly string[], { index, take }: { index: number; take: Take | undefined }): ChildRun {
    const { flags, detached, interrupts } = this.#options;
    const isAlone = this.#count === 1;
    // Without a log there is nobody who could read what a detached command prints.
    const unread = detached === undefined ? {} : { stdout: "null", stderr: "null" } as const;
    const env = variables(flags.env);
    // Else setpriv says that it is not there, in words of its own.
    if (flags.daemon) checkProgram(words[0]!, { cwd: flags.cwd, path: env.PATH });
    const run = new ChildRun(flags.daemon ? [...DAEMON_WORDS, ...words] : words, {
      stdin: isAlone && detached === undefined ? "inherit" : "null",
      ...unread,
      env: { CONC_SEQ: String(index), ...env },
      ...(flags.cwd !== undefined && { cwd: flags.cwd }),
      measured: flags.report !== undefined || flags.json,
      ...{ take, isAlone, killAfterMs: flags.killAfter, escalate: interrupts.second },
    });
    this.#running.add(run);
    const forget = () => void this.#running.delete(run);
    run.finished.then(forget, forget);
    return run;
  }

  /** Once all have been started for the first time, whoever waits for that is told. */
  #startedOne({ child }: ChildRun): void {
    const { detached, readiness, tell } = this.#options;
    this.#started += 1;
    if (this.#started < this.#count) return;
    const watch = async () => {
      try {
        await detached?.(child.pid);
        await readiness?.watch(this.#over.signal);
      } catch (error) {
        if (!this.#over.signal.aborted) await tell(error instanceof Error ? error.message : String(error));
      }
    };
    this.#watched = watch();
  }

  async #ended(end: SpawnEnd, output: RunOutput | undefined): Promise<void> {
    const { flags, tell } = this.#options;
    this.#runs += 1;
    let record: Promise<JsonRecord> | undefined;
    const recordOnce = () => record ??= runRecord(end);
    if (flags.report !== undefined) {
      try {
        writeReport(flags.report, await recordOnce());
      } catch (error) {
        // What was run has ended as it has ended: that its report is lost changes nothing of it.
        if (!(error instanceof SystemError)) throw error;
        await tell(error.message);
      }
    }
    await output?.ended(recordOnce);
    const { always, more } = remarks(end, { timeoutMs: flags.timeout });
    for (const text of flags.quiet ? always : [...always, ...more]) await tell(text);
  }
}

/** A command with its index in place of each `{#}`. A number needs no quotes, in a script neither. */
function numbered({ words, text }: WrappedCommand, index: number): WrappedCommand {
  const fill = (word: string) => word.replaceAll("{#}", String(index));
  return { words: words.map(fill), text: fill(text.replaceAll("'{#}'", "{#}")) };
}

/** What a prefix calls a command: the program's name without its directory. */
function nameOf([first = ""]: readonly string[]): string {
  const [program = ""] = first.trim().split(/[\s;|&<>()]/);
  return program.slice(program.lastIndexOf("/") + 1) || "sh";
}

function variables(assignments: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(assignments.map((text) => {
    const at = text.indexOf("=");
    return [text.slice(0, at), text.slice(at + 1)];
  }));
}
