/**
 * A lock between machines.
 *
 * @module
 */

import type { Holder, NamedLock, NamedLockOptions, Waiter } from "../named.ts";
import type { LockStatistics, WaitOptions } from "../primitives.ts";
import { collect, take } from "./collecting.ts";
import type { BrokerConnection } from "./connection.ts";
import { renewed } from "./gate.ts";
import type { ClusterLease } from "./lease.ts";
import { namesOf } from "./names.ts";
import { holdersAndWaiters } from "./parts.ts";
import { type Claim, ClusterPermits, type Insider } from "./permits.ts";
import type { ClusterStore } from "./store.ts";
import { type Book, counts, countTokens, destroy, putBack, type Token, token } from "./tokens.ts";
import { doSoon } from "./wait.ts";

/** Options of {@link ClusterLock.open}. */
export interface ClusterLockOptions {
  /** Milliseconds from one sign of life of a holder to the next, less than `consumer_timeout` of the broker. Default: 5 minutes. */
  renewMs?: number;
}

/** What who shares it weighs, and who does not. */
const [SHARED, ALONE] = [1, 0];

/** There are as many shares as there ever were holders at once who shared it. */
const CONTENTS = { permits: Number.MAX_SAFE_INTEGER, tokens: 0 };

const FREE: LockStatistics = { held: false, waiting: 0 };

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
    options: ClusterLockOptions = {},
  ): Promise<ClusterLock> {
    const lock = ClusterLock.named(store, name, options);
    await doSoon(store, (connection) => lock.#permits.make(connection, CONTENTS));
    return lock;
  }

  /** The lock of a name; it is made when somebody acquires it. One that is not there is free. */
  static named(store: ClusterStore, name: string, { renewMs }: ClusterLockOptions = {}): ClusterLock {
    const options = { kind: "lock" as const, name, what: `the lock '${name}'` };
    return new ClusterLock(
      new ClusterPermits(store, { ...options, ...(renewMs !== undefined && { renewMs }) }),
    );
  }

  /** The locks of a broker that are held or waited for, by their names. */
  static async names(store: ClusterStore): Promise<string[]> {
    const names: string[] = [];
    for (const name of await doSoon(store, (connection) => namesOf(connection, "lock"))) {
      const { held, waiting } = await ClusterLock.named(store, name).statistics();
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
  acquire({ shared = false, command, ...options }: NamedLockOptions = {}): Promise<ClusterLease> {
    const claim = claimOf(shared, command);
    return this.#permits.acquire(options, {
      wait: (connection, signal) => this.#wait(connection, { claim, signal }),
      now: () => this.tryAcquire({ shared, ...(command !== undefined && { command }) }),
    });
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
    const permits = this.#permits;
    const attempt = async (connection: BrokerConnection) => {
      await permits.make(connection, CONTENTS);
      return await permits.tryEnter(connection, {
        claim: claimOf(shared, command),
        mayPass: () => Promise.resolve(true),
        work: async (insider) => {
          if (shared) return this.#share(insider, await this.#takeShare(insider));
          const areBack = await this.#putBack(insider, await take(permits, insider, countTokens));
          return areBack ? this.#own(insider) : undefined;
        },
      });
    };
    return doSoon(permits.store, attempt, { undo: (lease) => lease?.release() });
  }

  /** Whether it is held, and how many wait, at this moment. */
  async statistics(): Promise<LockStatistics> {
    const { held, waiting } = await this.#look();
    return { held, waiting };
  }

  /** Whether it is held, who holds it and who waits. Who does not answer within 300 ms is in the first and in the count only. */
  async status(): Promise<
    LockStatistics & {
      holders: (Holder & { shared: boolean })[];
      waiters: (Waiter & { shared: boolean })[];
    }
  > {
    const isShared = ({ weight }: { weight: number }) => ({ shared: weight === SHARED });
    for (let look = 1;; look++) {
      const { held, waiting, inLine, shares } = await this.#look();
      if (inLine + shares === 0) return { ...FREE, holders: [], waiters: [] };
      const { roll } = this.#permits;
      const parts = await this.#permits.asking((_, connection) =>
        roll.ask(connection, (parts) => parts.length >= inLine + shares)
      );
      const { holders, waiters } = holdersAndWaiters(parts);
      // Whoever held it may have given it back before it was asked, and be of no interest any more.
      if (held && holders.length === 0 && look === 1) continue;
      return {
        held: held || holders.length > 0,
        waiting: Math.max(waiting, waiters.length),
        holders: holders.map((holder) => ({ ...holder, ...isShared(holder) })),
        waiters: waiters.map((waiter) => ({ ...waiter, ...isShared(waiter) })),
      };
    }
  }

  /** How it stands: besides, how many are inside its gate or before it, and how many shares are out. */
  async #look(): Promise<LockStatistics & { inLine: number; shares: number }> {
    if (!await this.#permits.exists()) return { ...FREE, inLine: 0, shares: 0 };
    const { gate, tokens, log } = this.#permits;
    return await this.#permits.asking(async (channel) => {
      const { taken, waiting } = await gate.look(channel);
      const shares = countTokens(await log.last(channel)) - await tokens.ready(channel);
      // Inside is the holder, or, while shares are out, who waits for them.
      const isWaiting = taken && shares > 0;
      return {
        held: taken || shares > 0,
        waiting: waiting + (isWaiting ? 1 : 0),
        inLine: waiting + (taken ? 1 : 0),
        shares,
      };
    });
  }

  async #wait(
    connection: BrokerConnection,
    { claim, signal }: { claim: Claim; signal: AbortSignal },
  ): Promise<ClusterLease> {
    const permits = this.#permits;
    await permits.make(connection, CONTENTS);
    return await permits.enter(connection, {
      ...{ claim, signal },
      work: async (insider) => {
        if (claim.weight === SHARED) return this.#share(insider, await this.#takeShare(insider));
        const book = await permits.log.last(insider.channel, signal);
        if (countTokens(book) > 0) {
          await this.#putBack(
            insider,
            await collect(permits, insider, { book, wanted: countTokens, signal }),
          );
        }
        return this.#own(insider);
      },
    });
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

  #share(insider: Insider, share: Token): ClusterLease {
    const { channel, pass } = insider;
    pass.leave();
    return this.#permits.grant(insider, {
      renew: async () => {
        const [delivered] = await renewed(channel, this.#permits.tokens.queue, [share.delivered]);
        share = token(delivered!);
      },
      giveBack: () => putBack(channel, [share]),
    });
  }

  #own(insider: Insider): ClusterLease {
    const { pass } = insider;
    return this.#permits.grant(insider, { renew: () => pass.renew(), giveBack: () => pass.leave() });
  }
}

function claimOf(shared: boolean, command: string | undefined): Claim {
  return { weight: shared ? SHARED : ALONE, command };
}
