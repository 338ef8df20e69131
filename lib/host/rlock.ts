/**
 * A reentrant lock between the processes of one machine. Its owners are processes: all tasks of a process are one.
 *
 * @module
 */

import type { RLock, RLockStatistics, WaitOptions } from "../primitives.ts";
import { refuse } from "../task/waiters.ts";
import { HostLease, leasesOf } from "./leases.ts";
import { HostPermits } from "./permits.ts";
import type { Store } from "./store.ts";

/**
 * A lock that the process that holds it may take again; it is free once every lease was released. Processes wait first come first served.
 *
 * Invariant: all leases that are out at one moment belong to one process. If it dies, the lock is free for the next.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Store } from "./store.ts";
 *
 * using store = new Store(`${Deno.makeTempDirSync()}/conc.db`);
 * const lock = new HostRLock(store, "deploy");
 * {
 *   using _outer = await lock.acquire();
 *   using _inner = await lock.acquire();
 *   assertEquals(lock.statistics().depth, 2);
 * }
 * assertEquals(lock.statistics().held, false);
 * ```
 */
export class HostRLock implements RLock {
  readonly #store: Store;
  readonly #object: string;
  readonly #permits: HostPermits;

  /**
   * @param store Where it is kept.
   * @param name Its name: all processes that use this name and this store share it.
   */
  constructor(store: Store, name: string) {
    this.#store = store;
    this.#object = `rlock:${name}`;
    this.#permits = new HostPermits(store, {
      object: this.#object,
      what: `the reentrant lock '${name}'`,
      permits: () => 1,
    });
  }

  /**
   * Waits until the lock is this process's; returns at once if it is already.
   *
   * Cancel safety: a cancelled wait holds nothing. An abort in the same turn as the grant loses.
   *
   * @param options When to give up. Default: never.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If the store cannot be used.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async acquire(options: WaitOptions = {}): Promise<HostLease> {
    const refusal = refuse(options);
    if (refusal !== undefined) throw refusal.reason;
    const again = this.#isOurs()
      ? await this.#store.writeWhenFree(() => this.#again(), { timeoutMs: Infinity, ...options })
      : undefined;
    return again ?? this.#first((await this.#permits.acquire({ ...options, weight: 1 })).token);
  }

  /**
   * Takes the lock if it is this process's, or free, else returns undefined.
   *
   * @throws {SystemError} If the store cannot be used.
   */
  tryAcquire(): HostLease | undefined {
    const again = this.#again();
    if (again !== undefined) return again;
    const lease = this.#permits.tryAcquire({ weight: 1 });
    return lease && this.#first(lease.token);
  }

  /** Whether it is held, how many times, and how many wait, at this moment. */
  statistics(): RLockStatistics {
    const [lease] = leasesOf(this.#store, this.#object);
    const { waiting } = this.#permits.statistics();
    return { held: lease !== undefined, depth: lease?.depth ?? 0, waiting };
  }

  #isOurs(): boolean {
    const [lease] = leasesOf(this.#store, this.#object);
    return lease !== undefined && lease.owner !== null && this.#store.owners.isThisProcess(lease.owner);
  }

  /** Another lease, if the lock is this process's. */
  #again(): HostLease | undefined {
    return this.#store.write(() => {
      const [lease] = leasesOf(this.#store, this.#object);
      if (lease === undefined || lease.owner !== this.#store.owners.idOf()) return undefined;
      this.#store.run("UPDATE leases SET depth = depth + 1 WHERE id = ?", lease.id);
      return this.#first(lease.token);
    });
  }

  #first(token: string): HostLease {
    return new HostLease(this.#store, { token, giveBack: (token) => this.#giveBack(token) });
  }

  #giveBack(token: string): boolean {
    return this.#store.write(() => {
      const { changes } = this.#store.run(
        "UPDATE leases SET depth = depth - 1 WHERE token = ? AND depth > 1",
        token,
      );
      return changes > 0 || this.#permits.giveBack(token);
    });
  }
}
