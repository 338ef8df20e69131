/**
 * Putting items into a queue.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { SystemError } from "../errors.ts";
import { follow } from "../abort.ts";
import { Timer } from "../time/timer.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import type { Pass } from "./gate.ts";
import { closeSoon, Inbox } from "./inbox.ts";
import { envelopeOf, type ItemRecord } from "./item.ts";
import { RENEW_MS } from "./permits.ts";
import { roundDelay } from "./delays.ts";
import { type Book, countReady, type QueueLayout } from "./queue_layout.ts";

/** Where a message goes. */
type Route = { exchange?: string; routingKey: string };

/** How many items may be on their way to the broker at once. */
const WINDOW = 500;
/** How long who only passes the gate is waited for. */
const PASS_LIMIT_MS = 500;

/** An item on its way, and whether the broker has it. */
export interface Parcel {
  record: ItemRecord;
  /** Milliseconds until it can be gotten. */
  delayMs: number;
  /** It was sent. Unless the broker has said then that it has it, or does not take it, nobody knows. */
  isSent?: boolean;
  isPut?: boolean;
}

/**
 * The way into one queue.
 *
 * Invariants: what was confirmed is in the queue. Who puts into a queue with a limit is inside its gate, and puts only while there are fewer items than that; so
 * never more than the limit are ready or delayed, but for those that were given back.
 */
export class Putting {
  readonly #layout: QueueLayout;
  readonly #channels = new WeakMap<BrokerConnection, Promise<BrokerChannel>>();

  constructor(layout: QueueLayout) {
    this.#layout = layout;
  }

