/**
 * Running the one command that a command line ends with: its stdin, stdout and stderr are conc's, and so are its signals.
 *
 * @module
 */

import type { FlagParametersForType } from "@stricli/core";
import { type InterruptedError, UsageError } from "../lib/errors.ts";
import { quoteForShell, shellWords, wantsShell } from "../lib/process/command_line.ts";
import { foregroundGroup } from "../lib/process/proc.ts";
import { type Child, type ChildStatus, spawn } from "../lib/process/spawn.ts";
import { endAllDescendants } from "../lib/process/terminate.ts";
import { parseDuration } from "../lib/time/duration.ts";
import type { Interrupts } from "./interrupt.ts";

/** Flags of everything that runs one command. */
export type WrappedFlags = { killAfter: number; shell?: boolean };

/** The declarations of {@link WrappedFlags}. */
export const WRAPPED_FLAGS: FlagParametersForType<WrappedFlags, never> = {
  killAfter: {
    kind: "parsed",
    parse: parseDuration,
    default: "5s",
    placeholder: "D",
    brief: "From the signal that asks to the one that kills",
  },
  shell: { kind: "boolean", optional: true, brief: "Always, or never, run the command through sh -c" },
};

/** A wrapped command. */
export interface WrappedCommand {
  /** What is executed. */
  words: readonly string[];
  /** The same for people. */
  text: string;
}

/** How {@link runWrapped} goes about it. */
export interface WrappedOptions {
  /** Variables beside those of this process. */
  env: Record<string, string>;
  /** Milliseconds from the signal that asks to SIGKILL. */
  killAfterMs: number;
  interrupts: Interrupts;
  /** When it is ended for another reason than a signal, for which, and how many milliseconds after it is killed. */
  ending?: { signal: AbortSignal; cause: string; graceMs: number };
  /** Called with the process id once it runs. */
  started: (pid: number) => void;
  /** Takes what it prints, until it has ended. Default: its streams are conc's. */
  capture?: ((child: Child) => Promise<ChildStatus>) | undefined;
}

/**
 * What a command line wants to have run.
 *
 * @param typed The words of the command.
 * @throws {UsageError} If there are none.
 */
export function wrappedCommand(typed: readonly string[], shell?: boolean): WrappedCommand {
  if (typed.length === 0 || typed[0] === "") {
    throw new UsageError("no command: give what to run behind the name");
  }
  const script = typed.join(" ");
  if (wantsShell(typed, shell)) return { words: shellWords(script), text: script };
  return { words: typed, text: typed.map(quoteForShell).join(" ") };
}

/**
 * Runs a command. When this returns, nothing that it started lives any more. A signal that ends conc is passed on to it.
 *
 * @returns How it ended.
 * @throws {SpawnError} If it cannot be started.
 */
export async function runWrapped(
  { words }: WrappedCommand,
  { env, killAfterMs, interrupts, ending, started, capture }: WrappedOptions,
): Promise<ChildStatus> {
  const { first, second: escalate } = interrupts;
  let graceMs = killAfterMs;
  const stream = capture === undefined ? "inherit" : "piped";
  const child = spawn(words, { stdin: "inherit", stdout: stream, stderr: stream, env });
  const interrupt = () => {
    const { signal } = first.reason as InterruptedError;
    // What was typed at the terminal has reached our whole process group already.
    const typedFor = signal === "SIGINT" ? foregroundGroup() : undefined;
    void child.end("interrupted", {
      ...{ signal: signal as Deno.Signal, graceMs, escalate },
      delivered: ({ pgid }) => pgid === typedFor,
    });
  };
  const end = () => {
    graceMs = ending!.graceMs;
    void child.end(ending!.cause, { graceMs, escalate });
  };
  if (ending?.signal.aborted) end();
  else ending?.signal.addEventListener("abort", end, { once: true });
  if (first.aborted) interrupt();
  else first.addEventListener("abort", interrupt, { once: true });
  try {
    started(child.pid);
    const status = await (capture === undefined ? child.status : capture(child));
    if (status.cause !== undefined) await child.end(status.cause);
    return status;
  } finally {
    ending?.signal.removeEventListener("abort", end);
    first.removeEventListener("abort", interrupt);
    await endAllDescendants({ graceMs, escalate });
  }
}
