/**
 * Where a command's data and messages go: one writer per stream, whole pieces in order, and one clear sign when the
 * reader is gone.
 *
 * @module
 */

import { concatBytes, textToBytes } from "../bytes.ts";
import { ConcError, reason, SystemError } from "../errors.ts";

/** Nobody reads the stream any more. The command ends quietly, as SIGPIPE would have ended it. */
export class ReaderGoneError extends ConcError {}

/** What {@link Output} writes to: `Deno.stdout`, `Deno.stderr`, an open file, or a test's buffer. */
export interface ByteSink {
  /** Writes some of the bytes, and says how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Whether a person looks at it. */
  isTerminal(): boolean;
}

/** Parts of a piece are written together while they are no longer than this: a write costs more than a copy. */
const TOGETHER_BYTES = 64 * 2 ** 10;
/** Behind a line feed and a carriage return a line begins. */
const LINE_STARTS: readonly number[] = [10, 13];

/** The order in which pieces are written: one at a time, first come first served. */
export class OutputQueue {
  #last: Promise<void> = Promise.resolve();
  /** Whether the last piece ended within a line. */
  isMidLine = false;

  /** Writes a piece when all before it were written, or have failed. */
  add(write: () => Promise<void>): Promise<void> {
    const written = this.#last.then(write);
    this.#last = written.catch(() => {});
    return written;
  }
}

/**
 * Writes whole pieces one after the other. Invariant: pieces come out in the order of the calls, and no piece is broken by
 * another. A caller that awaits each write waits for a slow reader and keeps no more than its own piece in memory.
 */
export class Output {
  readonly #sink: ByteSink;
  readonly #name: string;
  readonly #queue: OutputQueue;
  /** Called before each piece; what it returns is written first, such as what wipes a line of progress. */
  beforePiece: (() => string) | undefined;

  /**
   * @param sink Where the bytes go.
   * @param name What messages call it, such as `stdout`.
   * @param options `queue`: that of another output, if both end up on one screen.
   */
  constructor(sink: ByteSink, name: string, { queue = new OutputQueue() }: { queue?: OutputQueue } = {}) {
    this.#sink = sink;
    this.#name = name;
    this.#queue = queue;
  }

  /** Whether a person looks at it. */
  get isTerminal(): boolean {
    return this.#sink.isTerminal();
  }

  /** Whether what was written last, to whatever output is on the same screen, ended within a line. */
  get isMidLine(): boolean {
    return this.#queue.isMidLine;
  }

  /**
   * Writes a piece, after all pieces before it.
   *
   * @param piece Bytes, or text that is written as UTF-8.
   * @throws {ReaderGoneError} If nobody reads any more.
   * @throws {SystemError} If it cannot be written, such as to a full disk.
   */
  write(piece: string | Uint8Array): Promise<void> {
    const bytes = typeof piece === "string" ? textToBytes(piece) : piece;
    return this.writeParts([bytes]);
  }

  /**
   * Writes a piece that begins a line of its own, also where what was written before it did not end its line.
   *
   * @param text Text that is written as UTF-8.
   * @throws As {@link Output.write} does.
   */
  writeLines(text: string): Promise<void> {
    const isMidLine = () => this.#queue.isMidLine;
    // Asked when its turn comes.
    return this.writeParts((function* () {
      yield textToBytes(isMidLine() ? `\n${text}` : text);
    })());
  }

  /** Writes a piece that itself comes in parts, such as a job's output; nothing else is written in between. */
  writeParts(parts: Iterable<Uint8Array>): Promise<void> {
    return this.#queue.add(async () => {
      const before = this.beforePiece?.() ?? "";
      if (before !== "") await this.#writeAll(textToBytes(before));
      for (const bytes of together(parts)) await this.#writeAll(bytes);
    });
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) at += await this.#sink.write(bytes.subarray(at));
      if (bytes.length > 0) this.#queue.isMidLine = !LINE_STARTS.includes(bytes.at(-1)!);
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) {
        throw new ReaderGoneError(`nobody reads ${this.#name} any more`);
      }
      throw new SystemError(`cannot write to ${this.#name}: ${reason(error)}`, { cause: error });
    }
  }
}

/** The same bytes in fewer parts: small ones are joined. */
function* together(parts: Iterable<Uint8Array>): Generator<Uint8Array> {
  let joined: Uint8Array[] = [];
  let joinedBytes = 0;
  try {
    for (const part of parts) {
      if (joinedBytes + part.length > TOGETHER_BYTES) {
        yield* joined.length > 1 ? [concatBytes(joined)] : joined;
        joined = [];
        joinedBytes = 0;
      }
      joined.push(part);
      joinedBytes += part.length;
    }
  } finally {
    // Also when there are no more because reading them failed.
    yield* joined.length > 1 ? [concatBytes(joined)] : joined;
  }
}
