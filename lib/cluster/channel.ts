/**
 * A channel: a conversation with the broker within a connection, which ends on its own when the broker refuses something.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers";
import type { Channel, Envelope, ReturnedMessage } from "rabbitmq-client";
import { ClosedError, SystemError, TimeoutError } from "../errors.ts";
import { deadline } from "../time/deadline.ts";
import { formatDuration } from "../time/duration.ts";
import type { BrokerAddress } from "./address.ts";
import { hasCode, requestError, UnavailableError } from "./broker_error.ts";

/** How long an answer may take: to delete a queue that nobody leads a broker needs five seconds. */
const ANSWER_LIMIT_MS = 10_000;

/** How long {@link BrokerChannel.close} waits. */
const CLOSE_LIMIT_MS = 2_000;

/** What became of a message: it is kept; the broker did not take it (its queue is full); there is no such queue. */
export type PublishResult = "confirmed" | "rejected" | "unroutable";

/** What a {@link BrokerChannel} is made with. */
export interface ChannelOptions {
  /** Whom we talk to. */
  address: BrokerAddress;
  /** What the channel is for, in messages. */
  object: string;
  /** Aborted when the connection is lost. */
  connectionLost: AbortSignal;
  /** Aborted when nobody answers any more, as the connection is lost or was cut. */
  connectionGone: AbortSignal;
  /** Called when the channel is closed, by whomever. */
  closed: () => void;
}

/**
 * A channel.
 *
 * Invariants: {@link lost} is aborted exactly once if the channel ends without {@link close}, whether the broker closed it, left a question
 * unanswered, or the connection is lost; what was delivered in it and not acknowledged is another's then. A message that was confirmed is in its queue.
 */
export class BrokerChannel {
  /** The client's own: declare, consume, get, ack, nack, cancel. Its errors go through {@link failure}. */
  readonly raw: Channel;
  readonly #options: ChannelOptions;
  readonly #lost = new AbortController();
  readonly #over = new AbortController();
  readonly #returned = new Set<string>();
  #cause: unknown;
  #silence: UnavailableError | undefined;
  #closing: Promise<void> | undefined;
  #confirms: Promise<void> | undefined;
  #published = 0;

  constructor(raw: Channel, options: ChannelOptions) {
    this.raw = raw;
    this.#options = options;
    raw.on("error", (error: unknown) => this.#cause = error);
    raw.on("close", () => this.#closed());
    raw.on("basic.return", ({ messageId }: ReturnedMessage) => {
      if (messageId !== undefined) this.#returned.add(messageId);
    });
  }

  /**
   * Aborted when the channel is gone, with a `SystemError` that says why: with the connection, or as the broker closed it because a
   * delivery was not acknowledged in time (`consumer_timeout`), or for what was asked in it; or as it did not answer. Not aborted by {@link close}.
   */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Aborted when it is lost, after {@link lost}, or closed. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** What to throw for an error that a call of {@link raw} rejected with. */
  failure(error: unknown): Error {
    const { connectionLost, address, object } = this.#options;
    if (connectionLost.aborted) return connectionLost.reason;
    if (this.#silence !== undefined) return this.#silence;
    if (this.#closing !== undefined) return new ClosedError(`cannot use ${object}: the connection is closed`);
    return requestError(hasCode(error, "CH_CLOSE") ? this.#cause ?? error : error, { address, object });
  }

  /**
   * Does something with the client's channel, with errors in our words.
   *
   * @param request What to do.
   * @throws {SystemError} If the broker refuses, or the connection is lost; as {@link answered}.
   */
  async ask<T>(request: (raw: Channel) => Promise<T>): Promise<T> {
    return await this.answered(
      request(this.raw).catch((error) => {
        throw this.failure(error);
      }),
      ANSWER_LIMIT_MS,
    );
  }

  /**
   * Waits for what a broker that stands sends at once. One that has just started leaves some questions unanswered, for ever: then the channel is lost.
   *
   * @param answer What is waited for.
   * @param limitMs How long, in milliseconds.
   * @throws {UnavailableError} If it does not come in time.
   * @throws What the answer rejects with.
   */
  async answered<T>(answer: Promise<T>, limitMs: number): Promise<T> {
    try {
      return await deadline(() => answer, limitMs);
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      throw this.#giveUp(limitMs);
    }
  }

  /**
   * Sends a message to a queue and waits until the broker has it: on the disks of most of the nodes that keep a quorum queue. Any number
   * may be under way at once.
   *
   * Cancel safety: cannot be cancelled. If the connection is lost, the message may be in the queue or not.
   *
   * @param envelope `routingKey`: the queue. `messageId` is ours.
   * @param body Its bytes.
   * @throws {SystemError} If the channel is lost before the broker has answered.
   */
  async publish(envelope: Omit<Envelope, "messageId">, body: Uint8Array): Promise<PublishResult> {
    await (this.#confirms ??= this.ask((raw) => raw.confirmSelect()));
    const messageId = String(++this.#published);
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    try {
      await this.raw.basicPublish({ durable: true, ...envelope, mandatory: true, messageId }, bytes);
    } catch (error) {
      if (hasCode(error, "NACK")) return "rejected";
      if (!hasCode(error, "CH_CLOSE")) this.#cause ??= error;
      throw this.failure(error);
    }
    // What cannot be routed is returned and then confirmed; the client tells of the return one turn later.
    await new Promise<void>((resolve) => void setImmediate(resolve));
    return this.#returned.delete(messageId) ? "unroutable" : "confirmed";
  }

  /** Closes it. What was delivered and not acknowledged goes back. Never throws. Waits for the broker's answer, 2 s at most. */
  close(): Promise<void> {
    const { closed, connectionGone: signal } = this.#options;
    this.#over.abort();
    return this.#closing ??= deadline(() => this.raw.close(), CLOSE_LIMIT_MS, { signal }).catch(() => {})
      .finally(closed);
  }

  #giveUp(limitMs: number): Error {
    const { address, object, connectionLost } = this.#options;
    if (connectionLost.aborted) return connectionLost.reason;
    this.#silence ??= new UnavailableError(
      `cannot use ${object}: no answer within ${
        formatDuration(limitMs)
      } from the broker at ${address.hostAndPort}: try again`,
    );
    if (this.#closing === undefined) this.#lost.abort(this.#silence);
    void this.close();
    return this.#silence;
  }

  #closed(): void {
    const { closed, connectionLost } = this.#options;
    if (this.#closing !== undefined) return;
    closed();
    // The client closes the channels of a lost connection before it tells of the loss.
    queueMicrotask(() => {
      if (connectionLost.aborted) this.#lost.abort(connectionLost.reason);
      else this.#lost.abort(this.failure(this.#cause ?? new SystemError("the broker closed the channel")));
      this.#over.abort();
    });
  }
}
