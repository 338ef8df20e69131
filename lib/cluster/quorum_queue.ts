/**
 * Queues that are kept on most of the nodes of a broker, and that a broker which is killed has again when it is started.
 *
 * @module
 */

import type { BrokerChannel } from "./channel.ts";

/**
 * How often a message may pass before the broker throws it away: never, as far as anybody lives to see. Without a limit brokers from 4.0 on
 * do so after 20 times; with -1 those before 4.0 at once.
 */
const DELIVERY_LIMIT = Number.MAX_SAFE_INTEGER;

/** A queue to make: its name, and what it is besides a quorum queue, such as `x-message-ttl`. */
export interface QuorumQueue {
  queue: string;
  arguments?: Readonly<Record<string, unknown>>;
}

/**
 * Makes queues, empty, whatever is there under their names. Only who makes the object that they belong to, before anybody uses them.
 *
 * A broker writes down that it keeps a queue when it makes the next one, or a second later, and has said long before that the queue is there. If it is
 * killed in between, the queue comes back with nobody to lead it, and answers nobody, for ever. So one more is made, and deleted. (Seen with
 * RabbitMQ 3.10, whose `names.dets` shows it; a clean stop is harmless.) A queue that came back like that is deleted here, which takes 5 s.
 *
 * @param channel Over which.
 * @param object Whose they are: the one more is named after it.
 * @param queues What to make.
 * @throws {SystemError} If the broker refuses, or the connection is lost.
 */
export async function makeQuorumQueues(
  channel: BrokerChannel,
  object: string,
  queues: readonly QuorumQueue[],
): Promise<void> {
  const last: QuorumQueue = { queue: `${object}/last` };
  for (const { queue, arguments: more } of [...queues, last]) {
    await channel.ask((raw) => raw.queueDelete({ queue }));
    const details = { "x-queue-type": "quorum" as const, "x-delivery-limit": DELIVERY_LIMIT, ...more };
    await channel.ask((raw) => raw.queueDeclare({ queue, durable: true, arguments: details }));
  }
  await channel.ask((raw) => raw.queueDelete({ queue: last.queue }));
}
