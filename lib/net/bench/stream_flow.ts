/**
 * The requests of one TCP connection, or any other stream: one at a time.
 *
 * @module
 */

import type { Messages } from "./message.ts";
import type { Tally } from "./tally.ts";

/** What bytes that came have led to. */
export type StreamProgress = "waiting" | "answered" | "broken";

/**
 * Follows the requests of a connection, whatever carries the bytes. A stream has no ends of messages, so a reply is as many bytes as
 * were sent. Where a server has sent too few or too many, no later reply could be told from the rest: the connection is broken.
 *
 * Invariant: each request is counted once: as answered, corrupt, lost or an error.
 */
export class StreamFlow {
  /** Where what comes is to be put, from {@link received} on: a byte longer than a reply, so that what is too much shows. */
  readonly reply: Uint8Array<ArrayBuffer>;
  /** How many bytes of the reply are there. */
  received = 0;
  /** Whether a request is under way. */
  isWaiting = false;
  /** Until when it has time. */
  deadlineMs = Infinity;
  readonly #messages: Messages;
  readonly #tally: Tally;
  readonly #sizeBytes: number;
  readonly #timeoutMs: number;
  #intendedMs = 0;

  /**
   * @param messages Of this connection.
   * @param options `tally`: where to count; `sizeBytes`: of a message; `timeoutMs`: how long a reply may take.
   */
  constructor(
    messages: Messages,
    { tally, sizeBytes, timeoutMs }: { tally: Tally; sizeBytes: number; timeoutMs: number },
  ) {
    this.#messages = messages;
    this.#tally = tally;
    this.#sizeBytes = sizeBytes;
    this.#timeoutMs = timeoutMs;
    this.reply = new Uint8Array(new ArrayBuffer((sizeBytes + 4) & ~3), 0, sizeBytes + 1);
  }

  /**
   * A request begins.
   *
   * @param nowMs The time.
   * @param intendedMs When it was to be sent; from there its time counts.
   * @returns What to send.
   */
  next(nowMs: number, intendedMs: number): Uint8Array<ArrayBuffer> {
    this.isWaiting = true;
    this.received = 0;
    this.#intendedMs = intendedMs;
    this.deadlineMs = nowMs + this.#timeoutMs;
    return this.#messages.next();
  }

  /**
   * Bytes came, and are in {@link reply}.
   *
   * @param count How many, more than 0.
   * @param nowMs The time.
   */
  take(count: number, nowMs: number): StreamProgress {
    this.received += count;
    if (this.isWaiting && this.received < this.#sizeBytes) return "waiting";
    const isWhole = this.isWaiting && this.received === this.#sizeBytes;
    this.#end();
    if (isWhole && this.#messages.check(this.reply, this.#sizeBytes) === this.#messages.last) {
      this.#tally.answered(nowMs - this.#intendedMs, nowMs);
      return "answered";
    }
    this.#tally.corrupt();
    return isWhole ? "answered" : "broken";
  }

  /** Whether the reply did not come in time; then the connection is broken. */
  expire(nowMs: number): boolean {
    if (nowMs < this.deadlineMs) return false;
    this.#end();
    this.#tally.count("lost");
    return true;
  }

  /** The connection broke. */
  cut(reason: string): void {
    this.#tally.error(reason, this.isWaiting);
    this.#end();
  }

  #end(): void {
    this.isWaiting = false;
    this.received = 0;
    this.deadlineMs = Infinity;
  }
}
