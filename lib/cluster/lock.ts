/**
 * A lock between machines.
 *
 * @module
 */

import type { Holder, NamedLock, NamedLockOptions, Waiter } from "../named.ts";
import type { LockStatistics, WaitOptions } from "../primitives.ts";
import type { BrokerConnection } from "./connection.ts";
import { renewed } from "./gate.ts";
import { ClusterLease } from "./lease.ts";
import { namesOf } from "./names.ts";
import { ClusterPermits, graceOf, hold, holdersAndWaiters, type Insider, partOf } from "./permits.ts";
import type { ClusterStore } from "./store.ts";
import { type Book, counts, countTokens, destroy, putBack, type Token, token } from "./tokens.ts";
import { doSoon, timedOut, waitAcross } from "./wait.ts";

/** Options of {@link ClusterLock.open}. */
export interface ClusterLockOptions {
  /** Milliseconds from one sign of life of a holder to the next, less than `consumer_timeout` of the broker. Default: 5 minutes. */
  renewMs?: number;
}

/** What who shares it weighs, and who does not. */
const [SHARED, ALONE] = [1, 0];

/**
 * One holder at a time, or several who share it, first come first served: who wants it for itself is not overtaken by those who share.
 * Not reentrant.
 *
 * Who holds it alone stays inside its gate, once all shares are there; who shares it takes a share inside, and leaves. Nobody else makes shares or takes
 * them, so their number stands still while somebody is inside.
 *
 * Invariant: between two grants to holders who do not share there is exactly one release, or the end of the holder's connection, as the broker sees
 * it; `lost` of the lease is aborted before that. Grants have growing fencing numbers.
 */
export class ClusterLock implements NamedLock {
  readonly #permits: ClusterPermits;

  private constructor(permits: ClusterPermits) {
    this.#permits = permits;
  }

  /**
   * The lock of a name, made if it is not there.
   *
   * @param store Where it is kept.
   * @param name Its name: all who use this name and this broker share it.
   * @throws {SystemError} If the broker cannot be used.
   */
  static async open(
    store: ClusterStore,
    name: string,
    { renewMs }: ClusterLockOptions = {},
  ): Promise<ClusterLock> {
    const what = `the lock '${name}'`;
    const options = { kind: "lock" as const, name, what, ...(renewMs !== undefined && { renewMs }) };
    const permits = new ClusterPermits(store, options);
    // There are as many shares as there ever were holders at once who shared it.
    await permits.make({ permits: Number.MAX_SAFE_INTEGER, tokens: 0 });
    return new ClusterLock(permits);
  }

  /** The locks of a broker that are held or waited for, by their names. */
  static async names(store: ClusterStore): Promise<string[]> {
    const names: string[] = [];
    for (const name of await doSoon(store, (connection) => namesOf(connection, "lock"))) {
      const { held, waiting } = await (await ClusterLock.open(store, name)).statistics();
      if (held || waiting > 0) names.push(name);
    }
    return names;
  }

