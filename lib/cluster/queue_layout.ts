/**
 * What a queue consists of at the broker.
 *
 * | part | what it is |
 * |---|---|
 * | `conc.queue.NAME` | an exchange: what is put goes there. Closing the queue unbinds it, so what comes later is returned |
 * | `…/items` | what is ready; of kind priority a classic queue, as only these have priorities. All others are quorum queues |
 * | `…/delay/MS` | what is not due yet, one for each delay: see {@link Delays} |
 * | `…/dead` | what failed too often |
 * | `…/taken` | a message for every item that was gotten and not reported |
 * | `…/putters`, `…/room` | of one with a limit: the gate of those who put, and what tells who is inside that there may be room |
 * | `…/log` | a stream: its kind and limit, whether it is closed: see {@link Book} |
 * | `…/members` | everybody who has received or waits listens to it, and so is counted |
 * | `…/roll` | an exchange: what these have, they answer when they are asked there. It is declared last |
 *
 * @module
 */

import { ClosedError, UsageError } from "../errors.ts";
import type { QueueKind } from "../primitives.ts";
import { isBecause } from "./broker_error.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import { exclusively, isThere, makeOnce } from "./creation.ts";
import { Delays } from "./delays.ts";
import { Gate } from "./gate.ts";
import { HIGHEST_PRIORITY, LOWEST_PRIORITY } from "./item.ts";
import { DeletedError } from "./inbox.ts";
import { Log } from "./log.ts";
import { addName, removeName } from "./names.ts";
import { makeQuorumQueues } from "./quorum_queue.ts";
import { objectName } from "./store.ts";

/** How a queue stands: the entries of its log. */
export interface Book {
  kind: QueueKind;
  /** Null for no limit. */
  maxSize: number | null;
  closed: boolean;
  /** Milliseconds of each delay that was ever asked for: there is a queue for it. */
  delays: number[];
  /** How often an item was, or will be, given back that was only looked at: no attempt. */
  uncounted: number;
}

/** The parts of one queue. */
export class QueueLayout {
  readonly name: string;
  /** In messages. */
  readonly what: string;
  readonly entry: string;
  readonly items: string;
  readonly dead: string;
  readonly taken: string;
  readonly room: string;
  readonly roll: string;
  readonly members: string;
  readonly gate: Gate;
  readonly log: Log<Book>;
  readonly delays: Delays;

  constructor(name: string) {
    const part = (word: string) => objectName("queue", name, word);
    this.name = name;
    this.what = `the queue '${name}'`;
    this.entry = objectName("queue", name);
    this.items = part("items");
    this.dead = part("dead");
    this.taken = part("taken");
    this.room = part("room");
    this.roll = part("roll");
    this.members = part("members");
    this.gate = new Gate(part("putters"));
    this.log = new Log(part("log"));
    this.delays = new Delays(this);
  }

  /** Whether it is there. */
  exists(connection: BrokerConnection): Promise<boolean> {
    return isThere(connection, { what: this.what, mark: this.roll });
  }

  /** Makes it, unless it is there. Says whether it did. */
  make(
    connection: BrokerConnection,
    { kind = "fifo", maxSize = Infinity }: { kind?: QueueKind; maxSize?: number },
  ): Promise<boolean> {
    return makeOnce(connection, {
      what: this.what,
      object: this.entry,
      mark: this.roll,
      make: async (channel) => {
        await addName(connection, "queue", this.name);
        const isOrdered = kind === "priority";
        const limit = maxSize === Infinity ? null : maxSize;
        const queues = [this.dead, this.taken, this.members, ...(isOrdered ? [] : [this.items])];
        const gated = [{ queue: this.gate.queue }, { queue: this.room, arguments: { "x-max-length": 1 } }];
        await makeQuorumQueues(channel, this.entry, [
          ...queues.map((queue) => ({ queue })),
          ...(limit === null ? [] : gated),
        ]);
        if (isOrdered) await this.#makeOrdered(channel);
        await channel.ask((raw) =>
          raw.exchangeDeclare({ exchange: this.entry, type: "fanout", durable: true })
        );
        await channel.ask((raw) => raw.queueBind({ exchange: this.entry, queue: this.items }));
        if (limit !== null) await this.gate.open(channel);
        await this.log.make(channel, { kind, maxSize: limit, closed: false, delays: [], uncounted: 0 });
      },
    });
  }

