/**
 * How a queue stands.
 *
 * @module
 */

import type { NamedQueueStatus } from "../named.ts";
import type { BrokerConnection } from "./connection.ts";
import { sizeOf } from "./putting.ts";
import { countReady, type QueueLayout } from "./queue_layout.ts";
import type { Receipts } from "./receipts.ts";

/** What is asked of a queue, and of all who have something of it. */
export interface Standing {
  layout: QueueLayout;
  receipts: Receipts;
}

/**
 * All that is known of a queue. Its parts are asked one after the other: what is under way meanwhile may count twice, or not.
 *
 * @throws {ClosedError} If the queue was deleted.
 * @throws {SystemError} If the connection is lost.
 */
export async function statusOf(
  connection: BrokerConnection,
  { layout, receipts }: Standing,
): Promise<NamedQueueStatus> {
  const channel = await connection.channel(layout.what);
  try {
    const { gate, name } = layout;
    const book = await layout.read(channel);
    const { leased, waiting, isWhole } = await receipts.ask(connection);
    const line = book.maxSize === null ? { taken: false, waiting: 0 } : await gate.look(channel);
    const delayed = await layout.delays.count(channel, book);
    const [size, taken, dead] = [
      await sizeOf(channel, { layout, book }),
      await countReady(channel, layout.taken),
      await countReady(channel, layout.dead),
    ];
    return {
      ...{ name, kind: book.kind, size, delayed, leased, dead },
      maxSize: book.maxSize ?? Infinity,
      unfinished: size + leased + taken,
      waitingToPut: line.waiting + (line.taken ? 1 : 0),
      waitingToGet: waiting,
      closed: book.closed,
      isSilent: !isWhole,
    };
  } catch (error) {
    throw layout.gone(error);
  } finally {
    await channel.close();
  }
}

/**
 * Whether nothing is under way in a queue. Twice all are asked what they have, and in between it is counted what nobody has: if nothing was received from
 * the first answer to the second, nothing was on its way from the one to the other. Nothing is in one that was deleted.
 *
 * @throws {SystemError} If the connection is lost.
 */
export async function isDone(connection: BrokerConnection, { layout, receipts }: Standing): Promise<boolean> {
  const channel = await connection.channel(layout.what);
  try {
    const before = await receipts.ask(connection);
    if (before.leased > 0 || !before.isWhole) return false;
    const book = await layout.read(channel);
    if (await sizeOf(channel, { layout, book }) > 0) return false;
    if (await countReady(channel, layout.taken) > 0) return false;
    const after = await receipts.ask(connection);
    return after.isWhole && after.leased === 0 && after.received === before.received;
  } catch (error) {
    // What was deleted has nothing under way.
    if (layout.gone(error) !== error) return true;
    throw error;
  } finally {
    await channel.close();
  }
}