  /**
   * Waits until the lock is ours. A wait goes on over the next connection if one is lost, at the end of the line.
   *
   * Cancel safety: a cancelled wait never holds the lock. An abort in the same turn as the grant loses.
   *
   * @param options When to give up (default: never), whether to share it, and what it is for.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If the broker refuses.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async acquire({ shared = false, command, ...options }: NamedLockOptions = {}): Promise<ClusterLease> {
    options.signal?.throwIfAborted();
    const claim = { shared, ...(command !== undefined && { command }) };
    if (options.timeoutMs !== 0) {
      return await waitAcross(
        this.#permits.store,
        options,
        (connection, signal) => this.#attempt(connection, { ...claim, signal }),
      );
    }
    const lease = await this.tryAcquire(claim);
    if (lease === undefined) throw timedOut(0);
    return lease;
  }

  /**
   * Takes the lock if it is free and nobody waits for it, else returns undefined.
   *
   * @param options Whether to share it, and what it is for.
   * @throws {SystemError} If the broker cannot be used.
   */
  tryAcquire(
    { shared = false, command }: Omit<NamedLockOptions, keyof WaitOptions> = {},
  ): Promise<ClusterLease | undefined> {
    return doSoon(this.#permits.store, (connection) => this.#try(connection, { shared, command }));
  }

  async #try(
    connection: BrokerConnection,
    { shared, command }: { shared: boolean; command: string | undefined },
  ): Promise<ClusterLease | undefined> {
    const permits = this.#permits;
    const channel = await connection.channel(permits.what);
    const part = partOf({ state: "waits", weight: shared ? SHARED : ALONE, command });
    try {
      await permits.roll.join(connection, part);
      const pass = await permits.tryEnter(channel, () => Promise.resolve(true));
      if (pass !== undefined) {
        const insider = { connection, channel, pass, part };
        if (shared) return this.#share(insider, await this.#takeShare(insider));
        if (await this.#putBack(insider, await permits.take(insider, countTokens))) return this.#own(insider);
        pass.leave();
      }
    } catch (error) {
      permits.roll.leave(part);
      await channel.close();
      throw error;
    }
    permits.roll.leave(part);
    await channel.close();
    return undefined;
  }

  /** Whether it is held, and how many wait, at this moment. */
  statistics(): Promise<LockStatistics> {
    const { gate, tokens, log } = this.#permits;
    return this.#permits.asking(async (channel) => {
      const { taken, waiting } = await gate.look(channel);
      const areOut = await tokens.ready(channel) < countTokens(await log.last(channel));
      // Inside is the holder, or, while shares are out, who waits for them.
      return { held: taken || areOut, waiting: waiting + (taken && areOut ? 1 : 0) };
    });
  }

  /** Who holds it and who waits. Who does not answer within 300 ms is missing. */
  async status(): Promise<
    { holders: (Holder & { shared: boolean })[]; waiters: (Waiter & { shared: boolean })[] }
  > {
    const counts = await this.#permits.asking(async (channel) => {
      const { gate, tokens, log } = this.#permits;
      const { taken, waiting } = await gate.look(channel);
      const shares = countTokens(await log.last(channel)) - await tokens.ready(channel);
      return { inLine: waiting + (taken ? 1 : 0), shares };
    });
    if (counts.inLine + counts.shares === 0) return { holders: [], waiters: [] };
    const { roll } = this.#permits;
    const parts = await this.#permits.asking((_, connection) =>
      roll.ask(connection, (parts) => parts.length >= counts.inLine + counts.shares)
    );
    const isShared = ({ weight }: { weight: number }) => ({ shared: weight === SHARED });
    const { holders, waiters } = holdersAndWaiters(parts);
    return {
      holders: holders.map((holder) => ({ ...holder, ...isShared(holder) })),
      waiters: waiters.map((waiter) => ({ ...waiter, ...isShared(waiter) })),
    };
  }

  async #attempt(
    connection: BrokerConnection,
    { shared, command, signal }: { shared: boolean; command?: string; signal: AbortSignal },
  ): Promise<ClusterLease> {
    const permits = this.#permits;
    const part = partOf({ state: "waits", weight: shared ? SHARED : ALONE, command });
    const channel = await connection.channel(permits.what);
    try {
      await permits.roll.join(connection, part);
      const pass = await permits.gate.enter(channel, signal);
      const insider = { connection, channel, pass, part };
      if (shared) return this.#share(insider, await this.#takeShare(insider));
      const book = await permits.log.last(channel, signal);
      if (countTokens(book) > 0) {
        await this.#putBack(insider, await permits.collect(insider, { book, wanted: countTokens, signal }));
      }
      return this.#own(insider);
    } catch (error) {
      permits.roll.leave(part);
      void channel.close();
      throw error;
    }
  }

  /** Takes a share, inside the gate: one that is there, or a new one. */
  async #takeShare({ channel }: Insider): Promise<Token> {
    const { tokens, log } = this.#permits;
    for (let book: Book = await log.last(channel);;) {
      const taken = await tokens.take(channel);
      if (taken === undefined) book = await tokens.add(channel, { log, book, count: 1 });
      else if (counts(book, taken.id)) return taken;
      else destroy(channel, [taken]);
    }
  }

  /** All shares that were collected go back. Says whether there were so many. */
  async #putBack({ channel }: Insider, shares: readonly Token[] | undefined): Promise<boolean> {
    if (shares === undefined) return false;
    putBack(channel, shares);
    // Whoever counts them once the lock is held counts all.
    while (await this.#permits.tokens.ready(channel) < shares.length);
    return true;
  }

  #share({ connection, channel, pass, part }: Insider, share: Token): ClusterLease {
    const { tokens: { queue }, roll, renewMs } = this.#permits;
    pass.leave();
    return new ClusterLease({
      ...{ channel, part: hold(part), renewMs, graceMs: graceOf(connection) },
      fence: pass.count,
      renew: async () => {
        const [delivered] = await renewed(channel, queue, [share.delivered]);
        share = token(delivered!);
      },
      giveBack: () => putBack(channel, [share]),
      ended: () => roll.leave(part),
    });
  }

  #own({ connection, channel, pass, part }: Insider): ClusterLease {
    const { roll, renewMs } = this.#permits;
    return new ClusterLease({
      ...{ channel, part: hold(part), renewMs, graceMs: graceOf(connection) },
      fence: pass.count,
      renew: () => pass.renew(),
      giveBack: () => pass.leave(),
      ended: () => roll.leave(part),
    });
  }
}
