/**
 * A trace file for Perfetto and chrome://tracing.
 *
 * Source: the Trace Event Format, JSON array form, whose closing bracket may be missing. So the file can be opened
 * whenever conc is killed.
 *
 * @module
 */

import { textToBytes } from "../bytes.ts";
import { reason, SystemError, UsageError } from "../errors.ts";

/** One bar of a trace. */
export interface TraceSpan {
  name: string;
  /** The row that it is drawn in: a number, such as the slot. */
  lane: number;
  /** When it began, in milliseconds since the epoch or any other start that all spans share. */
  startMs: number;
  durationMs: number;
  /** What is shown when it is looked at. */
  details: Record<string, string | number | null>;
}

/** Writes a trace, span by span. */
export class Trace implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #lanes = new Set<number>();
  #separator = "[\n";
  #failed = false;

  /**
   * Opens the file; what was in it is gone.
   *
   * @param path The file.
   * @throws {UsageError} If it cannot be written.
   */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#file = Deno.openSync(path, { write: true, create: true, truncate: true });
    } catch (error) {
      throw new UsageError(`cannot write trace '${path}': ${reason(error)}`, { cause: error });
    }
    this.#event({ name: "process_name", ph: "M", pid: 1, args: { name: "conc" } });
  }

  /**
   * Adds a span.
   *
   * @throws {SystemError} If it cannot be written, such as to a full disk.
   */
  add({ name, lane, startMs, durationMs, details }: TraceSpan): void {
    if (!this.#lanes.has(lane)) {
      this.#lanes.add(lane);
      this.#event({ name: "thread_name", ph: "M", pid: 1, tid: lane, args: { name: `slot ${lane}` } });
    }
    const [ts, dur] = [startMs, durationMs].map((ms) => Math.round(ms * 1_000));
    this.#event({ name, cat: "job", ph: "X", ts, dur, pid: 1, tid: lane, args: details });
  }

  [Symbol.dispose](): void {
    if (!this.#failed) this.#write("\n]\n");
    this.#file.close();
  }

  #event(event: Record<string, unknown>): void {
    this.#write(this.#separator + JSON.stringify(event));
    this.#separator = ",\n";
  }

  #write(text: string): void {
    const bytes = textToBytes(text.toWellFormed());
    try {
      for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
    } catch (error) {
      this.#failed = true;
      throw new SystemError(`cannot write trace '${this.#path}': ${reason(error)}`, { cause: error });
    }
  }
}
