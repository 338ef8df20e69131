/**
 * A heap of blocks in memory that threads share.
 *
 * @module
 */

/** How many words of the header a heap takes. */
export const HEAP_WORDS = 1;
const FIRST_BYTES = 2 ** 10;
const MAX_BYTES = 2 ** 28;

/** Makes memory for a {@link Heap}. It grows as it is needed. */
export function makeHeap(): SharedArrayBuffer {
  return new SharedArrayBuffer(FIRST_BYTES, { maxByteLength: MAX_BYTES });
}

/**
 * A binary heap of the blocks of an arena, by their two numbers. Only inside the monitor whose header it uses.
 *
 * Invariant: no block comes before its parent.
 */
export class Heap {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #buffer: SharedArrayBuffer;
  readonly #blocks: Int32Array;
  readonly #numbers: Float64Array;

  /** @param options The header and where in it the heap's word is, memory made by {@link makeHeap}, the numbers of the arena. */
  constructor(
    { words, at, buffer, numbers }: {
      words: Int32Array;
      at: number;
      buffer: SharedArrayBuffer;
      numbers: Float64Array;
    },
  ) {
    this.#words = words;
    this.#at = at;
    this.#buffer = buffer;
    this.#blocks = new Int32Array(buffer);
    this.#numbers = numbers;
  }

  /** How many blocks are in it. */
  get size(): number {
    return this.#words[this.#at]!;
  }

  /** Makes room, so that {@link push} cannot fail. */
  reserve(blocks: number): void {
    const bytes = 4 * blocks;
    if (bytes > this.#buffer.byteLength) this.#buffer.grow(Math.max(bytes, 2 * this.#buffer.byteLength));
  }

  /** Puts a block in. */
  push(block: number): void {
    const blocks = this.#blocks;
    let place = this.#words[this.#at]!++;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!this.#isBefore(block, blocks[parent]!)) break;
      blocks[place] = blocks[parent]!;
      place = parent;
    }
    blocks[place] = block;
  }

  /** Takes the first block out. There must be one. */
  pop(): number {
    const blocks = this.#blocks;
    const first = blocks[0]!;
    const size = --this.#words[this.#at]!;
    const last = blocks[size]!;
    let place = 0;
    for (let child = 1; child < size; child = 2 * place + 1) {
      if (child + 1 < size && this.#isBefore(blocks[child + 1]!, blocks[child]!)) child += 1;
      if (!this.#isBefore(blocks[child]!, last)) break;
      blocks[place] = blocks[child]!;
      place = child;
    }
    blocks[place] = last;
    return first;
  }

  #isBefore(a: number, b: number): boolean {
    const numbers = this.#numbers;
    const [first, second] = [numbers[a + 1]!, numbers[b + 1]!];
    return first === second ? numbers[a + 2]! < numbers[b + 2]! : first < second;
  }
}
