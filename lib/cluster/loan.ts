/**
 * Permits that a process of ours holds at a broker for somebody else, until whoever knows their token asks for them.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { SystemError, TimeoutError } from "../errors.ts";
import type { Loan } from "../named.ts";
import { deadline } from "../time/deadline.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import type { ClusterLease } from "./lease.ts";
import { REPLY_TO } from "./roll_call.ts";
import type { ClusterStore } from "./store.ts";
import { doSoon } from "./wait.ts";

/** What the holder answers: it gave them back now, or had done so before. */
const RELEASED = "released";
const NOT_HELD = "not held";
/** How long its answer may take. A process that is stopped does not answer. */
const ANSWER_LIMIT_MS = 5_000;

/** Where a loan is asked for: a queue of its own, and what it is in messages. */
export interface LoanPlace {
  queue: string;
  /** The semaphore. */
  what: string;
}

/**
 * A loan.
 *
 * Invariant: its queue is there from before anybody knows the token until the permits are back, and every message that came to it is answered: the
 * first that found them held with `released`, once the broker has them.
 */
export class ClusterLoan implements Loan {
  readonly token: string;
  readonly #lease: ClusterLease;
  readonly #channel: BrokerChannel;
  readonly #queue: string;
  readonly #ended = Promise.withResolvers<void>();
  #returned: Promise<void> | undefined;

  private constructor(lease: ClusterLease, { channel, queue }: { channel: BrokerChannel; queue: string }) {
    this.token = lease.token;
    this.#lease = lease;
    this.#channel = channel;
    this.#queue = queue;
    for (const { lost } of [lease, channel]) {
      if (lost.aborted) void this.end();
      else lost.addEventListener("abort", () => void this.end(), { once: true });
    }
  }

  /**
   * Holds a lease for somebody else, from now on.
   *
   * @throws {SystemError} If the broker refuses, or the connection is lost.
   */
  static async open(
    connection: BrokerConnection,
    { lease, queue, what }: LoanPlace & { lease: ClusterLease },
  ): Promise<ClusterLoan> {
    const channel = await connection.channel(what);
    const loan = new ClusterLoan(lease, { channel, queue });
    await channel.ask(async (raw) => {
      await raw.queueDeclare({ queue, exclusive: true, autoDelete: true });
      await raw.basicConsume({ queue, noAck: true }, ({ replyTo }) => void loan.#answer(replyTo));
    });
    return loan;
  }

  /** Settles when the permits are not held any more. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Gives the permits back. Does nothing if they are not held any more. */
  async end(): Promise<void> {
    await this.#giveBack();
    // What came before the queue was gone was answered: it is handed to us at once.
    if (!this.#channel.lost.aborted) await this.#channel.raw.queueDelete(this.#queue).catch(() => {});
    this.#ended.resolve();
  }

  async #answer(replyTo: string | undefined): Promise<void> {
    const isHeld = this.#returned === undefined && !this.#lease.lost.aborted;
    await this.#giveBack();
    if (replyTo !== undefined) {
      const answer = Buffer.from(isHeld ? RELEASED : NOT_HELD);
      // Who asked may be gone, and the connection may be lost in this moment.
      await this.#channel.raw.basicPublish({ routingKey: replyTo }, answer).catch(() => {});
    }
    await this.end();
  }

  #giveBack(): Promise<void> {
    return this.#returned ??= (async () => {
      if (this.#lease.lost.aborted) return;
      this.#lease.release();
      await this.#lease.returned;
    })();
  }
}

/**
 * Asks whoever holds a loan to give it back.
 *
 * @returns Whether it did; false if there is no such loan, or it has ended.
 * @throws {SystemError} If there is no answer within 5 s, or the broker cannot be used.
 */
export async function endLoan(store: ClusterStore, { queue, what }: LoanPlace): Promise<boolean> {
  let wasAsked = false;
  return await doSoon(store, async (connection) => {
    const channel = await connection.channel(what);
    const answer = Promise.withResolvers<string>();
    try {
      await channel.ask((raw) =>
        raw.basicConsume({ queue: REPLY_TO, noAck: true }, ({ body }) => answer.resolve(String(body)))
      );
      const envelope = { routingKey: queue, replyTo: REPLY_TO, durable: false };
      // If the connection was lost over the answer, a queue that is gone is the answer.
      if (await channel.publish(envelope, new Uint8Array()) !== "confirmed") return wasAsked;
      wasAsked = true;
      return await deadline(() => answer.promise, ANSWER_LIMIT_MS, { signal: channel.lost }) === RELEASED;
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      throw new SystemError(
        `cannot say whether the permits of ${what} are released: the process that holds them does not answer; it will once it goes on: ` +
          "see conc sem status",
      );
    } finally {
      await channel.close();
    }
  });
}
