/**
 * Which objects there are at a broker. It does not say itself, unless its management plugin is on; so whoever makes an object enters it.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import { exclusively, makeOnce } from "./creation.ts";
import { Log } from "./log.ts";
import type { ObjectKind } from "./store.ts";

/** An object was made, or is gone. The first entry of all names none. */
type NameEntry = { kind: ObjectKind; name: string; gone?: boolean } | null;

/** From the first stream that a broker ever makes until it has written down that it keeps streams. */
const FIRST_STREAM_MS = 1_500;

const OBJECT = "conc.names";
const WHAT = "the names of all objects";
const log = new Log<NameEntry>(`${OBJECT}/log`, { keepsAll: true });

/** Enters an object; before it is made, so that none is there that is not listed. */
export async function addName(connection: BrokerConnection, kind: ObjectKind, name: string): Promise<void> {
  await append(connection, { kind, name });
}

/** Takes an object off the list. */
export async function removeName(
  connection: BrokerConnection,
  kind: ObjectKind,
  name: string,
): Promise<void> {
  await append(connection, { kind, name, gone: true });
}

/**
 * The names of a kind of object, sorted. The maker of one of them may have crashed before it was there.
 *
 * @throws {SystemError} If the connection is lost.
 */
export async function namesOf(connection: BrokerConnection, kind: ObjectKind): Promise<string[]> {
  await ensure(connection);
  const channel = await connection.channel(WHAT);
  try {
    const end = (await (await log.follow(channel)).first()).offset;
    const names = new Set<string>();
    const follower = await log.follow(channel, "first");
    for (let offset = -1; offset < end;) {
      const { state, ...entry } = await follower.next();
      offset = entry.offset;
      if (state?.kind !== kind) continue;
      if (state.gone) names.delete(state.name);
      else names.add(state.name);
    }
    return [...names].sort();
  } finally {
    await channel.close();
  }
}

async function append(connection: BrokerConnection, entry: NameEntry): Promise<void> {
  await ensure(connection);
  await exclusively(connection, { what: WHAT, object: OBJECT }, (channel) => log.append(channel, entry));
}

async function ensure(connection: BrokerConnection): Promise<void> {
  await makeOnce(connection, {
    what: WHAT,
    object: OBJECT,
    mark: OBJECT,
    make: async (channel) => {
      await makeFirstStream(channel);
      await log.make(channel, null);
    },
  });
}

/**
 * Has a broker keep streams. One that is killed within a second of the first that it ever made comes back with a stream that nobody can use, or
 * delete; those that are made later are whole. So nothing is made before this one, which nobody needs, and has a name of its own each time. (Seen
 * with RabbitMQ 3.10. What `makeQuorumQueues` does is of no use here: streams are in another book.)
 */
async function makeFirstStream(channel: BrokerChannel): Promise<void> {
  const queue = `${OBJECT}/first.${crypto.randomUUID().slice(0, 8)}`;
  await channel.ask((raw) =>
    raw.queueDeclare({ queue, durable: true, arguments: { "x-queue-type": "stream" } })
  );
  await delay(FIRST_STREAM_MS);
  await channel.ask((raw) => raw.queueDelete({ queue }));
}
