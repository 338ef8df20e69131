/**
 * When the next job may start: `--delay`, `--rate`, `--load` and `--memfree`.
 *
 * @module
 */

import { delay } from "@std/async/delay";

/** What must hold before a job starts. All are optional. */
export interface AdmissionOptions {
  /** At least so many milliseconds between two starts. */
  delayMs?: number;
  /** At most so many starts per second. */
  ratePerSecond?: number;
  /** No start while more runs on the machine than this percentage of its processors. */
  loadPercent?: number;
  /** No start while less memory is available than this. */
  memfreeBytes?: number;
  /** What tells load and memory. Default: this machine. */
  machine?: Machine;
}

/** What can be asked of a machine. */
export interface Machine {
  /** How many processes run or want to, ourselves not counted. */
  running(): number;
  processors(): number;
  availableBytes(): number;
}

const POLL_MS = 200;
/** A start that came late because of a timer may be made up for by so much. */
const CATCH_UP_MS = 50;

/**
 * Lets one job after the other start. Invariant: between two starts that were admitted lies at least `delayMs`, and over any
 * second there are no more than the rate and what 50 ms of it make up for.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #machine: Machine;
  #nextAtMs = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#machine = options.machine ?? THIS_MACHINE;
  }

  /**
   * Waits until a job may start.
   *
   * Cancel safety: a wait that is cancelled takes no start away from others.
   *
   * @param options `signal` ends the wait; it rejects with the signal's reason.
   */
  admit({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const { delayMs, ratePerSecond, loadPercent, memfreeBytes } = this.#options;
    if ((delayMs ?? ratePerSecond ?? loadPercent ?? memfreeBytes) === undefined) return Promise.resolve();
    const admitted = this.#last.then(() => this.#wait(signal));
    this.#last = admitted.catch(() => {});
    return admitted;
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    const { delayMs = 0, ratePerSecond = Infinity } = this.#options;
    for (let waitMs = this.#waitMs(); waitMs > 0; waitMs = this.#waitMs()) {
      await delay(waitMs, signal && { signal });
    }
    signal?.throwIfAborted();
    const nowMs = performance.now();
    const evenlyMs = Math.max(this.#nextAtMs, nowMs - CATCH_UP_MS) + 1_000 / ratePerSecond;
    this.#nextAtMs = Math.max(evenlyMs, nowMs + delayMs);
  }

  #waitMs(): number {
    const early = this.#nextAtMs - performance.now();
    if (early > 0) return early;
    const { loadPercent = Infinity, memfreeBytes = 0 } = this.#options;
    if (loadPercent < Infinity && this.#machine.running() * 100 >= loadPercent * this.#machine.processors()) {
      return POLL_MS;
    }
    return memfreeBytes > 0 && this.#machine.availableBytes() < memfreeBytes ? POLL_MS : 0;
  }
}

/** The machine that we run on. */
export const THIS_MACHINE: Machine = {
  running() {
    if (Deno.build.os !== "linux") return Deno.loadavg()[0]!;
    // "0.20 0.18 0.12 2/80 11206": two of the threads on the machine are running, and one of them is asking (proc(5)).
    const [running = "1"] = Deno.readTextFileSync("/proc/loadavg").split(" ")[3]!.split("/");
    return Number(running) - 1;
  },
  processors: () => navigator.hardwareConcurrency,
  availableBytes: () => Deno.systemMemoryInfo().available,
};