  async #makeOrdered(channel: BrokerChannel): Promise<void> {
    const levels = { "x-max-priority": HIGHEST_PRIORITY - LOWEST_PRIORITY };
    await channel.ask((raw) => raw.queueDelete({ queue: this.items }));
    await channel.ask((raw) => raw.queueDeclare({ queue: this.items, durable: true, arguments: levels }));
  }

  /** How it stands. */
  async read(channel: BrokerChannel, signal?: AbortSignal): Promise<Book> {
    return await this.log.last(channel, signal);
  }

  /** Changes how it stands, while nobody else does. `also` is done right after. */
  async change(
    connection: BrokerConnection,
    change: (book: Book) => Partial<Book>,
    also: (channel: BrokerChannel) => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    await exclusively(connection, { what: this.what, object: this.entry }, async (channel) => {
      const book = await this.log.last(channel);
      await this.log.append(channel, { ...book, ...change(book) });
      await also(channel);
    });
  }

  /** Deletes it with all that is in it. The log goes last, what it is found by before that: what was begun and not done can be done again. */
  async delete(connection: BrokerConnection): Promise<void> {
    await exclusively(connection, { what: this.what, object: this.entry }, async (channel) => {
      const book = await this.log.last(channel).catch((error) => {
        // Then it is gone: by us, over a connection that was lost before we heard of it, or by somebody else.
        if (!isBecause(error, "NOT_FOUND")) throw error;
      });
      if (book === undefined) return;
      const delayed = this.delays.queues(book);
      await channel.ask((raw) => raw.exchangeDelete({ exchange: this.entry }));
      const parts = [this.items, this.dead, this.taken, this.members, this.gate.queue, this.room];
      for (const queue of [...parts, ...delayed]) await channel.ask((raw) => raw.queueDelete({ queue }));
      await channel.ask((raw) => raw.exchangeDelete({ exchange: this.roll }));
      await channel.ask((raw) => raw.queueDelete({ queue: this.log.queue }));
    });
    await removeName(connection, "queue", this.name);
  }

  /**
   * Throws unless a queue that is there is what somebody wants it to be.
   *
   * @throws {UsageError} If it is of another kind or size.
   */
  agree({ kind, maxSize }: Book, wanted: { kind?: QueueKind; maxSize?: number }): void {
    const isSame = (wanted.kind ?? kind) === kind &&
      (wanted.maxSize === undefined || wanted.maxSize === (maxSize ?? Infinity));
    if (isSame) return;
    throw new UsageError(
      `${this.what} is ${describe({ kind, maxSize: maxSize ?? Infinity })}, not ${describe(wanted)}: ` +
        "leave these out, or delete it first",
    );
  }

  /** What to throw for a put that is too late. */
  closed(): ClosedError {
    return new ClosedError(`cannot put as ${this.what} must be open: it was closed`);
  }

  /** What to throw for a get that is too late. */
  exhausted(): ClosedError {
    return new ClosedError(`cannot get as ${this.what} is empty and was closed: no item will come`);
  }

  /** What to throw for what is not there any more; anything else stays what it is. */
  gone(error: unknown): unknown {
    const isGone = error instanceof DeletedError || isBecause(error, "NOT_FOUND");
    return isGone ? this.deleted() : error;
  }

  /** What to throw once it was deleted. */
  deleted(): ClosedError {
    return new ClosedError(`${this.what} was deleted`);
  }
}

function describe({ kind, maxSize }: { kind?: QueueKind; maxSize?: number }): string {
  const size = maxSize === undefined
    ? undefined
    : maxSize === Infinity
    ? "without a limit"
    : `for ${maxSize} items at most`;
  return [kind, size].filter((word) => word !== undefined).join(", ");
}

/** How many messages of a queue that is there are ready. The broker has heard then what was said over the channel before. */
export async function countReady(channel: BrokerChannel, queue: string): Promise<number> {
  return (await channel.ask((raw) => raw.queueDeclare({ queue, passive: true }))).messageCount;
}
