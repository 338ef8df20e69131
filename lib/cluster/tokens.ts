/**
 * The permits of an object: tokens in a queue, and the book in which those that count are entered.
 *
 * @module
 */

import type { BrokerChannel } from "./channel.ts";
import { type Delivered, Inbox } from "./inbox.ts";
import type { Log } from "./log.ts";

/** Which tokens count. Kept in the log of the object. */
export interface Book {
  /** How many permits there are to be. Fewer than tokens while more are held than there are to be. */
  permits: number;
  /** The numbers of the tokens that count, as ranges: from, and up to but not including. */
  tokens: readonly (readonly [from: number, to: number])[];
  /** A number that no token had yet. */
  next: number;
}

/** A token that was delivered. */
export interface Token {
  /** Its number: no two tokens of an object ever have the same. */
  id: number;
  delivered: Delivered;
}

/** How many numbers of consumers, and so of tokens taken at once, fit in the protocol. */
export const MOST_PERMITS = 65_535;

const encoder = new TextEncoder();

/** How many tokens count. */
export function countTokens({ tokens }: Book): number {
  return tokens.reduce((sum, [from, to]) => sum + to - from, 0);
}

/** Whether a token counts. */
export function counts({ tokens }: Book, id: number): boolean {
  return tokens.some(([from, to]) => from <= id && id < to);
}

/**
 * A book without some tokens.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const book = { permits: 2, tokens: [[0, 5]], next: 5 } as const;
 * assertEquals(without(book, [1, 4]).tokens, [[0, 1], [2, 4]]);
 * ```
 */
export function without(book: Book, ids: readonly number[]): Book {
  const tokens = ids.reduce<Book["tokens"]>(
    (ranges, id) =>
      ranges.flatMap(([from, to]) =>
        id < from || id >= to
          ? [[from, to] as const]
          : ([[from, id], [id + 1, to]] as const).filter(([from, to]) => from < to)
      ),
    book.tokens,
  );
  return { ...book, tokens };
}

/**
 * The queue with the tokens of an object.
 *
 * Invariant: a token that counts is in the queue, or somebody has it unacknowledged. A token is put in the queue before it is entered in the
 * book, and destroyed after it was struck out: one that does not count is what a crash left, and whoever receives it destroys it.
 */
export class Tokens {
  /** A quorum queue. */
  readonly queue: string;

  constructor(queue: string) {
    this.queue = queue;
  }

  /** Puts new tokens in the queue, and enters them in the book. Only who may append to its log. */
  async add(channel: BrokerChannel, { log, book, count }: { log: Log<Book>; book: Book; count: number }) {
    const { next } = book;
    const numbered = { ...book, next: next + count };
    await log.append(channel, numbered);
    await Promise.all(
      Array.from(
        { length: count },
        (_, index) => channel.publish({ routingKey: this.queue }, encoder.encode(String(next + index))),
      ),
    );
    const entered: Book = { ...numbered, tokens: [...book.tokens, [next, next + count]] };
    await log.append(channel, entered);
    return entered;
  }

  /** Listens for so many. */
  listen(channel: BrokerChannel, count: number): Promise<Inbox> {
    return Inbox.open(channel, this.queue, { prefetch: count });
  }

  /** Takes a token if there is one, else returns undefined. */
  async take(channel: BrokerChannel): Promise<Token | undefined> {
    const message = await channel.ask((raw) => raw.basicGet({ queue: this.queue }));
    return message && token(message as unknown as Delivered);
  }

  /** How many are in the queue, to be taken. */
  async ready(channel: BrokerChannel): Promise<number> {
    const counts = await channel.ask((raw) => raw.queueDeclare({ queue: this.queue, passive: true }));
    return counts.messageCount;
  }
}

/** The token that a message is. */
export function token(delivered: Delivered): Token {
  return { id: Number(String(delivered.body)), delivered };
}

/** Puts tokens back in the queue, for the next. The broker is told at once, and does not answer. */
export function putBack({ raw }: BrokerChannel, tokens: readonly Token[]): void {
  for (const { delivered: { deliveryTag } } of tokens) raw.basicNack({ deliveryTag, requeue: true });
}

/** Destroys tokens, which no book counts any more. */
export function destroy({ raw }: BrokerChannel, tokens: readonly Token[]): void {
  for (const { delivered: { deliveryTag } } of tokens) raw.basicAck({ deliveryTag });
}
