/**
 * What locks and semaphores have in common: a line, and permits that whoever is first in it collects.
 *
 * @module
 */

import type { Holder, Waiter } from "../named.ts";
import { follow } from "../abort.ts";
import { Timer } from "../time/timer.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import { exclusively, makeOnce } from "./creation.ts";
import { Gate, type Pass } from "./gate.ts";
import { Log } from "./log.ts";
import { addName } from "./names.ts";
import { makeQuorumQueues } from "./quorum_queue.ts";
import { type Part, RollCall } from "./roll_call.ts";
import { type ClusterStore, type ObjectKind, objectName } from "./store.ts";
import { doSoon } from "./wait.ts";
import {
  type Book,
  counts,
  countTokens,
  destroy,
  putBack,
  type Token,
  token,
  Tokens,
  without,
} from "./tokens.ts";

/** From one sign of life to the next: brokers give up on who shows none for 30 minutes, those before 3.8.17 for 15. */
export const RENEW_MS = 5 * 60_000;

/** What a {@link ClusterPermits} is made with. */
export interface PermitsOptions {
  kind: ObjectKind;
  name: string;
  /** For messages: `the lock 'db'`. */
  what: string;
  /** Milliseconds from one sign of life of a holder to the next. Default: 5 minutes. */
  renewMs?: number;
}

/** Who is inside the gate of an object. */
export interface Insider {
  connection: BrokerConnection;
  channel: BrokerChannel;
  pass: Pass;
  part: Part;
}

/** Ends a round of waiting, to show life. */
const RENEW = Symbol("renew");

/**
 * An object with permits.
 *
 * Invariant: who waits stands in the line of one gate, and only who is inside takes permits; so nobody is overtaken, and no two hold a part of what both
 * need. Permits are tokens ({@link Tokens}), and which of them count says the last entry of a log.
 */
export class ClusterPermits {
  readonly what: string;
  readonly store: ClusterStore;
  readonly gate: Gate;
  readonly tokens: Tokens;
  readonly log: Log<Book>;
  readonly roll: RollCall;
  readonly renewMs: number;
  readonly #kind: ObjectKind;
  readonly #name: string;
  readonly #object: string;

  constructor(store: ClusterStore, { kind, name, what, renewMs = RENEW_MS }: PermitsOptions) {
    this.store = store;
    this.what = what;
    this.renewMs = renewMs;
    this.#kind = kind;
    this.#name = name;
    this.#object = objectName(kind, name);
    this.gate = new Gate(objectName(kind, name, "gate"));
    this.tokens = new Tokens(objectName(kind, name, "permits"));
    this.log = new Log(objectName(kind, name, "log"));
    this.roll = new RollCall(this.#object, what);
  }

  /** Makes it, unless it is there, with so many tokens to begin with. Says whether it did. */
  make({ permits, tokens = permits }: { permits: number; tokens?: number }): Promise<boolean> {
    const creation = {
      what: this.what,
      object: this.#object,
      mark: this.#object,
      make: async (channel: BrokerChannel, connection: BrokerConnection) => {
        await addName(connection, this.#kind, this.#name);
        await makeQuorumQueues(channel, this.#object, [{ queue: this.gate.queue }, {
          queue: this.tokens.queue,
        }]);
        await this.gate.open(channel);
        const book: Book = { permits, tokens: [], next: 0 };
        await this.log.make(channel, book);
        if (tokens > 0) await this.tokens.add(channel, { log: this.log, book, count: tokens });
      },
    };
    return doSoon(this.store, (connection) => makeOnce(connection, creation));
  }

  /** Asks something over a channel of its own. Throws `SystemError` if there is no answer within 10 s. */
  asking<T>(work: (channel: BrokerChannel, connection: BrokerConnection) => Promise<T>): Promise<T> {
    return doSoon(this.store, async (connection) => {
      const channel = await connection.channel(this.what);
      try {
        return await work(channel, connection);
      } finally {
        await channel.close();
      }
    });
  }

  /** Changes which permits count, as {@link change} does, within 10 s. */
  changing(work: (channel: BrokerChannel, book: Book) => Promise<void>): Promise<void> {
    return doSoon(this.store, (connection) => this.change(connection, work));
  }

