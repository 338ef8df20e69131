/**
 * Passing signals on: what somebody sends to this process is meant for the one that it runs.
 *
 * @module
 */

import { isGroupOrphaned } from "./proc.ts";

/**
 * What is passed on. Not among them are those that ask for an end, which whoever ends processes passes on in its own way; SIGKILL and
 * SIGSTOP, which nobody can catch; SIGCHLD, which is about this process's children; and SIGILL, SIGFPE, SIGSEGV and SIGBUS, by which the
 * processor says that this process is broken.
 */
const PASSED_ON: readonly Deno.Signal[] = [
  ...["SIGQUIT", "SIGTRAP", "SIGABRT", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGSTKFLT"],
  ...["SIGCONT", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO"],
  ...["SIGPWR", "SIGSYS"],
] as Deno.Signal[];
/** What stops a process of a terminal session. */
const STOPS: readonly Deno.Signal[] = ["SIGTSTP", "SIGTTIN", "SIGTTOU"];

/** What a {@link Relay} asks its user. */
export interface RelayOptions {
  /** The processes that get the signals. */
  pids: () => Iterable<number>;
  /** Whether what the terminal sends reaches them anyway: then SIGQUIT is not sent twice. */
  isTerminalShared: () => boolean;
  /** Signals that stay here. */
  except?: readonly Deno.Signal[];
}

/**
 * Passes signals on until it is disposed of. A signal that stops them stops this process too, after them; continued, it has them go on. Where
 * the kernel stops nobody, as in a session without a shell that could continue them, this process goes on with them.
 * Signals that come in the same moment count as one, as everywhere (POSIX 2.4.1); real-time signals are not passed on.
 */
export class Relay implements Disposable {
  readonly #options: RelayOptions;
  readonly #listeners: [Deno.Signal, () => void][] = [];

  constructor(options: RelayOptions) {
    this.#options = options;
    if (Deno.build.os === "windows") return;
    for (const signal of PASSED_ON) this.#listen(signal, () => this.#pass(signal));
    for (const signal of STOPS) this.#listen(signal, () => this.#stop(signal));
  }

  [Symbol.dispose](): void {
    for (const [signal, listener] of this.#listeners) Deno.removeSignalListener(signal, listener);
  }

  #listen(signal: Deno.Signal, listener: () => void): void {
    if (this.#options.except?.includes(signal)) return;
    try {
      Deno.addSignalListener(signal, listener);
    } catch {
      // Not every system has every signal.
      return;
    }
    this.#listeners.push([signal, listener]);
  }

  #pass(signal: Deno.Signal): void {
    if (signal === "SIGQUIT" && this.#options.isTerminalShared()) return;
    for (const pid of this.#options.pids()) {
      try {
        Deno.kill(pid, signal);
      } catch {
        // It has ended, or became another user's: then it is not ours to signal.
      }
    }
  }

  #stop(signal: Deno.Signal): void {
    this.#pass(signal);
    if (!isGroupOrphaned()) Deno.kill(Deno.pid, "SIGSTOP");
  }
}
