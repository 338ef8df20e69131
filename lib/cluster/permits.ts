/**
 * What locks and semaphores have in common: a line, and permits that whoever is first in it collects.
 *
 * @module
 */

import type { WaitOptions } from "../primitives.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import { exclusively, isThere, makeOnce } from "./creation.ts";
import { Gate, type Pass } from "./gate.ts";
import { ClusterLease } from "./lease.ts";
import { Log } from "./log.ts";
import { addName } from "./names.ts";
import { hold, type Part, partOf } from "./parts.ts";
import { makeQuorumQueues } from "./quorum_queue.ts";
import { RollCall } from "./roll_call.ts";
import { type ClusterStore, type ObjectKind, objectName } from "./store.ts";
import { doSoon, timedOut, waitAcross } from "./wait.ts";
import { type Book, Tokens } from "./tokens.ts";

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

/** What somebody wants: how many permits, or of a lock 1 to share it and else 0; and what for. */
export type Claim = Pick<Part, "weight" | "command">;

/** Who is inside the gate of an object. */
export interface Insider {
  connection: BrokerConnection;
  channel: BrokerChannel;
  pass: Pass;
  part: Part;
}

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
  make(
    connection: BrokerConnection,
    { permits, tokens = permits }: { permits: number; tokens?: number },
  ): Promise<boolean> {
    return makeOnce(connection, {
      ...{ what: this.what, object: this.#object, mark: this.#object },
      make: async (channel) => {
        await addName(connection, this.#kind, this.#name);
        await makeQuorumQueues(channel, this.#object, [{ queue: this.gate.queue }, {
          queue: this.tokens.queue,
        }]);
        await this.gate.open(channel);
        const book: Book = { permits, tokens: [], next: 0 };
        await this.log.make(channel, book);
        if (tokens > 0) await this.tokens.add(channel, { log: this.log, book, count: tokens });
      },
    });
  }

  /** Whether it is there. */
  exists(): Promise<boolean> {
    return doSoon(this.store, (connection) => isThere(connection, { what: this.what, mark: this.#object }));
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

  /** Waits as `wait` says, over however many connections it takes; if there is no time at all, tries as `now` says. */
  async acquire(
    options: WaitOptions,
    { wait, now }: {
      wait: (connection: BrokerConnection, signal: AbortSignal) => Promise<ClusterLease>;
      now: () => Promise<ClusterLease | undefined>;
    },
  ): Promise<ClusterLease> {
    options.signal?.throwIfAborted();
    if (options.timeoutMs !== 0) {
      return await waitAcross(this.store, options, wait, (lease) => lease.release());
    }
    const lease = await now();
    if (lease === undefined) throw timedOut(0);
    return lease;
  }

  /**
   * Waits in line until we are inside, and does something there.
   *
   * Cancel safety: who gives up is not in line any more, nor inside.
   *
   * @param options `claim`: what others are told; `work`: what to do, which ends in a {@link grant}.
   */
  async enter(
    connection: BrokerConnection,
    { claim, signal, work }: {
      claim: Claim;
      signal: AbortSignal;
      work: (insider: Insider) => Promise<ClusterLease>;
    },
  ): Promise<ClusterLease> {
    const part = partOf({ state: "waits", pid: this.store.pid, ...claim });
    const channel = await connection.channel(this.what);
    try {
      await this.roll.join(connection, part);
      const pass = await this.gate.enter(channel, signal);
      return await work({ connection, channel, pass, part });
    } catch (error) {
      this.roll.leave(part);
      void channel.close();
      throw error;
    }
  }

  /**
   * Goes inside if nobody waits, and does something there. Somebody who only passes through is waited for a moment, as long as `mayPass` says so.
   *
   * @param options `claim`: what others are told; `work`: what to do, which ends in a {@link grant}, or in vain.
   */
  async tryEnter(
    connection: BrokerConnection,
    { claim, mayPass, work }: {
      claim: Claim;
      mayPass: (channel: BrokerChannel) => Promise<boolean>;
      work: (insider: Insider) => Promise<ClusterLease | undefined>;
    },
  ): Promise<ClusterLease | undefined> {
    const part = partOf({ state: "waits", pid: this.store.pid, ...claim });
    const channel = await connection.channel(this.what);
    let lease: ClusterLease | undefined;
    try {
      await this.roll.join(connection, part);
      const pass = await this.#tryPass(channel, mayPass);
      lease = pass && await work({ connection, channel, pass, part });
      if (lease === undefined) pass?.leave();
      return lease;
    } finally {
      if (lease === undefined) {
        this.roll.leave(part);
        await channel.close();
      }
    }
  }

  /**
   * What who is inside, or was, holds from now on.
   *
   * @param options `renew`: shows life; `giveBack`: gives back what is held; both over the channel.
   */
  grant(
    { connection: { graceMs }, channel, pass, part }: Insider,
    { renew, giveBack }: { renew: () => Promise<void>; giveBack: () => void },
  ): ClusterLease {
    return new ClusterLease({
      ...{ channel, part: hold(part), fence: pass.count, graceMs, renewMs: this.renewMs, renew, giveBack },
      ended: () => this.roll.leave(part),
    });
  }

  async #tryPass(
    channel: BrokerChannel,
    mayPass: (channel: BrokerChannel) => Promise<boolean>,
  ): Promise<Pass | undefined> {
    for (let pauseMs = 1; pauseMs < 100; pauseMs *= 2) {
      const pass = await this.gate.tryEnter(channel);
      if (pass !== undefined) return pass;
      if ((await this.gate.look(channel)).waiting > 0 || !await mayPass(channel)) return undefined;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    return undefined;
  }
}
