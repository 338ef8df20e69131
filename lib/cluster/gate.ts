/**
 * A gate: a queue with one message, the token. Who has it is inside.
 *
 * @module
 */

import type { BrokerChannel } from "./channel.ts";
import { type Delivered, Inbox } from "./inbox.ts";

const TOKEN = new TextEncoder().encode("token");
/** Above that of everybody who waits: whoever gives a token back for a moment gets it again. */
const RENEWAL_PRIORITY = 10;

/**
 * A gate, which one at a time passes, first come first served.
 *
 * Invariant: there is one token, and it is in the queue, or somebody who is inside has it unacknowledged. The death of a connection, or of a
 * channel, puts it back; nothing polls. {@link Pass.count} grows with every pass.
 */
export class Gate {
  /** The queue that the token is in: a quorum queue. */
  readonly queue: string;

  constructor(queue: string) {
    this.queue = queue;
  }

  /** Opens it, once its queue is made; only who makes the object that it belongs to. */
  async open(channel: BrokerChannel): Promise<void> {
    await channel.publish({ routingKey: this.queue }, TOKEN);
  }

  /**
   * Waits in line until we are inside.
   *
   * Cancel safety: who gives up closes the channel, and is not in line any more nor inside.
   *
   * @param channel Inside is who has this channel; its end lets the next one in.
   * @param signal Ends the wait.
   * @throws {SystemError} If the channel is lost, or there is no such gate.
   * @throws The reason of the signal, if it is aborted.
   */
  async enter(channel: BrokerChannel, signal?: AbortSignal): Promise<Pass> {
    const inbox = await Inbox.open(channel, this.queue);
    const token = await inbox.next(signal);
    // Who is inside and still listens would get the token again that it gives back.
    await inbox.close();
    return new Pass(channel, this.queue, token);
  }

  /** Goes inside if nobody is there and nobody waits, else returns undefined. */
  async tryEnter(channel: BrokerChannel): Promise<Pass | undefined> {
    const token = await channel.ask((raw) => raw.basicGet({ queue: this.queue }));
    return token && new Pass(channel, this.queue, token);
  }

  /** Whether somebody is inside, and how many wait besides. */
  async look(channel: BrokerChannel): Promise<{ taken: boolean; waiting: number }> {
    const counts = await channel.ask((raw) => raw.queueDeclare({ queue: this.queue, passive: true }));
    // Who is inside counts as a consumer, too.
    const taken = counts.messageCount === 0;
    return { taken, waiting: Math.max(0, counts.consumerCount - (taken ? 1 : 0)) };
  }
}

/** Being inside a gate, until {@link leave} or the end of the channel. */
export class Pass {
  /** How many passed this gate so far, this one included: more than at every pass before. */
  readonly count: number;
  readonly #channel: BrokerChannel;
  readonly #queue: string;
  #token: Pick<Delivered, "deliveryTag" | "headers">;

  constructor(channel: BrokerChannel, queue: string, token: Pick<Delivered, "deliveryTag" | "headers">) {
    this.#channel = channel;
    this.#queue = queue;
    this.#token = token;
    this.count = passesOf(token) + 1;
  }

  /** Lets the next one in. The broker is told at once, and does not answer. */
  leave(): void {
    this.#channel.raw.basicNack({ deliveryTag: this.#token.deliveryTag, requeue: true });
  }

  /** Shows life, as {@link renewed} says. */
  async renew(): Promise<void> {
    const [token] = await renewed(this.#channel, this.#queue, [this.#token]);
    this.#token = token!;
  }
}

/**
 * Gives tokens back and takes as many again, before anybody else can: brokers close a channel that has a message unacknowledged for longer
 * than `consumer_timeout`, by default 30 minutes. Giving back and handing to the consumer with the highest priority is one step of the
 * queue, so nobody who waits, or looks, comes between. Two who do this at once may swap their tokens.
 *
 * @param channel In which they are held.
 * @param queue Where they are from.
 * @param tokens What is held.
 * @returns What is held then.
 * @throws {SystemError} If the channel is lost.
 */
export async function renewed(
  channel: BrokerChannel,
  queue: string,
  tokens: readonly Pick<Delivered, "deliveryTag">[],
): Promise<Delivered[]> {
  const inbox = await Inbox.open(channel, queue, {
    prefetch: tokens.length,
    arguments: { "x-priority": RENEWAL_PRIORITY },
  });
  for (const { deliveryTag } of tokens) channel.raw.basicNack({ deliveryTag, requeue: true });
  const again: Delivered[] = [];
  while (again.length < tokens.length) again.push(await inbox.next());
  await inbox.close();
  return again;
}

/** How often a token was had before. Newer brokers do not count every time as a delivery, and say how often it was had in another header. */
function passesOf({ headers }: Pick<Delivered, "headers">): number {
  return Number(headers?.["x-acquired-count"] ?? headers?.["x-delivery-count"] ?? 0);
}
