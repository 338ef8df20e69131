/**
 * A lock between the processes of one machine.
 *
 * @module
 */

import type { Holder, NamedLock, NamedLockOptions, Waiter } from "../named.ts";
import type { LockStatistics, WaitOptions } from "../primitives.ts";
import type { HostLease } from "./leases.ts";
import { HostPermits } from "./permits.ts";
import type { Store } from "./store.ts";

/** A lock is a semaphore of so many permits; who does not share takes them all. */
const SHARES = 2 ** 30;

/**
 * One holder at a time, or several who share it, first come first served: who wants it for itself is not overtaken by those who share.
 * Not reentrant.
 *
 * Invariant: between two grants to holders who do not share there is exactly one release, or the holder's death. A holder lives while
 * its process does, or any process of the job that its lease guards. If it dies, the lock is free for the next.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Store } from "./store.ts";
 *
 * using store = new Store(`${Deno.makeTempDirSync()}/conc.db`);
 * const lock = new HostLock(store, "nightly");
 * {
 *   using _lease = await lock.acquire({ timeoutMs: 1_000 });
 *   assertEquals(lock.statistics(), { held: true, waiting: 0 });
 * }
 * assertEquals(lock.statistics(), { held: false, waiting: 0 });
 * ```
 */
export class HostLock implements NamedLock {
  readonly #permits: HostPermits;

  /**
   * @param store Where it is kept.
   * @param name Its name: all processes that use this name and this store share it.
   */
  constructor(store: Store, name: string) {
    this.#permits = new HostPermits(store, {
      object: `lock:${name}`,
      what: `the lock '${name}'`,
      permits: () => SHARES,
    });
  }

  /** The locks of a store that are held or waited for, by their names. */
  static names(store: Store): string[] {
    return store.all<{ name: string }>(
      `SELECT substr(object, 6) AS name FROM leases WHERE object LIKE 'lock:%'
       UNION SELECT substr(line, 6) FROM waiters WHERE line LIKE 'lock:%' AND state = 0 ORDER BY name`,
    ).map(({ name }) => name);
  }

  /**
   * Waits until the lock is ours.
   *
   * Cancel safety: a cancelled wait never holds the lock. An abort in the same turn as the grant loses.
   *
   * @param options When to give up (default: never), whether to share it, and what it is for.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If the store cannot be used.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  acquire({ shared = false, ...options }: NamedLockOptions = {}): Promise<HostLease> {
    return this.#permits.acquire({ ...options, weight: shared ? 1 : SHARES });
  }

  /**
   * Takes the lock if it is free and nobody waits for it, else returns undefined.
   *
   * @param options Whether to share it, and what it is for.
   * @throws {SystemError} If the store cannot be used.
   */
  tryAcquire(
    { shared = false, command }: Omit<NamedLockOptions, keyof WaitOptions> = {},
  ): HostLease | undefined {
    return this.#permits.tryAcquire({
      weight: shared ? 1 : SHARES,
      ...(command !== undefined && { command }),
    });
  }

  /** Whether it is held, and how many wait, at this moment. */
  statistics(): LockStatistics {
    const { held, waiting } = this.#permits.statistics();
    return { held: held > 0, waiting };
  }

  /** Who holds it and who waits, those that are gone left out. */
  status(): LockStatistics & {
    holders: (Holder & { shared: boolean })[];
    waiters: (Waiter & { shared: boolean })[];
  } {
    this.#permits.clearLine();
    const isShared = ({ weight }: { weight: number }) => ({ shared: weight < SHARES });
    const holders = this.#permits.holders().map((holder) => ({ ...holder, ...isShared(holder) }));
    const waiters = this.#permits.waiters().map((waiter) => ({ ...waiter, ...isShared(waiter) }));
    return { held: holders.length > 0, waiting: waiters.length, holders, waiters };
  }
}