  /**
   * Sends items, all with the same delay, and waits until the broker has each. What it has is marked in the parcels, and what it may have.
   *
   * Cancel safety: once the signal is aborted nothing more is sent; what was sent is waited for.
   *
   * @throws {ClosedError} If the queue was closed, or deleted.
   * @throws {SystemError} If the connection is lost, or the broker does not take them.
   * @throws The reason of the signal, if it is aborted and there is more to send.
   */
  async send(
    connection: BrokerConnection,
    parcels: readonly Parcel[],
    signal?: AbortSignal,
  ): Promise<void> {
    const first = parcels[0];
    if (first === undefined) return;
    const to = await this.#route(connection, first.delayMs);
    const channel = await this.#channel(connection);
    for (let from = 0; from < parcels.length; from += WINDOW) {
      signal?.throwIfAborted();
      const sent = await Promise.allSettled(
        parcels.slice(from, from + WINDOW).map((parcel) => this.#sendOne(channel, { to, parcel })),
      );
      for (const each of sent) if (each.status === "rejected") throw this.#layout.gone(each.reason);
    }
  }

  /** Sends an item to one of the queues, past the entry: what is given back comes in when it is closed, too. */
  async sendTo(
    connection: BrokerConnection,
    { queue, record }: { queue: string; record: ItemRecord },
  ): Promise<void> {
    const channel = await this.#channel(connection);
    const result = await channel.publish({ ...envelopeOf(record), routingKey: queue }, record.bytes);
    if (result === "confirmed") return;
    if (result === "unroutable") throw this.#layout.closed();
    throw new SystemError(
      `cannot put into ${this.#layout.what}: the broker did not take it: it is out of disk`,
    );
  }

  /**
   * Waits for room, and puts an item.
   *
   * Cancel safety: the item is not put; once it is sent, the wait cannot be cancelled.
   */
  async waitAndSend(
    connection: BrokerConnection,
    { parcel, signal }: { parcel: Parcel; signal: AbortSignal },
  ): Promise<void> {
    const { gate, room, what } = this.#layout;
    const channel = await connection.channel(what);
    try {
      const pass = await gate.enter(channel, signal);
      if (await this.#roomFor(channel) > 0) return await this.send(connection, [parcel]);
      const inbox = await Inbox.open(channel, room);
      for (;;) {
        // Whoever makes room says so afterwards: what is said before we look is not missed.
        const left = await this.#roomFor(channel);
        if (left > 0) return await this.send(connection, [parcel]);
        await this.#roomMayBe({ channel, pass, inbox, signal });
      }
    } catch (error) {
      throw this.#layout.gone(error);
    } finally {
      await closeSoon(channel);
    }
  }

  /**
   * Puts the first of some items for which there is room, if nobody waits to put.
   *
   * @returns How many.
   */
  async trySend(connection: BrokerConnection, parcels: readonly Parcel[]): Promise<number> {
    const { gate, what } = this.#layout;
    const endMs = performance.now() + PASS_LIMIT_MS;
    const channel = await connection.channel(what);
    try {
      for (let pauseMs = 1;; pauseMs *= 2) {
        const pass = await gate.tryEnter(channel);
        if (pass !== undefined) {
          const room = await this.#roomFor(channel);
          // Some may be there already, over a connection that was lost.
          await this.send(connection, parcels.filter(({ isPut }) => !isPut).slice(0, Math.max(0, room)));
          return parcels.filter(({ isPut }) => isPut).length;
        }
        const isFull = await this.#roomFor(channel) <= 0;
        if (isFull || (await gate.look(channel)).waiting > 0 || performance.now() > endMs) {
          return parcels.filter(({ isPut }) => isPut).length;
        }
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    } catch (error) {
      throw this.#layout.gone(error);
    } finally {
      await channel.close();
    }
  }

  /** Tells who waits for room, if anybody does. Over the channel in which the item came, before it is acknowledged. */
  tellRoom({ raw }: BrokerChannel): void {
    raw.basicPublish({ routingKey: this.#layout.room }, Buffer.alloc(0)).catch(() => {});
  }

  /** How many may be put now; 0 or less if none. Throws `ClosedError` if none ever. */
  async #roomFor(channel: BrokerChannel): Promise<number> {
    const book = await this.#layout.read(channel);
    if (book.closed) throw this.#layout.closed();
    return roomOf(book, await sizeOf(channel, { layout: this.#layout, book }));
  }

  async #roomMayBe(
    { channel, pass, inbox, signal }: {
      channel: BrokerChannel;
      pass: Pass;
      inbox: Inbox;
      signal: AbortSignal;
    },
  ): Promise<void> {
    for (;;) {
      const round = new AbortController();
      const unfollow = follow(round, [signal]);
      using _timer = new Timer(RENEW_MS, () => round.abort(RENEW));
      try {
        const { deliveryTag } = await inbox.next(round.signal);
        channel.raw.basicAck({ deliveryTag });
        return;
      } catch (error) {
        if (error !== RENEW) throw error;
        await pass.renew();
      } finally {
        unfollow();
      }
    }
  }

  /** Where items go. */
  async #route(connection: BrokerConnection, delayMs: number): Promise<Route> {
    const { entry, what } = this.#layout;
    if (delayMs === 0) return { exchange: entry, routingKey: "" };
    const channel = await connection.channel(what);
    try {
      if ((await this.#layout.read(channel)).closed) throw this.#layout.closed();
    } catch (error) {
      throw this.#layout.gone(error);
    } finally {
      await channel.close();
    }
    return { routingKey: await this.#layout.delays.open(connection, roundDelay(delayMs)) };
  }

  async #sendOne(channel: BrokerChannel, { to, parcel }: { to: Route; parcel: Parcel }): Promise<void> {
    const { what } = this.#layout;
    const { record } = parcel;
    parcel.isSent = true;
    const result = await channel.publish({ ...envelopeOf(record), ...to }, record.bytes);
    parcel.isPut = result === "confirmed";
    if (result === "confirmed") return;
    parcel.isSent = false;
    if (result === "unroutable") throw this.#layout.closed();
    throw new SystemError(`cannot put into ${what}: the broker did not take it: it is out of disk`);
  }

  async #channel(connection: BrokerConnection): Promise<BrokerChannel> {
    let opening = this.#channels.get(connection);
    if (opening !== undefined && (await opening).lost.aborted) opening = undefined;
    if (opening === undefined) {
      opening = connection.channel(this.#layout.what);
      this.#channels.set(connection, opening);
    }
    return await opening;
  }
}

/** Ends a round of waiting, to show life. */
const RENEW = Symbol("renew");

/** How many items are ready or delayed. */
export async function sizeOf(
  channel: BrokerChannel,
  { layout, book }: { layout: QueueLayout; book: Book },
): Promise<number> {
  const delayed = await layout.delays.count(channel, book);
  return delayed + await countReady(channel, layout.items);
}

function roomOf({ maxSize }: Book, size: number): number {
  return (maxSize ?? Infinity) - size;
}
