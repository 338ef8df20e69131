/**
 * A keeper: a process in a session of its own, which holds for a command what is at a broker. A connection holds there, and is to last longer
 * than the process that was called, or to outlive its death.
 *
 * The two talk over the keeper's stdin and stdout, one value of JSON a line. The order has the broker's URL: arguments are seen by everybody. What
 * the keeper has to say to people, the command prints. When the keeper hears that its stdin has ended, the command is gone.
 *
 * @module
 */

import { textToBytes } from "../lib/bytes.ts";
import { ConnectionError, reason, SystemError, UsageError } from "../lib/errors.ts";
import { jsonLines } from "../lib/json_lines.ts";
import { APART, disown, expectChild, MARK, ownApart } from "../lib/process/descendants.ts";
import { LEASE_VARIABLE } from "../lib/process/guarded.ts";
import { closeInherited } from "../lib/process/libc.ts";
import { selfWords } from "../lib/process/self.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { Output } from "../lib/report/output.ts";
import { Timer } from "../lib/time/timer.ts";
import type { Context } from "./context.ts";
import { errorLine, exitCodeOf } from "./exit_code.ts";

/** What a keeper says. */
export type Word =
  /** Something to print. */
  | { type: "output"; stream: "stdout" | "stderr"; text: string }
  /** It has what was ordered; a lease that a job runs under is described. */
  | { type: "held"; lease?: HeldLease }
  /** It still has it. */
  | { type: "alive" }
  /** What it had is lost, and why. */
  | { type: "lost"; message: string }
  /** It is done, and has nothing any more. */
  | { type: "result"; exitCode: number };

/** A lease that a keeper holds, and how long it waited for it. */
export type HeldLease = { token: string; fence: number; graceMs: number; what: string; waitedMs: number };

/** How long a keeper that is not needed any more is waited for. To kill it gives back what it has: its connection ends. */
const END_LIMIT_MS = 2_000;

/** The command's end. */
export class Keeper {
  readonly #context: Context;
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #words: AsyncGenerator<unknown>;

  /**
   * Starts a keeper.
   *
   * @param words The command that is to be one, with its `--keeper`.
   * @param order What it is told first.
   */
  constructor(context: Context, words: readonly string[], order: object) {
    const [program, ...first] = selfWords();
    expectChild();
    const child = started(program!, [...first, ...words]);
    ownApart(child.pid);
    void child.status.then(() => disown(child.pid));
    child.unref();
    this.#context = context;
    this.#child = child;
    this.#writer = child.stdin.getWriter();
    this.#words = jsonLines(child.stdout);
    this.tell(order);
  }

  /** Tells it something. That a keeper is gone is seen by {@link next}. */
  tell(value: object): void {
    this.#writer.write(textToBytes(ndjson({ type: "order", ...value }))).catch(() => {});
  }

  /** What it says next, once what is to be printed before that is printed; undefined if it has ended. */
  async next(): Promise<Exclude<Word, { type: "output" }> | undefined> {
    for (;;) {
      const { value } = await this.#words.next() as { value: Word | undefined };
      if (value?.type !== "output") return value;
      const written = this.#context[value.stream].write(value.text);
      // Data must arrive; who does not read what is for people is no reason to end.
      await (value.stream === "stdout" ? written : written.catch(() => {}));
    }
  }

  /** What it says first, unless the wait is ended by a signal. */
  async first(signal: AbortSignal): Promise<Exclude<Word, { type: "output" }>> {
    const giveUp = () => void this.end();
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    try {
      const word = await this.next();
      signal.throwIfAborted();
      if (word !== undefined) return word;
      throw new SystemError("cannot wait any longer as the process that was to do so was ended: try again");
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  /** Says that nobody is there any more. */
  hangUp(): void {
    this.#writer.close().catch(() => {});
  }

  /** Says so, and waits until it has ended, which closes its stdout. One that does not end is killed. */
  async end(): Promise<void> {
    this.hangUp();
    using _timer = new Timer(END_LIMIT_MS, () => this.#kill());
    try {
      for await (const _ of this.#words);
    } catch {
      // Nobody wants to know any more.
    }
  }

  #kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has just ended.
    }
  }
}

/** Starts a process that is no part of the job that we are in, if we are in one. */
function started(program: string, args: string[]): Deno.ChildProcess {
  const streams = { stdin: "piped", stdout: "piped", stderr: "null" } as const;
  const env = { [APART]: "1", [MARK]: "", [LEASE_VARIABLE]: "" };
  try {
    return new Deno.Command(program, { args, ...streams, env, detached: true }).spawn();
  } catch (error) {
    throw new SystemError(`cannot start the process that is to hold it: ${reason(error)}`, { cause: error });
  }
}

/** The keeper's end. */
export class Principal {
  /** What it prints, the command prints. */
  readonly context: Context;
  readonly #gone = new AbortController();
  readonly #said: AsyncGenerator<unknown>;
  readonly #stdout: Output;
  #next: Promise<unknown>;

  private constructor(context: Context, said: AsyncGenerator<unknown>) {
    this.#said = said;
    this.#stdout = context.stdout;
    this.context = { ...context, stdout: this.#output("stdout"), stderr: this.#output("stderr") };
    this.#next = this.#hear();
  }

  /** Hears the order. Throws `UsageError` if there is none. */
  static async listen<Order>(context: Context): Promise<{ principal: Principal; order: Order }> {
    // Whoever waits for the end of a pipe, or for a lock on a file, does not wait for us.
    closeInherited();
    const said = jsonLines(context.stdin);
    const { value } = await said.next().catch(() => ({ value: undefined }));
    if ((value as { type?: unknown } | undefined)?.type !== "order") {
      throw new UsageError("cannot be a keeper as nothing is asked for at stdin: leave out --keeper");
    }
    return { principal: new Principal(context, said), order: value as Order };
  }

  /** Aborted when the command is gone. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** What it hears next; undefined if the command is gone. */
  async next<T>(): Promise<T | undefined> {
    const value = await this.#next;
    if (!this.#gone.signal.aborted) this.#next = this.#hear();
    return value as T | undefined;
  }

  /** Says something. To whom is gone nothing is said. */
  async say(word: Word): Promise<void> {
    try {
      await this.#stdout.write(ndjson(word));
    } catch {
      // That the command is gone is heard.
    }
  }

  /** Does what was ordered, and says what came of it: the exit code, and what went wrong. */
  async answer(work: () => Promise<number>): Promise<number> {
    let exitCode: number;
    try {
      exitCode = await work();
    } catch (error) {
      const line = errorLine(error, Boolean(this.context.env.get("CONC_DEBUG")));
      if (line !== undefined && !this.gone.aborted) await this.context.stderr.write(`${line}\n`);
      exitCode = exitCodeOf(error);
    }
    await this.say({ type: "result", exitCode });
    return exitCode;
  }

  async #hear(): Promise<unknown> {
    // What cannot be read any more has ended.
    const { value, done } = await this.#said.next().catch(() => ({ value: undefined, done: true }));
    if (done) this.#gone.abort(new ConnectionError("whoever asked a keeper for something is gone"));
    return value;
  }

  #output(stream: "stdout" | "stderr"): Output {
    const decoder = new TextDecoder();
    const sink = {
      write: async (bytes: Uint8Array) => {
        await this.say({ type: "output", stream, text: decoder.decode(bytes, { stream: true }) });
        return bytes.length;
      },
      isTerminal: () => false,
    };
    return new Output(sink, stream);
  }
}
