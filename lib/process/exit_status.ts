/**
 * How a process ended, and the numbers that shells use for it. Everything that maps signals and exit codes is here.
 *
 * @module
 */

import { UsageError } from "../errors.ts";

/** How a process ended: by itself with a code, or by a signal. */
export interface ExitStatus {
  /** What it exited with; for a signal 128+N, as shells say it (POSIX 2.8.2). */
  exitCode: number;
  /** The signal that ended it, such as `SIGKILL`; undefined if it ended by itself. */
  signal: string | undefined;
}

/** Its time ran out, as timeout(1) says it. */
export const TIMED_OUT = 124;
/** The command was found but cannot be executed (POSIX 2.8.2). */
export const CANNOT_EXECUTE = 126;
/** The command was not found (POSIX 2.8.2). */
export const NOT_FOUND = 127;

/** Linux numbers on x86 and ARM; the first fifteen, those that end a process from a terminal, are the same everywhere. */
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
};

/** The number of a signal, so that `128 + signalNumber("SIGINT")` is 130; 0 for a name that is not known. */
export function signalNumber(name: string): number {
  return SIGNAL_NUMBERS[name] ?? 0;
}

/**
 * Reads a signal as kill(1) and timeout(1) do: `TERM`, `SIGTERM`, `term` or `15`.
 *
 * @param text What was typed.
 * @throws {UsageError} If there is no such signal.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(["int", "SIGINT", "2"].map(parseSignal), ["SIGINT", "SIGINT", "SIGINT"]);
 * ```
 */
export function parseSignal(text: string): Deno.Signal {
  const name = /^\d+$/.test(text) ? signalName(Number(text)) : `SIG${text.toUpperCase().replace(/^SIG/, "")}`;
  if (name !== undefined && Object.hasOwn(SIGNAL_NUMBERS, name)) return name as Deno.Signal;
  throw new UsageError(
    `cannot read a signal as it must be a name or number, such as TERM or 15: received '${text}'`,
  );
}

/** The name of signal N, such as `SIGKILL` for 9; undefined for a number without one. */
export function signalName(number: number): string | undefined {
  return Object.keys(SIGNAL_NUMBERS).find((name) => SIGNAL_NUMBERS[name] === number);
}

/** What Deno says of a child that ended, in our words. */
export function exitStatus(status: Pick<Deno.CommandStatus, "code" | "signal">): ExitStatus {
  return { exitCode: status.code, signal: status.signal ?? undefined };
}

/** Whether it worked. */
export function succeeded(status: ExitStatus): boolean {
  return status.exitCode === 0;
}

/** How it ended, for people: `exit code 3` or `SIGKILL`. */
export function describeStatus(status: ExitStatus): string {
  return status.signal ?? `exit code ${status.exitCode}`;
}
