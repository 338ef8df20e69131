/**
 * Where the output of running jobs waits: in memory while there is little, then in one temporary file that has no name any
 * more, so that nothing is left behind however conc ends.
 *
 * @module
 */

import { reason, SystemError } from "../errors.ts";

/** How much all blocks of a {@link Spill} keep in memory before they use the file. */
const MEMORY_BYTES = 32 * 2 ** 20;
/** A block that is longer than this goes to the file, so that one job does not take the memory of all. */
const BLOCK_MEMORY_BYTES = 2 ** 20;
const READ_BYTES = 64 * 2 ** 10;

/** A piece of a block: bytes, or where they are in the file. */
type Piece = Uint8Array | { offset: number; length: number };

/** The memory and the file that the blocks of one pool share. */
export class Spill implements Disposable {
  readonly #memoryBytes: number;
  #usedBytes = 0;
  #file: Deno.FsFile | undefined;
  #fileEnd = 0;
  #pieces = 0;

  /** @param options `memoryBytes`: how much is kept in memory. Default 32 MiB. */
  constructor({ memoryBytes = MEMORY_BYTES }: { memoryBytes?: number } = {}) {
    this.#memoryBytes = memoryBytes;
  }

  /** A new, empty block. */
  block(): OutputBlock {
    return new OutputBlock(this);
  }

  /** Takes memory if there is enough. Used by {@link OutputBlock}. */
  reserve(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#memoryBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  /** Gives a piece's memory or place in the file back. Used by {@link OutputBlock}. */
  free(piece: Piece): void {
    if (piece instanceof Uint8Array) {
      this.#usedBytes -= piece.length;
    } else if (--this.#pieces === 0) {
      this.#file!.truncateSync(0);
      this.#fileEnd = 0;
    }
  }

  /** Writes bytes to the end of the file. Used by {@link OutputBlock}. */
  store(bytes: Uint8Array): Piece {
    try {
      this.#file ??= openUnnamed();
      this.#file.seekSync(this.#fileEnd, Deno.SeekMode.Start);
      for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
    } catch (error) {
      throw new SystemError(
        `cannot keep output in a temporary file: ${reason(error)}: TMPDIR names another place`,
        {
          cause: error,
        },
      );
    }
    const piece = { offset: this.#fileEnd, length: bytes.length };
    this.#fileEnd += bytes.length;
    this.#pieces += 1;
    return piece;
  }

  /** Reads bytes of the file. Used by {@link OutputBlock}. */
  load(offset: number, buffer: Uint8Array): void {
    this.#file!.seekSync(offset, Deno.SeekMode.Start);
    for (let at = 0; at < buffer.length;) at += this.#file!.readSync(buffer.subarray(at)) ?? buffer.length;
  }

  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = undefined;
  }
}

/** Bytes that were appended and are read later, in order. */
export class OutputBlock {
  readonly #spill: Spill;
  #pieces: Piece[] = [];
  #memoryBytes = 0;
  /** How many bytes were appended, whether or not they were read since. */
  sizeBytes = 0;

  /** Use {@link Spill.block}. */
  constructor(spill: Spill) {
    this.#spill = spill;
  }

  /**
   * Appends bytes, which must not change afterwards.
   *
   * @throws {SystemError} If they fit neither in memory nor into the file.
   */
  append(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const inMemory = this.#memoryBytes + bytes.length <= BLOCK_MEMORY_BYTES &&
      this.#spill.reserve(bytes.length);
    this.#pieces.push(inMemory ? bytes : this.#spill.store(bytes));
    if (inMemory) this.#memoryBytes += bytes.length;
    this.sizeBytes += bytes.length;
  }

  /** What was appended, in parts; it may be read again. */
  *parts(): Generator<Uint8Array> {
    for (const piece of this.#pieces) {
      if (piece instanceof Uint8Array) {
        yield piece;
        continue;
      }
      for (let at = 0; at < piece.length; at += READ_BYTES) {
        const buffer = new Uint8Array(Math.min(READ_BYTES, piece.length - at));
        this.#spill.load(piece.offset + at, buffer);
        yield buffer;
      }
    }
  }

  /** Forgets what was appended. */
  clear(): void {
    for (const piece of this.#pieces) this.#spill.free(piece);
    this.#pieces = [];
    this.#memoryBytes = 0;
    this.sizeBytes = 0;
  }
}

function openUnnamed(): Deno.FsFile {
  const path = Deno.makeTempFileSync({ prefix: "conc-" });
  const file = Deno.openSync(path, { read: true, write: true });
  // Windows removes no open file: there it stays until the system cleans its temporary directory.
  if (Deno.build.os !== "windows") Deno.removeSync(path);
  return file;
}
