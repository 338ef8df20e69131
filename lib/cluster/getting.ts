/**
 * Waiting for items of a queue.
 *
 * @module
 */

import type { Delivery } from "../named.ts";
import { follow } from "../abort.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import { closeSoon, Inbox } from "./inbox.ts";
import type { Follower } from "./log.ts";
import { sizeOf } from "./putting.ts";
import type { Book, QueueLayout } from "./queue_layout.ts";
import type { Receipts } from "./receipts.ts";

/** How often who waits at a closed queue looks whether what is delayed there is gone. */
const CLOSED_PAUSE_MS = 200;

/** What a getter stands in the line with. */
export interface Getter {
  layout: QueueLayout;
  receipts: Receipts;
}

/**
 * Waits in line for the next item. It comes over a channel of its own.
 *
 * Cancel safety: who gives up is out of the line before this rejects; an item that came in this moment goes back to where it was.
 *
 * @throws {ClosedError} If the queue is closed and empty, or deleted.
 * @throws {SystemError} If the connection is lost.
 */
export async function waitForItem(
  connection: BrokerConnection,
  { layout, receipts, signal }: Getter & { signal: AbortSignal },
): Promise<{ delivery: Delivery<Uint8Array>; channel: BrokerChannel; book: Book }> {
  await receipts.join(connection).catch((error) => {
    throw layout.gone(error);
  });
  const channel = await connection.channel(layout.what);
  const round = new AbortController();
  const unfollow = follow(round, [signal]);
  let inbox: Inbox | undefined;
  let came = 0;
  let stop = () => {};
  let isOurs = false;
  try {
    const follower = await layout.log.follow(channel);
    const books = { last: (await follower.first(round.signal)).state };
    inbox = await Inbox.open(channel, layout.items, {
      arrived: () => {
        came += 1;
        receipts.arrived();
      },
    });
    stop = receipts.waits();
    watchForEnd(connection, { layout, follower, books, round });
    const message = await inbox.next(round.signal);
    await inbox.close();
    await follower.close();
    isOurs = true;
    const delivery = receipts.add(message, { channel, book: books.last, isAlone: true });
    return { delivery, channel, book: books.last };
  } catch (error) {
    throw layout.gone(error);
  } finally {
    unfollow();
    stop();
    round.abort();
    if (!isOurs) {
      // What came goes back to its old place.
      if (inbox !== undefined && !channel.lost.aborted) await inbox.close().catch(() => {});
      await closeSoon(channel);
      receipts.left(came);
    }
  }
}

/** Ends a wait once no item can come any more. Keeps the books up to date. */
export function watchForEnd(
  connection: BrokerConnection,
  { layout, follower, books, round }: {
    layout: QueueLayout;
    follower: Follower<Book>;
    books: { last: Book };
    round: AbortController;
  },
): void {
  const watch = async () => {
    while (!books.last.closed) books.last = (await follower.next(round.signal)).state;
    while (await isEmpty(connection, layout, books.last) === false) {
      await new Promise((resolve) => setTimeout(resolve, CLOSED_PAUSE_MS));
      round.signal.throwIfAborted();
    }
    round.abort(layout.exhausted());
  };
  // What is wrong with the channel is told to who waits for the item; a queue that was deleted in this moment, too.
  watch().catch(() => {});
}

/** Whether nothing is ready or delayed. */
export async function isEmpty(
  connection: BrokerConnection,
  layout: QueueLayout,
  book: Book,
): Promise<boolean> {
  const channel = await connection.channel(layout.what);
  try {
    return await sizeOf(channel, { layout, book }) === 0;
  } finally {
    await channel.close();
  }
}
