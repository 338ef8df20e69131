/**
 * What a queue consists of at the broker.
 *
 * | part | what it is |
 * |---|---|
 * | `conc.queue.NAME` | an exchange: what is put goes there. Closing the queue unbinds it, so what comes later is returned |
 * | `…/items` | what is ready: a quorum queue; of kind priority a classic one, as only these have priorities |
 * | `…/delay/MS` | what is not due yet, one for each delay; the broker hands on to the items what was long enough in it |
 * | `…/dead` | what failed too often |
 * | `…/taken` | a message for every item that was gotten and not reported |
 * | `…/putters`, `…/room` | of one with a limit: the gate of those who put, and what tells who is inside that there may be room |
 * | `…/log` | its kind and limit, whether it is closed: see {@link Book} |
 * | `…/roll` | an exchange: who has received what, and who waits |
 * | `…/members` | everybody who answers there listens to it, and so is counted. It is declared last |
 *
 * @module
 */

import { ClosedError, UsageError } from "../errors.ts";
import type { QueueKind } from "../primitives.ts";
import { hasCode } from "./broker_error.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import { exclusively, makeOnce } from "./creation.ts";
import { Gate, TOKEN_QUEUE } from "./gate.ts";
import { HIGHEST_PRIORITY, LOWEST_PRIORITY } from "./item.ts";
import { DeletedError } from "./inbox.ts";
import { Log } from "./log.ts";
import { addName, removeName } from "./names.ts";
import { makeExchange } from "./roll_call.ts";
import { objectName } from "./store.ts";

/** How a queue stands: the entries of its log. */
export interface Book {
  kind: QueueKind;
  /** Null for no limit. */
  maxSize: number | null;
  closed: boolean;
  /** Milliseconds of each delay that was ever asked for: there may be a queue for it. */
  delays: number[];
  /** How often an item was, or will be, given back that was only looked at: no attempt. */
  uncounted: number;
}

