/**
 * The dead letters of a queue.
 *
 * @module
 */

import type { SyncMessage } from "rabbitmq-client";
import type { DeadLetter } from "../named.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import { exclusively } from "./creation.ts";
import { readItem } from "./item.ts";
import type { Putting } from "./putting.ts";
import type { QueueLayout } from "./queue_layout.ts";

/** How many are on their way back at once. */
const BATCH = 100;

/** Reads them and puts them back. Invariant: one at a time does, so that nobody misses what another is looking at. */
export class Letters {
  readonly #layout: QueueLayout;
  readonly #putting: Putting;

  constructor(layout: QueueLayout, putting: Putting) {
    this.#layout = layout;
    this.#putting = putting;
  }

  /** All of them, the oldest first. They stay. */
  list(connection: BrokerConnection): Promise<DeadLetter<Uint8Array>[]> {
    return this.#alone(connection, async (channel) => {
      const letters: DeadLetter<Uint8Array>[] = [];
      for (let message; (message = await this.#next(channel)) !== undefined;) {
        const { bytes, failures, error, putAt } = readItem(message);
        const id = letters.length + 1;
        letters.push({ id, item: bytes, attempts: failures, error, putAt: new Date(putAt) });
      }
      return letters;
    });
  }

  /** Puts all back in line, as if they were new. Returns how many. */
  redrive(connection: BrokerConnection): Promise<number> {
    return this.#alone(connection, async (channel) => {
      for (let redriven = 0;;) {
        const batch: SyncMessage[] = [];
        for (let message; batch.length < BATCH && (message = await this.#next(channel)) !== undefined;) {
          batch.push(message);
        }
        if (batch.length === 0) return redriven;
        const { items: queue } = this.#layout;
        await Promise.all(batch.map(async (message) => {
          const { error: _, ...record } = readItem(message);
          await this.#putting.sendTo(connection, { queue, record: { ...record, failures: 0 } });
          channel.raw.basicAck({ deliveryTag: message.deliveryTag });
        }));
        redriven += batch.length;
      }
    });
  }

  /** What is looked at and not acknowledged goes back to where it was with the end of the channel. */
  async #alone<T>(
    connection: BrokerConnection,
    work: (channel: BrokerChannel) => Promise<T>,
  ): Promise<T> {
    const { what, dead } = this.#layout;
    try {
      return await exclusively(connection, { what, object: dead }, work);
    } catch (error) {
      throw this.#layout.gone(error);
    }
  }

  async #next(channel: BrokerChannel): Promise<SyncMessage | undefined> {
    return await channel.ask((raw) => raw.basicGet({ queue: this.#layout.dead }));
  }
}
