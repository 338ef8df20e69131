/**
 * What a queue delivers to us, one message after the other.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { AsyncMessage } from "rabbitmq-client";
import { offAbort, onAbort } from "../abort.ts";
import { SystemError } from "../errors.ts";
import { deadline } from "../time/deadline.ts";
import type { BrokerChannel } from "./channel.ts";

/** How long {@link closeSoon} waits. */
const CLOSE_LIMIT_MS = 1_000;

/** A queue was deleted by whomever while somebody listened to it. */
export class DeletedError extends SystemError {}

/** A message as the broker delivered it. Its `deliveryTag` is what it is acknowledged by, in the channel that it came over. */
export type Delivered = AsyncMessage;

/** Options of {@link Inbox.open}. */
export interface InboxOptions {
  /** How many messages may be here at once that were not acknowledged. Default 1. */
  prefetch?: number;
  /** What the broker is told of this consumer, such as `x-priority`. */
  arguments?: Record<string, unknown>;
  /** Called when a message has come, before anybody is given it. */
  arrived?: () => void;
}

/**
 * A consumer.
 *
 * Invariants: messages come out in the order in which they were delivered, each once. Who stops listening holds what was delivered until it is
 * acknowledged or given back, or the channel is closed.
 */
export class Inbox {
  readonly #channel: BrokerChannel;
  readonly #queue: string;
  readonly #messages: Delivered[] = [];
  readonly #cancelled = (tag: string) => tag === this.#tag && this.#refuse();
  #tag = "";
  #wake: () => void = () => {};
  #refusal: DeletedError | undefined;

  private constructor(channel: BrokerChannel, queue: string) {
    this.#channel = channel;
    this.#queue = queue;
  }

  /**
   * Begins to listen.
   *
   * @param channel Over which the messages come.
   * @param queue Whose messages.
   * @param options How many at once, and how.
   * @throws {SystemError} If there is no such queue, or the connection is lost.
   */
  static async open(
    channel: BrokerChannel,
    queue: string,
    { prefetch = 1, arguments: details = {}, arrived = () => {} }: InboxOptions = {},
  ): Promise<Inbox> {
    const inbox = new Inbox(channel, queue);
    channel.raw.on("basic.cancel", inbox.#cancelled);
    const { consumerTag } = await channel.ask(async (raw) => {
      // The limit is that of the consumers that begin after it.
      await raw.basicQos({ prefetchCount: prefetch });
      return await raw.basicConsume({ queue, arguments: details }, (message) => {
        inbox.#messages.push(message);
        arrived();
        inbox.#wake();
      });
    });
    inbox.#tag = consumerTag;
    return inbox;
  }

  /**
   * The next message, once there is one. One at a time asks.
   *
   * Cancel safety: a message that comes too late is the first that the next call returns.
   *
   * @param signal Ends the wait.
   * @throws {SystemError} If the channel is lost, or the queue was deleted.
   * @throws The reason of the signal, if it is aborted.
   */
  async next(signal?: AbortSignal): Promise<Delivered> {
    signal?.throwIfAborted();
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      if (this.#refusal !== undefined) throw this.#refusal;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await whileOpen(this.#channel, promise, signal);
    }
  }

  /** What is here already, taken out. */
  takeAll(): Delivered[] {
    return this.#messages.splice(0);
  }

  /** Stops listening. What was delivered until then is still ours; see {@link takeAll}. */
  async close(): Promise<void> {
    await this.#channel.ask((raw) => raw.basicCancel(this.#tag));
    this.#channel.raw.off("basic.cancel", this.#cancelled);
    // The client hands over one turn later what came before the broker's answer.
    await new Promise<void>((resolve) => void setImmediate(resolve));
  }

  #refuse(): void {
    this.#refusal = new DeletedError(`cannot go on: somebody deleted '${this.#queue}' at the broker`);
    this.#wake();
  }
}

/**
 * Waits for what can only come while a channel is open.
 *
 * Cancel safety: that of the promise; its result is dropped.
 *
 * @param channel The channel.
 * @param promise What is waited for.
 * @param signal Ends the wait.
 * @throws {SystemError} If the channel is lost.
 * @throws The reason of the signal, if it is aborted.
 */
export async function whileOpen<T>(
  channel: BrokerChannel,
  promise: Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const signals = signal === undefined ? [channel.lost] : [channel.lost, signal];
  for (const each of signals) each.throwIfAborted();
  for (const each of signals) onAbort(each, reject);
  try {
    return await Promise.race([promise, ended]);
  } finally {
    for (const each of signals) offAbort(each, reject);
  }
}

/** Closes a channel, and waits for the broker's answer, but not for one that does not come: then the connection is as good as lost. */
export async function closeSoon(channel: BrokerChannel): Promise<void> {
  await deadline(() => channel.close(), CLOSE_LIMIT_MS).catch(() => {});
}
