/**
 * A line that is drawn again and again on a terminal; elsewhere a line now and then.
 *
 * @module
 */

import { textToBytes } from "../bytes.ts";
import type { Output } from "./output.ts";

const REDRAW_MS = 100;
/** How often a line is written where nothing can be redrawn. */
const LINE_MS = 10_000;
const WIPE = "\x1b[2K\r";

/** Where a {@link LiveLine} is drawn. */
export interface LiveLineOptions {
  stdout: Output;
  stderr: Output;
  /** How wide the terminal is. */
  columns: () => number;
}

/** Draws a line on stderr until it is disposed of. */
export class LiveLine implements AsyncDisposable {
  readonly #write: (elapsedMs: number) => string;
  readonly #outputs: { stdout: Output; stderr: Output };
  readonly #columns: () => number;
  readonly #startedMs = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;
  #drawn = false;

  /**
   * @param write Writes the line, from the milliseconds since this was made.
   * @param options Where to draw, and how wide it is.
   */
  constructor(write: (elapsedMs: number) => string, options: LiveLineOptions) {
    this.#write = write;
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
    const line = this.#write(performance.now() - this.#startedMs);
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
