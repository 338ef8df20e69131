/**
 * The requests of one UDP socket: which reply answers which, and what was lost, doubled or overtaken on the way.
 *
 * Sources: RFC 4737 (reordering: a datagram that comes behind one with a higher number), RFC 5560 (duplicates), RFC 6673 (round-trip
 * loss: no reply within a time), RFC 5681 (three that came later say that one is probably lost).
 *
 * @module
 */

import type { Messages } from "./message.ts";
import type { Tally } from "./tally.ts";

/** A request that was overtaken by so many no longer keeps another from being sent. */
const OVERTAKEN = 3;
/** Of how many requests that were lost it is remembered that a reply that still comes is late. */
const REMEMBERED = 65_536;

interface Request {
  intendedMs: number;
  deadlineMs: number;
  /** How many that were sent later were answered. */
  overtaken: number;
}

/**
 * Follows the requests of a socket, whatever carries the datagrams.
 *
 * Up to a window of requests are under way. One that was overtaken three times is probably lost: it gives up its place, so that a network
 * that loses much is measured as fast as one that loses nothing; but it counts as lost only when its time is up. Invariant: each request
 * is counted once: as answered, corrupt or lost.
 *
 * Cannot be told: where a message has no room for its number (10 bytes), a duplicate from a late reply and from the answer to another.
 */
export class DatagramFlow {
  readonly #messages: Messages;
  readonly #tally: Tally;
  readonly #timeoutMs: number;
  readonly #window: number;
  /** Those that keep others from being sent, the oldest first. */
  readonly #underWay = new Map<number, Request>();
  /** Those that were overtaken, the oldest first. */
  readonly #passed = new Map<number, Request>();
  readonly #lost = new Set<number>();
  #highest = 0;

  /**
   * @param messages Of this socket.
   * @param options `tally`: where to count; `timeoutMs`: how long a reply may take; `window`: how many requests may be under way.
   */
  constructor(
    messages: Messages,
    { tally, timeoutMs, window }: { tally: Tally; timeoutMs: number; window: number },
  ) {
    this.#messages = messages;
    this.#tally = tally;
    this.#timeoutMs = timeoutMs;
    // What cannot be told apart is not to be under way together.
    this.#window = Math.max(1, Math.min(window, Math.floor(messages.numbers / 2)));
  }

  /** Whether one more may be sent. */
  get hasRoom(): boolean {
    return this.#underWay.size < this.#window;
  }

  /** Whether replies may still come. */
  get isWaiting(): boolean {
    return this.#underWay.size + this.#passed.size > 0;
  }

  /**
   * A request begins.
   *
   * @param nowMs The time.
   * @param intendedMs When it was to be sent; from there its time counts.
   * @returns What to send.
   */
  next(nowMs: number, intendedMs: number): Uint8Array<ArrayBuffer> {
    const bytes = this.#messages.next();
    const deadlineMs = nowMs + this.#timeoutMs;
    this.#underWay.set(this.#messages.last, { intendedMs, deadlineMs, overtaken: 0 });
    return bytes;
  }

  /**
   * A datagram came.
   *
   * @param reply Its bytes, at the beginning of the buffer.
   * @param length How many.
   * @param nowMs The time.
   */
  take(reply: Uint8Array<ArrayBuffer>, length: number, nowMs: number): void {
    const number = this.#messages.check(reply, length);
    if (number === 0) return this.#takeCorrupt(this.#messages.identify(reply, length));
    const request = this.#underWay.get(number) ?? this.#passed.get(number);
    if (request === undefined) return this.#tally.count(this.#lost.delete(number) ? "late" : "duplicated");
    this.#forget(number);
    this.#tally.answered(nowMs - request.intendedMs, nowMs);
    if (number < this.#highest) this.#tally.count("reordered");
    else this.#highest = number;
    this.#overtake(number);
  }

  /** Whether the time of a request is up. */
  isOverdue(nowMs: number): boolean {
    return [this.#passed, this.#underWay].some((requests) => {
      const [oldest] = requests.values();
      return oldest !== undefined && nowMs >= oldest.deadlineMs;
    });
  }

  /** Counts requests whose time is up. */
  expire(nowMs: number): void {
    for (const requests of [this.#passed, this.#underWay]) {
      for (const [number, { deadlineMs }] of requests) {
        if (nowMs < deadlineMs) break;
        requests.delete(number);
        this.#tally.count("lost");
        this.#lost.add(number);
      }
    }
    for (const number of this.#lost) {
      if (this.#lost.size <= REMEMBERED) break;
      this.#lost.delete(number);
    }
  }

  /** What is wrong answers the request whose number it has, else the oldest. */
  #takeCorrupt(number: number): void {
    const isKnown = this.#underWay.has(number) || this.#passed.has(number);
    const [oldest = 0] = this.#underWay.keys();
    this.#forget(isKnown ? number : oldest);
    this.#tally.corrupt();
  }

  #forget(number: number): void {
    if (!this.#underWay.delete(number)) this.#passed.delete(number);
  }

  #overtake(by: number): void {
    for (const [number, request] of this.#underWay) {
      if (number > by) break;
      request.overtaken += 1;
      if (request.overtaken < OVERTAKEN) continue;
      this.#underWay.delete(number);
      this.#passed.set(number, request);
    }
  }
}
