/**
 * Signals that end conc: the first asks, the second insists.
 *
 * @module
 */

import { InterruptedError } from "../lib/errors.ts";
import { signalNumber } from "../lib/process/exit_status.ts";
import { ignoreSignal } from "../lib/process/libc.ts";
import { ignoresSignal } from "../lib/process/proc.ts";

/** Those that end conc. */
export const SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM", "SIGHUP"];

/** Watches for signals until it is disposed of. What nohup(1) has us ignore, the end of the terminal, stays ignored. */
export class Interrupts implements Disposable {
  readonly #first = new AbortController();
  readonly #second = new AbortController();
  readonly #listeners: [Deno.Signal, () => void][];

  constructor() {
    const hangup = signalNumber("SIGHUP");
    const isImmune = ignoresSignal(hangup);
    // Deno ends by a SIGHUP that nobody listens for, once anything listens for any signal.
    const listenerOf = (signal: Deno.Signal) =>
      isImmune && signal === "SIGHUP" ? () => {} : () => this.#receive(signal);
    this.#listeners = SIGNALS.map((signal) => [signal, listenerOf(signal)]);
    for (const [signal, listener] of this.#listeners) Deno.addSignalListener(signal, listener);
    // What is started is to ignore it too, as it would not if there were a handler.
    if (isImmune) ignoreSignal(hangup);
  }

  /** Aborted with an {@link InterruptedError} by the first signal: no new work, end what runs. */
  get first(): AbortSignal {
    return this.#first.signal;
  }

  /** Aborted by the second signal: kill what runs. */
  get second(): AbortSignal {
    return this.#second.signal;
  }

  [Symbol.dispose](): void {
    for (const [signal, listener] of this.#listeners) Deno.removeSignalListener(signal, listener);
  }

  #receive(signal: Deno.Signal): void {
    if (this.#first.signal.aborted) this.#second.abort();
    else this.#first.abort(new InterruptedError(signal));
  }
}
