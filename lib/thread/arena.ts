/**
 * Room for bytes in memory that threads share.
 *
 * @module
 */

import { SystemError } from "../errors.ts";

/*
 * Blocks are named by their place, in units of 8 bytes. A block has three units before its bytes: its size class and the length of its
 * bytes (while it is free: the next free block of the class), and two numbers that belong to whoever took it.
 */
const UNIT_BYTES = 8;
const HEAD_UNITS = 3;
const SMALLEST_CLASS = 5;
const CLASSES = 27;
const FIRST_BYTES = 2 ** 12;

/** Where the bytes end that were ever taken, and behind it the first free block of each class. */
const END = 0;
const FREE = 1;
/** How many words of the header an arena takes. */
export const ARENA_WORDS = 1 + CLASSES;

/**
 * Makes memory for an {@link Arena}. It grows as it is needed.
 *
 * @param maxBytes How large it may grow.
 */
export function makeArena(maxBytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(Math.min(FIRST_BYTES, maxBytes), { maxByteLength: maxBytes });
}

/**
 * Blocks of bytes. Sizes are powers of two, each with a list of free blocks of its own, so taking and giving back takes as long for
 * any number of blocks; half of the room may be unused. Only inside the monitor whose header it uses.
 *
 * Invariant: every unit before the end belongs to exactly one block, taken or in one list.
 *
 * Source: segregated fits, in P. R. Wilson et al., "Dynamic Storage Allocation: A Survey and Critical Review" (1995).
 */
export class Arena {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #buffer: SharedArrayBuffer;
  /** These three grow with the buffer. */
  readonly #bytes: Uint8Array;
  readonly #ints: Int32Array;
  /** Two numbers of each block, at its place + 1 and + 2. */
  readonly numbers: Float64Array;

  /** @param options `words`, `at`: the header and where in it the arena's words are; `buffer`: made by {@link makeArena}. */
  constructor({ words, at, buffer }: { words: Int32Array; at: number; buffer: SharedArrayBuffer }) {
    this.#words = words;
    this.#at = at;
    this.#buffer = buffer;
    this.#bytes = new Uint8Array(buffer);
    this.#ints = new Int32Array(buffer);
    this.numbers = new Float64Array(buffer);
  }

  /**
   * Takes a block and fills it.
   *
   * @throws {SystemError} If there is no room.
   */
  take(bytes: Uint8Array): number {
    const needed = HEAD_UNITS * UNIT_BYTES + bytes.length;
    const sizeClass = Math.max(SMALLEST_CLASS, Math.ceil(Math.log2(needed)));
    const list = this.#at + FREE + sizeClass - SMALLEST_CLASS;
    let block = this.#words[list]!;
    if (block !== 0) this.#words[list] = this.#ints[2 * block + 1]!;
    else block = this.#extend(2 ** sizeClass);
    this.#ints[2 * block] = sizeClass;
    this.#ints[2 * block + 1] = bytes.length;
    this.#bytes.set(bytes, (block + HEAD_UNITS) * UNIT_BYTES);
    return block;
  }

  /** The bytes of a block, copied. */
  read(block: number): Uint8Array<ArrayBuffer> {
    const start = (block + HEAD_UNITS) * UNIT_BYTES;
    return this.#bytes.slice(start, start + this.#ints[2 * block + 1]!) as Uint8Array<ArrayBuffer>;
  }

  /** Gives a block back. */
  give(block: number): void {
    const list = this.#at + FREE + this.#ints[2 * block]! - SMALLEST_CLASS;
    this.#ints[2 * block + 1] = this.#words[list]!;
    this.#words[list] = block;
  }

  /** Takes bytes from behind the end. */
  #extend(bytes: number): number {
    // The first unit stays free: 0 is no block.
    const block = this.#words[this.#at + END]! || 1;
    const end = block * UNIT_BYTES + bytes;
    const { byteLength, maxByteLength } = this.#buffer;
    if (end > maxByteLength) {
      throw new SystemError(
        `cannot keep that much between threads as 'maxBytes' is ${maxByteLength}: make it with more`,
      );
    }
    if (end > byteLength) this.#buffer.grow(Math.min(maxByteLength, Math.max(2 * byteLength, end)));
    this.#words[this.#at + END] = end / UNIT_BYTES;
    return block;
  }
}