/** How long a queue of delayed items stays that nobody puts anything into any more, beyond its delay. */
const DELAY_EXPIRY_MS = 3_600_000;
/** What an `x-expires` can be at most. */
const LONGEST_DELAY_MS = 2 ** 32 - 1 - DELAY_EXPIRY_MS;

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
  }

  /** Whether it is there. */
  async exists(connection: BrokerConnection): Promise<boolean> {
    return await this.count(connection, this.members) !== undefined;
  }

  /** Makes it, unless it is there. Says whether it did. */
  make(
    connection: BrokerConnection,
    { kind = "fifo", maxSize = Infinity }: { kind?: QueueKind; maxSize?: number },
  ): Promise<boolean> {
    return makeOnce(connection, {
      what: this.what,
      object: this.entry,
      find: (channel) => channel.raw.queueDeclare({ queue: this.members, passive: true }),
      make: async (channel) => {
        await addName(connection, "queue", this.name);
        const limit = maxSize === Infinity ? null : maxSize;
        await this.log.make(channel, { kind, maxSize: limit, closed: false, delays: [], uncounted: 0 });
        const levels = HIGHEST_PRIORITY - LOWEST_PRIORITY;
        await channel.ask(async (raw) => {
          await raw.queueDeclare(
            kind === "priority"
              ? { queue: this.items, durable: true, arguments: { "x-max-priority": levels } }
              : { queue: this.items, ...TOKEN_QUEUE },
          );
          await raw.queueDeclare({ queue: this.dead, ...TOKEN_QUEUE });
          await raw.queueDeclare({ queue: this.taken, durable: true });
          await raw.exchangeDeclare({ exchange: this.entry, type: "fanout", durable: true });
          await raw.queueBind({ exchange: this.entry, queue: this.items });
        });
        if (limit !== null) {
          await this.gate.make(channel);
          const last = { "x-max-length": 1 };
          await channel.ask((raw) => raw.queueDeclare({ queue: this.room, durable: true, arguments: last }));
        }
        await makeExchange(channel, this.roll);
        await channel.ask((raw) => raw.queueDeclare({ queue: this.members, durable: true }));
      },
    });
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

  /** Deletes it with all that is in it. The log goes first but one, the members last: who finds those finds all. */
  async delete(connection: BrokerConnection): Promise<void> {
    await exclusively(connection, { what: this.what, object: this.entry }, async (channel) => {
      const { delays } = await this.log.last(channel);
      // What was begun and not done is found to be there by the next who deletes.
      await channel.ask(async (raw) => {
        await raw.exchangeDelete({ exchange: this.entry });
        const parts = [this.items, this.dead, this.taken, this.gate.queue, this.room];
        for (const queue of [...parts, ...delays.map((ms) => this.delay(ms))]) {
          await raw.queueDelete({ queue });
        }
        await raw.exchangeDelete({ exchange: this.roll });
        await raw.queueDelete({ queue: this.members });
        await raw.queueDelete({ queue: this.log.queue });
      });
    });
    await removeName(connection, "queue", this.name);
  }

  /** The queue for what is delayed for so long. */
  delay(delayMs: number): string {
    return objectName("queue", this.name, "delay", String(delayMs));
  }

  /** Declares the queue for what is delayed for so long, and returns its name. */
  async makeDelay(connection: BrokerConnection, delayMs: number): Promise<string> {
    const queue = this.delay(delayMs);
    const channel = await connection.channel(this.what);
    try {
      const { delays } = await this.read(channel);
      if (!delays.includes(delayMs)) {
        await this.change(connection, (book) => ({ delays: [...new Set([...book.delays, delayMs])] }));
      }
      await channel.ask((raw) =>
        raw.queueDeclare({
          queue,
          durable: true,
          arguments: {
            "x-queue-type": "quorum",
            "x-message-ttl": delayMs,
            "x-expires": delayMs + DELAY_EXPIRY_MS,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": this.items,
            // What is due is out of here only once it is among the items.
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
          },
        })
      );
      return queue;
    } finally {
      await channel.close();
    }
  }

  /** How many messages of a queue are ready; undefined if there is no such queue. */
  async count(connection: BrokerConnection, queue: string): Promise<number | undefined> {
    const channel = await connection.channel(this.what);
    try {
      return (await channel.raw.queueDeclare({ queue, passive: true })).messageCount;
    } catch (error) {
      if (hasCode(error, "NOT_FOUND")) return undefined;
      throw channel.failure(error);
    } finally {
      await channel.close();
    }
  }

  /** How many items are not due yet. To be asked before those that are ready: an item goes from here to there. */
  async countDelayed(connection: BrokerConnection, { delays }: Book): Promise<number> {
    let delayed = 0;
    for (const delayMs of delays) delayed += await this.count(connection, this.delay(delayMs)) ?? 0;
    return delayed;
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
    const isGone = error instanceof DeletedError ||
      error instanceof Error && hasCode(error.cause, "NOT_FOUND");
    return isGone ? this.deleted() : error;
  }

  /** What to throw once it was deleted. */
  deleted(): ClosedError {
    return new ClosedError(`${this.what} was deleted`);
  }
}

/**
 * A delay as the broker keeps it: as it has one queue for each, they are rounded up to two digits.
 *
 * @throws {UsageError} If it is longer than 49 days.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([0.2, 1_000, 1_234, 86_400_000].map(roundDelay), [1, 1_000, 1_300, 87_000_000]);
 * ```
 */
export function roundDelay(delayMs: number): number {
  if (delayMs > LONGEST_DELAY_MS) {
    throw new UsageError("cannot delay an item that long at a broker: it must be 49 days or less");
  }
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(delayMs)) - 1);
  return Math.ceil(Math.ceil(delayMs) / unit) * unit;
}

function describe({ kind, maxSize }: { kind?: QueueKind; maxSize?: number }): string {
  const size = maxSize === undefined
    ? undefined
    : maxSize === Infinity
    ? "without a limit"
    : `for ${maxSize} items at most`;
  return [kind, size].filter((word) => word !== undefined).join(", ");
}
