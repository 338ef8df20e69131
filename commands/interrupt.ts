/**
 * Signals that end conc: the first asks, the second insists.
 *
 * @module
 */

import { InterruptedError } from "../lib/errors.ts";

const SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM", "SIGHUP"];

/** Watches for signals until it is disposed of. */
export class Interrupts implements Disposable {
  readonly #first = new AbortController();
  readonly #second = new AbortController();
  readonly #listeners: [Deno.Signal, () => void][];

  constructor() {
    this.#listeners = SIGNALS.map((signal) => [signal, () => this.#receive(signal)]);
    for (const [signal, listener] of this.#listeners) Deno.addSignalListener(signal, listener);
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
