/**
 * What this process has received from a queue and not settled, and how others learn of it.
 *
 * @module
 */

import type { SyncMessage } from "rabbitmq-client";
import { NotHeldError } from "../errors.ts";
import type { Delivery } from "../named.ts";
import type { Awaitable } from "../primitives.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import { closeSoon, type Delivered, Inbox } from "./inbox.ts";
import { type ItemRecord, readItem, returnsOf } from "./item.ts";
import type { Book, QueueLayout } from "./queue_layout.ts";
import { RollCall } from "./roll_call.ts";

/** What one process has of a queue. */
export interface Share {
  /** Messages that came and were not settled. */
  leased: number;
  /** How many came so far. */
  received: number;
  /** How many wait for one. */
  waiting: number;
}

/** What all processes together have. */
export interface Shares extends Share {
  /** Whether everybody answered. */
  isWhole: boolean;
}

/** A message that is ours until it is settled. */
export interface Receipt {
  channel: BrokerChannel;
  message: Delivered | SyncMessage;
  record: ItemRecord;
  attempts: number;
  /** Whether the channel is for this one only. */
  isAlone: boolean;
}

/**
 * The receipts of one queue.
 *
 * Invariant: what has come and is neither settled, given back nor lost is counted in our {@link Share} from the moment it comes, before anybody here can
 * have it; so a queue in which nothing is ready, and of which nobody has anything, has nothing under way.
 */
export class Receipts {
  /** Told of what was lost with its channel. */
  onLost: (token: string, reason: Error) => void = () => {};
  readonly #layout: QueueLayout;
  readonly #share: Share = { leased: 0, received: 0, waiting: 0 };
  readonly #roll: RollCall<Share>;
  readonly #joined = new WeakMap<BrokerConnection, Promise<void>>();
  readonly #held = new Map<string, Receipt>();
  readonly #watched = new WeakSet<BrokerChannel>();
  #count = 0;

  constructor(layout: QueueLayout) {
    this.#layout = layout;
    this.#roll = new RollCall(layout.roll, layout.what);
  }

  /** From now on we answer who asks; before the first item is received over a connection. */
  async join(connection: BrokerConnection): Promise<void> {
    let joined = this.#joined.get(connection);
    if (joined === undefined) {
      joined = this.#join(connection);
      this.#joined.set(connection, joined);
      joined.catch(() => this.#joined.delete(connection));
    }
    await joined;
  }

  /** A message has come. */
  arrived = (): void => {
    this.#share.leased += 1;
    this.#share.received += 1;
  };

  /** So many messages that came are not ours any more. */
  left(count: number): void {
    this.#share.leased -= count;
  }

  /** Counts one more who waits, until the result is called. */
  waits(): () => void {
    this.#share.waiting += 1;
    return () => this.#share.waiting -= 1;
  }

  /** Takes a message that has come into the books. */
  add(
    message: Delivered | SyncMessage,
    { channel, book, isAlone = false }: { channel: BrokerChannel; book: Book; isAlone?: boolean },
  ): Delivery<Uint8Array> {
    const token = String(++this.#count);
    const record = readItem(message);
    // A worker that died gave it back; who only looked has said so.
    const attempts = record.failures + 1 + Math.max(0, returnsOf(message) - book.uncounted);
    this.#held.set(token, { channel, message, record, attempts, isAlone });
    this.#watch(channel);
    return { item: record.bytes, token, attempts };
  }

  /**
   * Settles what is held under a token. It counts as ours until that is done, or has failed.
   *
   * @param work Settles it, and waits until the broker has heard so.
   * @throws {NotHeldError} If there is none.
   * @throws What `work` throws.
   */
  async settle(token: string, work: (receipt: Receipt) => Awaitable<void>): Promise<void> {
    const receipt = this.#take(token);
    try {
      await work(receipt);
    } finally {
      this.left(1);
      if (receipt.isAlone) await receipt.channel.close();
    }
  }

  #take(token: string): Receipt {
    const receipt = this.#held.get(token);
    if (receipt === undefined || receipt.channel.lost.aborted) {
      throw new NotHeldError(
        `cannot settle an item as the lease '${token}' must be held: it was settled, or has ended`,
      );
    }
    this.#held.delete(token);
    return receipt;
  }

  /** Whether there is something under a token. */
  has(token: string): boolean {
    return this.#held.has(token);
  }

  /** What all have, at this moment. */
  async ask(connection: BrokerConnection): Promise<Shares> {
    const members = await this.#countMembers(connection);
    const shares = members === 0
      ? []
      : await this.#roll.ask(connection, (answers) => answers.length >= members);
    const sum = (key: keyof Share) => shares.reduce((total, share) => total + share[key], 0);
    return {
      leased: sum("leased"),
      received: sum("received"),
      waiting: sum("waiting"),
      isWhole: shares.length >= members,
    };
  }

  async #countMembers(connection: BrokerConnection): Promise<number> {
    const { what, members } = this.#layout;
    const channel = await connection.channel(what);
    try {
      const counts = await channel.ask((raw) => raw.queueDeclare({ queue: members, passive: true }));
      return counts.consumerCount;
    } finally {
      await channel.close();
    }
  }

  async #join(connection: BrokerConnection): Promise<void> {
    await this.#roll.join(connection, this.#share);
    const channel = await connection.channel(this.#layout.what);
    try {
      await Inbox.open(channel, this.#layout.members);
    } catch (error) {
      // A broker that answers late would count us twice.
      await closeSoon(channel);
      throw error;
    }
  }

  #watch(channel: BrokerChannel): void {
    if (this.#watched.has(channel)) return;
    this.#watched.add(channel);
    const lose = () => {
      for (const [token, receipt] of this.#held) {
        if (receipt.channel !== channel) continue;
        this.#held.delete(token);
        this.left(1);
        this.onLost(token, channel.lost.reason);
      }
    };
    channel.lost.addEventListener("abort", lose, { once: true });
  }
}
