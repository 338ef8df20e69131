/**
 * Taking what is ready out of a queue, without waiting.
 *
 * @module
 */

import type { Delivery } from "../named.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import { type ItemRecord, readItem } from "./item.ts";
import type { Putting } from "./putting.ts";
import type { Book, QueueLayout } from "./queue_layout.ts";
import type { Receipts } from "./receipts.ts";

/**
 * The way out of one queue for those who do not wait.
 *
 * Invariant: what is taken is counted as received before anybody here can have it; what is only looked at goes back to its old place.
 */
export class Taking {
  readonly #layout: QueueLayout;
  readonly #receipts: Receipts;
  readonly #putting: Putting;
  readonly #isLimited: boolean;
  readonly #channels = new WeakMap<BrokerConnection, Promise<BrokerChannel>>();

  /** @param options `isLimited`: whether there may be some who wait for room. */
  constructor(
    { layout, receipts, putting, isLimited }: {
      layout: QueueLayout;
      receipts: Receipts;
      putting: Putting;
      isLimited: boolean;
    },
  ) {
    this.#layout = layout;
    this.#receipts = receipts;
    this.#putting = putting;
    this.#isLimited = isLimited;
  }

  /** Takes items until there are so many, or so many bytes, or none is ready. */
  async takeMany(
    connection: BrokerConnection,
    { count, maxBytes }: { count: number; maxBytes: number },
  ): Promise<Delivery<Uint8Array>[]> {
    const received: Delivery<Uint8Array>[] = [];
    const { channel, book } = await this.ready(connection);
    for (let bytes = 0; received.length < count && bytes < maxBytes;) {
      const delivery = await this.takeOne(channel, book);
      if (delivery === undefined) break;
      received.push(delivery);
      bytes += delivery.item.length;
    }
    return received;
  }

  /** A channel to take what is ready, and how the queue stands. */
  async ready(connection: BrokerConnection): Promise<{ channel: BrokerChannel; book: Book }> {
    try {
      await this.#receipts.join(connection);
      let opening = this.#channels.get(connection);
      if (opening !== undefined && (await opening).lost.aborted) opening = undefined;
      if (opening === undefined) {
        opening = connection.channel(this.#layout.what);
        this.#channels.set(connection, opening);
      }
      const channel = await opening;
      return { channel, book: await this.#layout.read(channel) };
    } catch (error) {
      throw this.#layout.gone(error);
    }
  }

  /** Takes the next item; undefined if none is ready. */
  async takeOne(channel: BrokerChannel, book: Book): Promise<Delivery<Uint8Array> | undefined> {
    const message = await channel.ask((raw) => raw.basicGet({ queue: this.#layout.items })).catch((error) => {
      throw this.#layout.gone(error);
    });
    if (message === undefined) return undefined;
    this.#receipts.arrived();
    this.tookOne(channel);
    return this.#receipts.add(message, { channel, book });
  }

  /** There may be room now. */
  tookOne(channel: BrokerChannel): void {
    if (this.#isLimited) this.#putting.tellRoom(channel);
  }

  /** The next items, which stay where they are. While we look, they are not there for others. */
  async peek(connection: BrokerConnection, count: number): Promise<Uint8Array[]> {
    const channel = await connection.channel(this.#layout.what);
    const found: ItemRecord[] = [];
    try {
      // What is looked at counts as given back with the broker.
      await this.#layout.change(connection, ({ uncounted }) => ({ uncounted: uncounted + 1 }));
      while (found.length < count) {
        const message = await channel.ask((raw) => raw.basicGet({ queue: this.#layout.items }));
        if (message === undefined) break;
        found.push(readItem(message));
      }
    } finally {
      // All go back to their old places.
      await channel.close();
    }
    return found.map(({ bytes }) => bytes);
  }

  /** Throws away all that is ready or delayed. Returns how many that were. */
  async purge(connection: BrokerConnection): Promise<number> {
    const channel = await connection.channel(this.#layout.what);
    try {
      let purged = await this.#layout.delays.purge(channel, await this.#layout.read(channel));
      purged += (await channel.ask((raw) => raw.queuePurge({ queue: this.#layout.items }))).messageCount;
      this.tookOne(channel);
      return purged;
    } catch (error) {
      throw this.#layout.gone(error);
    } finally {
      await channel.close();
    }
  }
}
