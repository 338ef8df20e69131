/**
 * Items of a queue that are not due yet.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import { exclusively } from "./creation.ts";
import { type Book, countReady, type QueueLayout } from "./queue_layout.ts";
import { makeQuorumQueues } from "./quorum_queue.ts";
import { objectName } from "./store.ts";

/** 48 days: rounded up, it still is an `x-message-ttl`, which is below 2^32. */
const LONGEST_DELAY_MS = 48 * 86_400_000;

/**
 * Queues of a broker for what is delayed, one for each delay: the broker hands on to the items what was long enough in it, and takes it away here once it is
 * there.
 *
 * Invariant: a delay that is in the book has a queue, which is there until the object is deleted. It comes into the book after it is made.
 */
export class Delays {
  readonly #layout: QueueLayout;

  constructor(layout: QueueLayout) {
    this.#layout = layout;
  }

  /** All of them. */
  queues({ delays }: Book): string[] {
    return delays.map((delayMs) => this.#queue(delayMs));
  }

  /**
   * The queue for what is delayed for so long, made if it is not there.
   *
   * @throws {SystemError} If the connection is lost, or the broker refuses.
   */
  async open(connection: BrokerConnection, delayMs: number): Promise<string> {
    const { what, entry, items, log } = this.#layout;
    const queue = this.#queue(delayMs);
    const channel = await connection.channel(what);
    try {
      if ((await log.last(channel)).delays.includes(delayMs)) return queue;
    } finally {
      await channel.close();
    }
    await exclusively(connection, { what, object: entry }, async (channel) => {
      const book = await log.last(channel);
      if (book.delays.includes(delayMs)) return;
      const details = {
        "x-message-ttl": delayMs,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": items,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
      };
      await makeQuorumQueues(channel, entry, [{ queue, arguments: details }]);
      await log.append(channel, { ...book, delays: [...book.delays, delayMs] });
    });
    return queue;
  }

  /** How many items are not due yet. To be asked before those that are ready: an item goes from here to there. */
  async count(channel: BrokerChannel, book: Book): Promise<number> {
    let delayed = 0;
    for (const queue of this.queues(book)) delayed += await countReady(channel, queue);
    return delayed;
  }

  /** Throws away what is not due yet. Returns how many items that were. */
  async purge(channel: BrokerChannel, book: Book): Promise<number> {
    let purged = 0;
    for (const queue of this.queues(book)) {
      purged += (await channel.ask((raw) => raw.queuePurge({ queue }))).messageCount;
    }
    return purged;
  }

  #queue(delayMs: number): string {
    return objectName("queue", this.#layout.name, "delay", String(delayMs));
  }
}

/**
 * A delay as the broker keeps it: as it has one queue for each, they are rounded up to two digits.
 *
 * @throws {UsageError} If it is longer than 48 days.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([0.2, 1_000, 1_234, 86_400_000].map(roundDelay), [1, 1_000, 1_300, 87_000_000]);
 * ```
 */
export function roundDelay(delayMs: number): number {
  if (delayMs > LONGEST_DELAY_MS) {
    throw new UsageError("cannot delay an item that long at a broker: it must be 48 days or less");
  }
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(delayMs)) - 1);
  return Math.ceil(Math.ceil(delayMs) / unit) * unit;
}
