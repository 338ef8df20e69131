/**
 * Who holds an object and who waits for it: a question that everybody who does answers.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { deadline } from "../time/deadline.ts";
import { TimeoutError } from "../errors.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import { closeSoon } from "./inbox.ts";
import type { Part } from "./parts.ts";

/** How long an answer may take. A process that is stopped does not answer. */
const ANSWER_LIMIT_MS = 300;
/** The queue that a broker makes for the answers to one channel. */
export const REPLY_TO = "amq.rabbitmq.reply-to";

/**
 * The parts that we play with an object, and a way to ask all others for theirs.
 *
 * Invariant: whoever has a part answers as long as its connection stands. Answers are for people and for counts at one moment: what is granted to
 * whom depends on none.
 */
export class RollCall<P extends object = Part> {
  readonly #exchange: string;
  readonly #what: string;
  readonly #parts = new Set<P>();
  readonly #listening = new WeakMap<BrokerConnection, Promise<BrokerChannel>>();

  /**
   * @param exchange Where questions are asked: the mark of the object, see `creation.ts`.
   * @param what The object, in messages.
   */
  constructor(exchange: string, what: string) {
    this.#exchange = exchange;
    this.#what = what;
  }

  /** Plays a part, until {@link leave}. From when the promise resolves on, who asks over this connection is answered. */
  async join(connection: BrokerConnection, part: P): Promise<void> {
    this.#parts.add(part);
    const listening = this.#listening.get(connection) ?? this.#listen(connection);
    this.#listening.set(connection, listening);
    try {
      await listening;
    } catch (error) {
      this.leave(part);
      this.#listening.delete(connection);
      throw error;
    }
  }

  /** Plays a part no more. */
  leave(part: P): void {
    this.#parts.delete(part);
  }

  /**
   * Asks everybody.
   *
   * @param isEnough Says of the answers so far whether they are all.
   * @param limitMs How long to wait for more. Default 300.
   * @returns All answers that came in time.
   * @throws {SystemError} If the connection is lost.
   */
  async ask(
    connection: BrokerConnection,
    isEnough: (parts: readonly P[]) => boolean,
    limitMs: number = ANSWER_LIMIT_MS,
  ): Promise<P[]> {
    const channel = await connection.channel(this.#what);
    const parts: P[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    try {
      await channel.ask(async (raw) => {
        await raw.basicConsume({ queue: REPLY_TO, noAck: true }, ({ body }) => {
          parts.push(...JSON.parse(String(body)));
          if (isEnough(parts)) resolve();
        });
        await raw.basicPublish({ exchange: this.#exchange, replyTo: REPLY_TO }, Buffer.alloc(0));
      });
      await deadline(() => promise, limitMs, { signal: channel.lost });
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
    } finally {
      await channel.close();
    }
    return parts;
  }

  async #listen(connection: BrokerConnection): Promise<BrokerChannel> {
    const channel = await connection.channel(this.#what);
    const listening = channel.ask(async (raw) => {
      const { queue } = await raw.queueDeclare({ exclusive: true, autoDelete: true });
      await raw.queueBind({ queue, exchange: this.#exchange });
      await raw.basicConsume({ queue, noAck: true }, ({ replyTo }) => {
        if (this.#parts.size === 0 || replyTo === undefined) return;
        const answer = Buffer.from(JSON.stringify([...this.#parts]));
        // Who asked may be gone, and the connection may be lost in this moment.
        raw.basicPublish({ routingKey: replyTo }, answer).catch(() => {});
      });
    });
    // A broker that answers late would have us answer twice.
    await listening.catch(async (error) => {
      await closeSoon(channel);
      throw error;
    });
    return channel;
  }
}