  /** Changes which permits count, while nobody else does. */
  change(
    connection: BrokerConnection,
    work: (channel: BrokerChannel, book: Book) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    const maker = { what: this.what, object: this.#object };
    return exclusively(
      connection,
      maker,
      async (channel) => work(channel, await this.log.last(channel)),
      signal,
    );
  }

  /**
   * Collects permits, inside the gate, waiting for what is not there.
   *
   * Cancel safety: who gives up closes the channel; that gives everything back.
   *
   * @param options `book`: as it was lately; `wanted`: how many, by the book, at once to throw if there can never be so many; `signal`.
   */
  async collect(
    insider: Insider,
    { book, wanted, signal }: { book: Book; wanted: (book: Book) => number; signal: AbortSignal },
  ): Promise<Token[]> {
    const { channel } = insider;
    let held: Token[] = [];
    for (;;) {
      const missing = wanted(book) - held.length;
      if (missing > 0) await this.#receive(insider, { held, count: wanted(book), signal });
      book = await this.log.last(channel, signal);
      held = await this.sort(insider, { book, held, signal });
      if (held.length === wanted(book)) return held;
    }
  }

  /** Takes permits, inside the gate, if there are so many; else returns undefined and has none. */
  async take(insider: Insider, wanted: (book: Book) => number): Promise<Token[] | undefined> {
    const { channel } = insider;
    let held: Token[] = [];
    for (;;) {
      const book = await this.log.last(channel);
      held = await this.sort(insider, { book, held });
      const count = wanted(book);
      if (held.length === count) return held;
      while (held.length < count) {
        const taken = await this.tokens.take(channel);
        if (taken === undefined) {
          putBack(channel, held);
          return undefined;
        }
        held.push(taken);
      }
    }
  }

  /** Destroys those of some permits that do not count, or are more than there are to be. Returns the others. */
  async sort(
    { connection, channel }: Pick<Insider, "connection" | "channel">,
    { book, held, signal }: { book: Book; held: readonly Token[]; signal?: AbortSignal },
  ): Promise<Token[]> {
    const [good, dead]: [Token[], Token[]] = [[], []];
    for (const each of held) (counts(book, each.id) ? good : dead).push(each);
    if (countTokens(book) > book.permits && good.length > 0) {
      await this.change(connection, async (channel, book) => {
        const excess = good.splice(0, Math.max(0, countTokens(book) - book.permits));
        if (excess.length === 0) return;
        await this.log.append(channel, without(book, excess.map(({ id }) => id)));
        dead.push(...excess);
      }, signal);
    }
    destroy(channel, dead);
    return good;
  }

  /** Goes inside if nobody waits. Somebody who only passes through is waited for a moment, as long as `mayPass` says so. */
  async tryEnter(
    channel: BrokerChannel,
    mayPass: () => Promise<boolean>,
  ): Promise<Pass | undefined> {
    for (let pauseMs = 1; pauseMs < 100; pauseMs *= 2) {
      const pass = await this.gate.tryEnter(channel);
      if (pass !== undefined) return pass;
      if ((await this.gate.look(channel)).waiting > 0 || !await mayPass()) return undefined;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    return undefined;
  }

  /** Waits until so many permits are ours. In `held` afterwards. Shows life from time to time. */
  async #receive(
    { channel, pass, part }: Insider,
    { held, count, signal }: { held: Token[]; count: number; signal: AbortSignal },
  ): Promise<void> {
    while (held.length < count) {
      const round = new AbortController();
      const unfollow = follow(round, [signal]);
      using _timer = new Timer(this.renewMs, () => round.abort(RENEW));
      const inbox = await this.tokens.listen(channel, count - held.length);
      try {
        while (held.length < count) {
          part.collected = held.length;
          held.push(token(await inbox.next(round.signal)));
        }
        await inbox.close();
      } catch (error) {
        if (error !== RENEW) throw error;
        // Nobody else takes what is put back: we are inside.
        await inbox.close();
        putBack(channel, [...held.splice(0), ...inbox.takeAll().map(token)]);
        await pass.renew();
      } finally {
        unfollow();
      }
    }
  }
}

/**
 * Milliseconds from the loss of a connection, as we notice it, until the broker may take it for dead: it waits for two heartbeats at least, we for
 * one and a half at most. A tenth is left for what takes time.
 */
export function graceOf({ address }: BrokerConnection): number {
  return address.heartbeatS * 400;
}

/** A part that this process is about to play. */
export function partOf({ state, weight, command }: Pick<Part, "state" | "weight" | "command">): Part {
  return {
    ...{ state, weight, command },
    host: Deno.hostname(),
    pid: Deno.pid,
    jobPid: undefined,
    since: Date.now(),
    token: "",
  };
}

/** A part turns from waiting into holding. */
export function hold(part: Part): Part {
  delete part.collected;
  part.state = "holds";
  part.since = Date.now();
  part.token = crypto.randomUUID().replaceAll("-", "").slice(0, 16);
  return part;
}

/** Whether a text may be the token of a lease. */
export function isToken(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}

/** Those who hold, the longest first, and those who wait, in the order of the line as their clocks say. */
export function holdersAndWaiters(
  parts: readonly Part[],
): { holders: (Holder & { host: string })[]; waiters: (Waiter & { host: string })[] } {
  const inOrder = parts.toSorted((one, other) => one.since - other.since);
  const shown = ({ host, pid, command, since, weight }: Part) => ({
    ...{ host, command, weight },
    pid,
    since: new Date(since),
  });
  return {
    holders: inOrder.filter(({ state }) => state === "holds").map((part) => ({
      ...shown(part),
      ...{ jobPid: part.jobPid, token: part.token },
    })),
    waiters: inOrder.filter(({ state }) => state === "waits").map((part) => ({
      ...shown(part),
      pid: part.pid!,
    })),
  };
}
