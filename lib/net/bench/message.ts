/**
 * What a bench sends, and what must come back.
 *
 * A message begins with its number in decimal digits, as many as fit, which no transform changes but to turn them around; behind it
 * stands the number of its connection, if there is room. It ends with a line feed, so that servers that want lines answer too. What
 * lies between differs from connection to connection: where letters may change it is printable, otherwise every byte occurs.
 *
 * @module
 */

import { seededRandom } from "../../random.ts";
import { type Transform, transform } from "../transform.ts";

const LINE_FEED = 10;
const ZERO = 48;
const NINE = 57;
const NUMBER_DIGITS = 10;
const CONNECTION_DIGITS = 5;
const FIRST_PRINTABLE = 32;
const PRINTABLE = 95;
/** So much is drawn, and comes again and again. As it is a prime number, blocks of a buffer that change places differ. */
const PERIOD_BYTES = 65_521;

/** See {@link Messages}. */
export interface MessageShape {
  sizeBytes: number;
  /** What the server does to a message. */
  transform: Transform;
}

/**
 * The messages of one connection, one after the other, in the same bytes.
 *
 * Invariant: a reply passes the check only if every byte of it is what must come back for a message that was sent.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const messages = new Messages({ sizeBytes: 64, transform: "upper" }, 0);
 * const reply = new TextEncoder().encode(new TextDecoder().decode(messages.next()).toUpperCase());
 * assertEquals(messages.check(reply, 64), 1);
 * ```
 */
export class Messages {
  /** The number of the last message; the first is 1. */
  last = 0;
  /** How many numbers can be told apart. */
  readonly numbers: number;
  readonly #size: number;
  readonly #digits: number;
  readonly #sent: Uint8Array<ArrayBuffer>;
  readonly #expected: Uint8Array<ArrayBuffer>;
  readonly #expectedWords: Int32Array;
  /** Where the number begins in a reply, and in which direction it runs. */
  readonly #replyStart: number;
  readonly #replyStep: 1 | -1;
  #expectedNumber = 0;

  /**
   * @param shape Of each message.
   * @param connection The number of the connection.
   */
  constructor({ sizeBytes, transform: how }: MessageShape, connection: number) {
    this.#size = sizeBytes;
    this.#digits = Math.min(NUMBER_DIGITS, sizeBytes - 1);
    this.numbers = 10 ** this.#digits;
    this.#sent = padded(sizeBytes);
    fill(this.#sent, { how, connection });
    this.#sent.fill(ZERO, 0, this.#digits);
    const connectionEnd = NUMBER_DIGITS + CONNECTION_DIGITS;
    if (sizeBytes > connectionEnd) {
      writeNumber(this.#sent, connection, { start: NUMBER_DIGITS, step: 1, digits: CONNECTION_DIGITS });
    }
    this.#sent[sizeBytes - 1] = LINE_FEED;
    this.#expected = padded(sizeBytes);
    this.#expected.set(transform(this.#sent.slice(), how));
    this.#expectedWords = new Int32Array(this.#expected.buffer);
    this.#replyStep = how === "reverse" ? -1 : 1;
    this.#replyStart = how === "reverse" ? sizeBytes - 2 : 0;
  }

  /** The bytes of the next message; good until the one after it. */
  next(): Uint8Array<ArrayBuffer> {
    this.last += 1;
    increment(this.#sent, { start: 0, step: 1, digits: this.#digits });
    return this.#sent;
  }

  /**
   * The number of the message that must have led to a reply, by its digits alone.
   *
   * @param reply What came.
   * @param length How many bytes of it.
   * @returns 0 if it has no such number.
   */
  identify(reply: Uint8Array, length: number): number {
    const { last, numbers } = this;
    let rest = 0;
    for (let i = 0; i < this.#digits; i++) {
      const at = this.#replyStart + i * this.#replyStep;
      const digit = reply[at]! - ZERO;
      if (!(digit >= 0 && digit <= 9) || at >= length) return 0;
      rest = rest * 10 + digit;
    }
    // The last that was sent of those that look like this.
    const number = last - (((last - rest) % numbers) + numbers) % numbers;
    return Math.max(0, number);
  }

  /**
   * Checks every byte of a reply.
   *
   * @param reply What came, at the beginning of its buffer.
   * @param length How many bytes of it.
   * @returns The number of the message that it answers; 0 if it is not what must come back for any that was sent.
   */
  check(reply: Uint8Array<ArrayBuffer>, length: number): number {
    if (length !== this.#size) return 0;
    const number = this.identify(reply, length);
    if (number === 0) return 0;
    this.#expect(number);
    return this.#isExpected(reply) ? number : 0;
  }

  #expect(number: number): void {
    if (number === this.#expectedNumber) return;
    const place = { start: this.#replyStart, step: this.#replyStep, digits: this.#digits };
    if (number === this.#expectedNumber + 1) increment(this.#expected, place);
    else writeNumber(this.#expected, number, place);
    this.#expectedNumber = number;
  }

  /** Compares word by word, which is several times as fast as byte by byte. */
  #isExpected(reply: Uint8Array<ArrayBuffer>): boolean {
    const words = this.#expectedWords;
    const whole = this.#size >> 2;
    const { buffer, byteOffset, byteLength } = reply;
    let at = 0;
    if (byteOffset % 4 === 0) {
      const replyWords = wordsOf(buffer, { byteOffset, byteLength });
      for (let i = 0; i < whole; i++) if (replyWords[i] !== words[i]) return false;
      at = whole * 4;
    }
    for (; at < this.#size; at++) if (reply[at] !== this.#expected[at]) return false;
    return true;
  }
}

/** Where a number stands. */
interface Place {
  start: number;
  step: 1 | -1;
  digits: number;
}

const views = new WeakMap<ArrayBuffer, Int32Array>();

/** The words of a buffer: replies come in the same few buffers again and again. */
function wordsOf(
  buffer: ArrayBuffer,
  { byteOffset, byteLength }: { byteOffset: number; byteLength: number },
): Int32Array {
  if (byteOffset !== 0) return new Int32Array(buffer, byteOffset, byteLength >> 2);
  let words = views.get(buffer);
  if (words === undefined) views.set(buffer, words = new Int32Array(buffer, 0, buffer.byteLength >> 2));
  return words;
}

function padded(sizeBytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer((sizeBytes + 3) & ~3), 0, sizeBytes);
}

function fill(bytes: Uint8Array, { how, connection }: { how: Transform; connection: number }): void {
  const random = seededRandom(connection);
  const [first, count] = how === "none" ? [0, 256] : [FIRST_PRINTABLE, PRINTABLE];
  const drawn = Math.min(bytes.length, PERIOD_BYTES);
  for (let i = 0; i < drawn; i++) bytes[i] = first + Math.floor(random() * count);
  for (let filled = drawn; filled < bytes.length; filled *= 2) bytes.copyWithin(filled, 0, filled);
}

/** Adds 1 to a number. Mostly the last digit alone changes. */
function increment(bytes: Uint8Array, { start, step, digits }: Place): void {
  for (let i = digits - 1; i >= 0; i--) {
    const at = start + i * step;
    if (bytes[at] !== NINE) {
      bytes[at]! += 1;
      return;
    }
    bytes[at] = ZERO;
  }
}

function writeNumber(bytes: Uint8Array, number: number, { start, step, digits }: Place): void {
  let rest = number;
  for (let i = digits - 1; i >= 0; i--) {
    bytes[start + i * step] = ZERO + rest % 10;
    rest = Math.floor(rest / 10);
  }
}
