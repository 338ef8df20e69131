/**
 * Starting a child, and ending it with all that it started.
 *
 * @module
 */

import { reason, SpawnError, type SpawnFault } from "../errors.ts";
import { portableWords } from "./command_line.ts";
import {
  adoptsOrphans,
  descendantsOf,
  disown,
  expectChild,
  expectNoChild,
  MARK,
  mayHaveLeft,
  own,
  reapEnded,
  type Target,
} from "./descendants.ts";
import { CANNOT_EXECUTE, type ExitStatus, exitStatus } from "./exit_status.ts";
import { readCommand } from "./proc.ts";
import { notFound } from "./program.ts";
import { type EndOptions, endProcesses } from "./terminate.ts";
import { measure, reapedUnmeasured, type Usage } from "./usage.ts";

/** Options of {@link spawn}. */
export interface SpawnOptions {
  /** Default `null`: the child reads an end of file. */
  stdin?: "null" | "inherit" | "piped";
  /** Default `inherit`. */
  stdout?: "null" | "inherit" | "piped";
  /** Default `inherit`. */
  stderr?: "null" | "inherit" | "piped";
  /** Variables beside those of this process. */
  env?: Record<string, string>;
  /** The directory to start it in. Default: that of this process. */
  cwd?: string;
  /** Whether to find out what it takes of the machine, see {@link Child.usage}. Default false. */
  measured?: boolean;
}

/** How a child ended, and why. */
export interface ChildStatus extends ExitStatus {
  /** What {@link Child.end} was first told; undefined if the child ended before anybody asked. */
  cause: string | undefined;
}

/** Why a child ended, in one word: `exit`, `signal`, or what it was ended for. */
export function causeOf({ cause, signal }: Pick<ChildStatus, "cause" | "signal">): string {
  return cause ?? (signal === undefined ? "exit" : "signal");
}

/** A process that had to be killed. */
export interface Survivor {
  pid: number;
  /** Its command line; undefined if that cannot be read. */
  command: string | undefined;
}

/** Too many processes, too many open files of ours or of all, no memory (errno(3)). */
const SHORTAGES: readonly string[] = ["EAGAIN", "EMFILE", "ENFILE", "ENOMEM"];

let started = 0;

/**
 * A process that we started. Invariant: `status` resolves exactly once, with the first cause; what {@link Child.end} was told
 * later changes nothing.
 */
export class Child {
  /** Its process id. */
  readonly pid: number;
  /** How it ended, once it has. */
  readonly status: Promise<ChildStatus>;
  /** What it took of the machine, once it has ended; undefined if it was not measured, or that cannot be told. */
  readonly usage: Promise<Usage | undefined>;
  /** Those of its processes, itself included, that did not end when they were asked, and were killed. */
  readonly survivors: Survivor[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #mark: string;
  #cause: string | undefined;
  #exited = false;
  #ending: Promise<void> | undefined;
  readonly #escalate = new AbortController();

  /** Use {@link spawn}. */
  constructor(child: Deno.ChildProcess, { mark, measured }: { mark: string; measured: boolean }) {
    this.#child = child;
    this.#mark = mark;
    this.pid = child.pid;
    own(child.pid);
    const took = measured ? measure(child.pid) : undefined;
    this.usage = child.status.then(() => took === undefined ? void reapedUnmeasured() : took());
    this.status = child.status.then((status) => {
      disown(child.pid);
      this.#exited = true;
      return { ...exitStatus(status), cause: this.#cause };
    });
  }

  /** Where it reads from. Throws unless `stdin` was `piped`. */
  get stdin(): WritableStream<Uint8Array> {
    return this.#child.stdin;
  }

  /** What it prints. Throws unless `stdout` was `piped`. */
  get stdout(): ReadableStream<Uint8Array> {
    return this.#child.stdout;
  }

  /** What it prints as errors. Throws unless `stderr` was `piped`. */
  get stderr(): ReadableStream<Uint8Array> {
    return this.#child.stderr;
  }

  /**
   * Ends the child and all that it started: the signal, the grace, SIGKILL. When the child itself is gone, what it left is asked
   * with SIGTERM: a shell's background jobs ignore SIGINT. Asked again, it goes on as begun, but `escalate` is obeyed.
   *
   * @param cause Why, such as `timeout`. The first cause stays.
   * @returns When nothing of it lives any more.
   */
  end(cause: string, options: EndOptions = {}): Promise<void> {
    if (!this.#exited) this.#cause ??= cause;
    const escalate = () => this.#escalate.abort();
    if (options.escalate?.aborted) escalate();
    else options.escalate?.addEventListener("abort", escalate, { once: true });
    this.#ending ??= this.#endTree(options).finally(() =>
      options.escalate?.removeEventListener("abort", escalate)
    );
    return this.#ending;
  }

  /**
   * Ends whatever a child that has ended left running, as {@link Child.end} does.
   *
   * @returns When nothing of it lives any more.
   */
  async endRest(options: Pick<EndOptions, "graceMs" | "escalate"> = {}): Promise<void> {
    await this.status;
    if (this.#ending !== undefined || mayHaveLeft(this.pid)) await this.end("left", options);
  }

  async #endTree({ signal = "SIGTERM", graceMs = 5_000, delivered }: EndOptions): Promise<void> {
    const seen = new Set<number>();
    const find = () => {
      const found = descendantsOf(this.pid, this.#mark);
      for (const { pid } of found) seen.add(pid);
      return found;
    };
    const killed = ({ pid }: Target) => void this.survivors.push({ pid, command: readCommand(pid) });
    const common = { graceMs, escalate: this.#escalate.signal, killed };
    await endProcesses(find, { ...common, signal, ...(delivered && { delivered }), until: this.status });
    if (signal !== "SIGTERM") await endProcesses(find, common);
    else await endProcesses(find, { ...common, delivered: () => false });
    seen.delete(this.pid);
    reapEnded(seen);
  }
}

/**
 * Starts a process.
 *
 * @param words The command and its arguments; no shell looks at them.
 * @throws {SpawnError} If it cannot be started.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const child = spawn(["sh", "-c", "exit 3"]);
 * assertEquals(await child.status, { exitCode: 3, signal: undefined, cause: undefined });
 * ```
 */
export function spawn(words: readonly string[], options: SpawnOptions = {}): Child {
  const { stdin = "null", stdout = "inherit", stderr = "inherit", env = {}, cwd, measured = false } = options;
  const [program = "", ...args] = portableWords(words);
  const mark = `${Deno.pid}.${++started}`;
  // On Linux orphans are adopted, and the child stays in our process group, as with every Unix tool that runs others.
  const detached = !adoptsOrphans() && Deno.build.os !== "windows";
  expectChild();
  try {
    const command = new Deno.Command(program, {
      args,
      stdin,
      stdout,
      stderr,
      env: { ...env, [MARK]: mark },
      ...(cwd !== undefined && { cwd }),
      ...(detached && { detached }),
    });
    return new Child(command.spawn(), { mark, measured });
  } catch (error) {
    expectNoChild();
    throw spawnError(words[0] ?? "", error);
  }
}

function spawnError(program: string, error: unknown): SpawnError {
  if (error instanceof Deno.errors.NotFound) return notFound(program, error);
  return new SpawnError(`cannot run '${program}': ${reason(error)}`, {
    exitCode: CANNOT_EXECUTE,
    cause: error,
    fault: faultOf(error),
  });
}

function faultOf(error: unknown): SpawnFault {
  const { code = "" } = error as { code?: string };
  if (SHORTAGES.includes(code)) return "shortage";
  return code === "E2BIG" ? "arguments" : "program";
}
