/**
 * A log: a stream whose last entry is how an object stands.
 *
 * @module
 */

import type { BrokerChannel } from "./channel.ts";
import { Inbox } from "./inbox.ts";

/**
 * How much of a log stays. Old entries go by the segment; a follower who is away for a moment still finds what it missed, and the last
 * entry always stays.
 */
const RETENTION = { "x-max-length-bytes": 1_000_000, "x-stream-max-segment-size-bytes": 500_000 } as const;

/** How long an append may take: a broker that is short of memory or disk takes nothing. */
const APPEND_LIMIT_MS = 10_000;
/** How long the entry that a follower begins with may take. */
const FIRST_LIMIT_MS = 5_000;

const encoder = new TextEncoder();

/** An entry, and where it stands. */
export interface Entry<T> {
  /** Grows from entry to entry, not always by one. */
  offset: number;
  state: T;
}

/** Options of {@link Log}. */
export interface LogOptions {
  /** Whether old entries stay for good. Default false. */
  keepsAll?: boolean;
}

/**
 * A log of states.
 *
 * Invariants: one at a time appends, and waits until the broker has the entry before the next is appended; so each is a chunk of the stream of
 * its own, and whoever starts at the last chunk gets exactly the last entry. A follower gets every entry after the one it started with.
 */
export class Log<T> {
  /** The stream. */
  readonly queue: string;
  readonly #keepsAll: boolean;

  constructor(queue: string, { keepsAll = false }: LogOptions = {}) {
    this.queue = queue;
    this.#keepsAll = keepsAll;
  }

  /** Makes it anew with a first entry; only who creates the object that it belongs to, before anybody uses it. */
  async make(channel: BrokerChannel, state: T): Promise<void> {
    await channel.ask((raw) => raw.queueDelete({ queue: this.queue }));
    const details = { "x-queue-type": "stream" as const, ...(this.#keepsAll ? {} : RETENTION) };
    await channel.ask((raw) => raw.queueDeclare({ queue: this.queue, durable: true, arguments: details }));
    await this.append(channel, state);
  }

  /**
   * Appends an entry. Only who is alone with the object: inside its gate.
   *
   * Cancel safety: cannot be cancelled. If the connection is lost it may be there or not.
   *
   * @throws {SystemError} If the channel is lost before the broker has answered, or it does not within 10 s.
   */
  async append(channel: BrokerChannel, state: T): Promise<void> {
    const publishing = channel.publish({ routingKey: this.queue }, encoder.encode(JSON.stringify(state)));
    await channel.answered(publishing, APPEND_LIMIT_MS);
  }

  /**
   * How it stands: the entry that was appended last before this was called, or a later one.
   *
   * @throws {SystemError} If the channel is lost, or there is no such log.
   */
  async last(channel: BrokerChannel, signal?: AbortSignal): Promise<T> {
    const follower = await this.follow(channel);
    try {
      return (await follower.first(signal)).state;
    } finally {
      if (!channel.lost.aborted) await follower.close();
    }
  }

  /**
   * Follows it, beginning with the last entry. That, or what else it begins with, is there: see {@link Follower.first}.
   *
   * @param from An offset, to begin with that entry instead: none after it is missed then. Or `first`.
   * @throws {SystemError} If the channel is lost, or there is no such log.
   */
  async follow(channel: BrokerChannel, from: number | "first" | "last" = "last"): Promise<Follower<T>> {
    const inbox = await Inbox.open(channel, this.queue, {
      // Streams deliver nothing without a limit.
      prefetch: 100,
      arguments: { "x-stream-offset": from },
    });
    return new Follower(channel, inbox);
  }
}

/** Gets one entry of a log after the other. */
export class Follower<T> {
  readonly #channel: BrokerChannel;
  readonly #inbox: Inbox;

  constructor(channel: BrokerChannel, inbox: Inbox) {
    this.#channel = channel;
    this.#inbox = inbox;
  }

  /**
   * The entry that it begins with, which is there.
   *
   * @throws {UnavailableError} If it does not come: a broker that has just started may forget who follows.
   * @throws As {@link next}.
   */
  first(signal?: AbortSignal): Promise<Entry<T>> {
    return this.#channel.answered(this.next(signal), FIRST_LIMIT_MS);
  }

  /**
   * The next entry, once there is one.
   *
   * Cancel safety: an entry that comes too late is the first that the next call returns.
   *
   * @throws {SystemError} If the channel is lost, or the log was deleted.
   * @throws The reason of the signal, if it is aborted.
   */
  async next(signal?: AbortSignal): Promise<Entry<T>> {
    const { deliveryTag, headers, body } = await this.#inbox.next(signal);
    // To acknowledge an entry of a stream asks for more; it stays.
    this.#channel.raw.basicAck({ deliveryTag });
    return { offset: Number(headers?.["x-stream-offset"]), state: JSON.parse(String(body)) };
  }

  /** Ends it. */
  async close(): Promise<void> {
    await this.#inbox.close();
  }
}
