/**
 * Writing later than one could: after a delay, or at a limited rate.
 *
 * @module
 */

import { Deque } from "@std/data-structures/deque";

/** What a {@link PacedWriter} writes to, such as a connection. */
export interface Writer {
  /** Writes some of the bytes, and says how many. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<number>;
}

/** Options of {@link PacedWriter}. */
export interface PacedWriterOptions {
  /** Milliseconds from when bytes are handed over to when they are written. */
  delayMs: number;
  /** How many bytes a second are written at most; Infinity for no limit. */
  bytesPerSecond: number;
}

/** How much may wait. */
const WAITING_BYTES = 2 ** 20;
/** What a piece that waits costs beyond its bytes. */
const PIECE_BYTES = 128;
/** A limited rate is kept in steps of this length. */
const STEP_MS = 20;
const LONGEST_TIMER_MS = 2 ** 30;

interface Piece {
  bytes: Uint8Array<ArrayBuffer>;
  dueMs: number;
}

/**
 * Keeps bytes for a while and then writes them. Many pieces wait at the same time, so a delay limits the throughput only where
 * more than 1 MiB would wait. One at a time uses it. Invariants: bytes are written in the order in which they were handed over; no more
 * than that, and one piece, waits.
 */
export class PacedWriter implements Writer {
  readonly #writer: Writer;
  readonly #delayMs: number;
  readonly #bytesPerSecond: number;
  readonly #pieces = new Deque<Piece>();
  #waitingBytes = 0;
  /** When the rate allows the next byte. */
  #nextMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isRunning = false;
  #failure: { error: unknown } | undefined;
  #wake: () => void = () => {};

  /**
   * @param writer Where the bytes go.
   * @param options How long to keep them.
   */
  constructor(writer: Writer, { delayMs, bytesPerSecond }: PacedWriterOptions) {
    this.#writer = writer;
    this.#delayMs = delayMs;
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Whether nothing waits. */
  get isEmpty(): boolean {
    return !this.#isRunning;
  }

  /**
   * Takes a copy of the bytes, and waits while too many wait already.
   *
   * @returns How many bytes were taken: all.
   * @throws What an earlier write threw.
   */
  async write(bytes: Uint8Array<ArrayBuffer>): Promise<number> {
    this.#pieces.pushBack({ bytes: bytes.slice(), dueMs: performance.now() + this.#delayMs });
    this.#waitingBytes += bytes.length + PIECE_BYTES;
    if (!this.#isRunning) void this.#run();
    await this.#until(() => this.#waitingBytes < WAITING_BYTES);
    return bytes.length;
  }

  /**
   * Waits until all was written.
   *
   * @throws What a write threw.
   */
  async flush(): Promise<void> {
    await this.#until(() => !this.#isRunning);
  }

  /** Gives up what waits. */
  abandon(): void {
    this.#failure ??= { error: new Error("what waited was given up") };
    this.#pieces.clear();
    clearTimeout(this.#timer);
    this.#wake();
  }

  async #until(holds: () => boolean): Promise<void> {
    while (this.#failure === undefined && !holds()) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      for (let piece = this.#pieces.popFront(); piece !== undefined; piece = this.#pieces.popFront()) {
        await this.#pause(piece.dueMs);
        await this.#writePiece(piece.bytes);
        this.#waitingBytes -= piece.bytes.length + PIECE_BYTES;
        this.#wake();
      }
    } catch (error) {
      this.#failure ??= { error };
    }
    this.#isRunning = false;
    this.#wake();
  }

  async #writePiece(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const stepBytes = Math.max(1, Math.floor(this.#bytesPerSecond * STEP_MS / 1_000));
    for (let at = 0; at < bytes.length;) {
      await this.#pause(this.#nextMs);
      const count = await this.#writer.write(bytes.subarray(at, Math.min(bytes.length, at + stepBytes)));
      at += count;
      const nowMs = performance.now();
      // A timer that was late, or a rest between pieces, is made up for by no more than one step.
      this.#nextMs = Math.max(this.#nextMs, nowMs - STEP_MS) + count / this.#bytesPerSecond * 1_000;
    }
  }

  async #pause(untilMs: number): Promise<void> {
    for (let ms = untilMs - performance.now(); ms > 0; ms = untilMs - performance.now()) {
      await new Promise<void>((resolve) => {
        this.#timer = setTimeout(resolve, Math.min(Math.ceil(ms), LONGEST_TIMER_MS));
      });
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
