/**
 * Making an object that consists of several things at the broker, so that it is there as a whole or not at all.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { TaskLock } from "../task/lock.ts";
import { isBecause } from "./broker_error.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";

const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 200;

/** An object, and how it is made. */
export interface Creation {
  /** Its name in messages: `the lock 'db'`. */
  what: string;
  /** Its name at the broker. */
  object: string;
  /** The exchange that is declared last, one for questions (`roll_call.ts`): the object is there if this is. */
  mark: string;
  /** Makes everything else, whatever of it an earlier attempt left. */
  make: (channel: BrokerChannel, connection: BrokerConnection) => Promise<void>;
}

/** Makers that are in one connection, which the broker does not keep apart. */
const makers = new WeakMap<BrokerConnection, Map<string, TaskLock>>();

/**
 * Makes an object unless it is there.
 *
 * Cancel safety: what was begun is begun again by the next one.
 *
 * @param connection Where.
 * @param creation What, and how.
 * @returns Whether we made it.
 * @throws {SystemError} If the broker refuses, or the connection is lost.
 */
export async function makeOnce(connection: BrokerConnection, creation: Creation): Promise<boolean> {
  if (await isThere(connection, creation)) return false;
  return await exclusively(connection, creation, async (channel) => {
    if (await isThere(connection, creation)) return false;
    await creation.make(channel, connection);
    const mark = { exchange: creation.mark, type: "fanout", durable: true };
    await channel.ask((raw) => raw.exchangeDeclare(mark));
    return true;
  });
}

/**
 * Does something while nobody else does it to the same object, however many machines try.
 *
 * Invariant: who does it has an exclusive queue, which no other connection can declare, and which is gone with the connection. What is
 * appended or made over another connection is therefore never at the same time. Those who wait try again, and not in order: this is for
 * what is done rarely.
 *
 * @param connection Over which it is done.
 * @param object Whose turn it is.
 * @param work What to do, over a channel of its own.
 * @param signal Ends the wait.
 * @throws {SystemError} If the connection is lost, or the broker refuses.
 * @throws The reason of the signal, if it is aborted.
 */
export async function exclusively<T>(
  connection: BrokerConnection,
  { what, object }: Pick<Creation, "what" | "object">,
  work: (channel: BrokerChannel) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const locks = makers.get(connection) ?? new Map<string, TaskLock>();
  makers.set(connection, locks);
  const lock = locks.get(object) ?? new TaskLock();
  locks.set(object, lock);
  using _lease = await lock.acquire(signal ? { signal } : {});
  const queue = `${object}/maker`;
  const channel = await lone(connection, { what, queue, ...(signal && { signal }) });
  try {
    return await work(channel);
  } finally {
    if (!channel.lost.aborted) await channel.ask((raw) => raw.queueDelete(queue)).catch(() => {});
    await channel.close();
  }
}

/** A channel, once the queue is ours. */
async function lone(
  connection: BrokerConnection,
  { what, queue, signal }: { what: string; queue: string; signal?: AbortSignal },
): Promise<BrokerChannel> {
  for (let pauseMs = FIRST_PAUSE_MS;; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    const channel = await connection.channel(what);
    try {
      await channel.ask((raw) => raw.queueDeclare({ queue, exclusive: true }));
      return channel;
    } catch (error) {
      await channel.close();
      if (!isBecause(error, "RESOURCE_LOCKED")) throw error;
    }
    await delay(pauseMs * (0.5 + Math.random() / 2), signal ? { signal } : {});
  }
}

/** Whether an object is there. */
export async function isThere(
  connection: BrokerConnection,
  { what, mark }: Pick<Creation, "what" | "mark">,
): Promise<boolean> {
  const channel = await connection.channel(what);
  try {
    await channel.ask((raw) => raw.exchangeDeclare({ exchange: mark, passive: true }));
    return true;
  } catch (error) {
    if (!isBecause(error, "NOT_FOUND")) throw error;
    return false;
  } finally {
    await channel.close();
  }
}
