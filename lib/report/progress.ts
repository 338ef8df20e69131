/**
 * The progress of many jobs as one line that is drawn again and again on a terminal; elsewhere a line now and then.
 *
 * @module
 */

import { textToBytes } from "../bytes.ts";
import { formatDuration } from "../time/duration.ts";
import type { Output } from "./output.ts";

/** How far the work is. */
export interface ProgressState {
  done: number;
  failed: number;
  running: number;
  /** How many there are; undefined while that is not known. */
  total: number | undefined;
}

const REDRAW_MS = 100;
/** How often a line is written where nothing can be redrawn. */
const LINE_MS = 10_000;
const WIPE = "\x1b[2K\r";

/** Draws progress on stderr until it is disposed of. */
export class Progress implements AsyncDisposable {
  readonly #read: () => ProgressState;
  readonly #outputs: { stdout: Output; stderr: Output };
  readonly #columns: () => number;
  readonly #startedMs = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;
  #drawn = false;

  /**
   * @param read Tells how far the work is.
   * @param options Where to draw, and how wide it is.
   */
  constructor(read: () => ProgressState, options: { stdout: Output; stderr: Output; columns: () => number }) {
    this.#read = read;
    this.#outputs = options;
    this.#columns = options.columns;
    const { stdout, stderr } = options;
    for (const output of [stdout, stderr]) if (output.isTerminal) output.beforePiece = () => this.#wipe();
    this.#timer = setInterval(() => void this.#draw(), stderr.isTerminal ? REDRAW_MS : LINE_MS);
  }

  /** Draws the last state and leaves it there. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#draw();
    const { stdout, stderr } = this.#outputs;
    stdout.beforePiece = stderr.beforePiece = undefined;
    if (stderr.isTerminal) await stderr.write("\n").catch(() => {});
  }

  async #draw(): Promise<void> {
    const line = formatProgress(this.#read(), performance.now() - this.#startedMs);
    const { stderr } = this.#outputs;
    // A line that nobody can see is no reason to stop the work.
    if (!stderr.isTerminal) return await stderr.write(`conc: ${line}\n`).catch(() => {});
    await stderr.writeParts(this.#line(line.slice(0, this.#columns() - 1))).catch(() => {});
  }

  /**
   * The line is there once it was written, and before anything else is. It begins a line of its own: what is wiped away
   * later is nobody's output.
   */
  *#line(text: string): Generator<Uint8Array> {
    yield textToBytes(this.#outputs.stderr.isMidLine ? `\n${text}` : text);
    this.#drawn = true;
  }

  #wipe(): string {
    const wipe = this.#drawn ? WIPE : "";
    this.#drawn = false;
    return wipe;
  }
}

/**
 * One line of progress: done of total, failed, rate, and when it will be over.
 *
 * @param state How far the work is.
 * @param elapsedMs How long it has taken.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const state = { done: 30, failed: 1, running: 4, total: 120 };
 * assertEquals(formatProgress(state, 10_000), "30/120 done (25%), 1 failed, 4 running, 3.0/s, ETA 30s");
 * ```
 */
export function formatProgress({ done, failed, running, total }: ProgressState, elapsedMs: number): string {
  const perSecond = elapsedMs > 0 ? done * 1_000 / elapsedMs : 0;
  const parts = [
    total === undefined
      ? `${done} done`
      : `${done}/${total} done (${Math.floor(done * 100 / Math.max(1, total))}%)`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    `${running} running`,
    `${perSecond.toFixed(1)}/s`,
  ];
  if (total !== undefined && done >= total) parts.push(`took ${formatDuration(elapsedMs)}`);
  else if (total !== undefined && done > 0) {
    parts.push(`ETA ${formatDuration((total - done) * elapsedMs / done)}`);
  }
  return parts.join(", ");
}
