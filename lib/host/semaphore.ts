/**
 * A semaphore between the processes of one machine.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import {
  type Holder,
  type LendOptions,
  type NamedAcquireOptions,
  type NamedSemaphore,
  noSuchLease,
  type Waiter,
} from "../named.ts";
import type { SemaphoreStatistics } from "../primitives.ts";
import { checkCount, weightProblem } from "../task/check.ts";
import { uptimeMs } from "./clock.ts";
import type { HostLease } from "./leases.ts";
import { HostPermits } from "./permits.ts";
import type { Store } from "./store.ts";

/** Options of {@link HostSemaphore}. */
export interface HostSemaphoreOptions {
  /** How many permits there are. Default: as many as it has, or 1 if it is new. */
  permits?: number;
}

/**
 * At most so many permits are out at a time, in all processes together, first come first served. Leases may weigh more than one permit;
 * a heavy waiter at the head of the line is not overtaken by light ones behind it.
 *
 * Invariant: the weights of all leases that are out add up to `permits - available`. A lease is out while its process lives, or any
 * process of the job that it guards; what a dead one held comes back.
 *
 * The number of permits belongs to the name: two who disagree on it while it is in use are told.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Store } from "./store.ts";
 *
 * using store = new Store(`${Deno.makeTempDirSync()}/conc.db`);
 * const semaphore = new HostSemaphore(store, "db", { permits: 5 });
 * {
 *   using _two = await semaphore.acquire({ weight: 2 });
 *   assertEquals(semaphore.statistics(), { permits: 5, available: 3, waiting: 0 });
 * }
 * assertEquals(semaphore.statistics().available, 5);
 * ```
 */
export class HostSemaphore implements NamedSemaphore {
  readonly #store: Store;
  readonly #name: string;
  readonly #permits: HostPermits;

  /**
   * @param store Where it is kept.
   * @param name Its name: all processes that use this name and this store share it.
   * @param options How many permits there are.
   * @throws {RangeError} If `permits` is no whole number above 0.
   * @throws {UsageError} If it has another number of permits and is in use.
   */
  constructor(store: Store, name: string, { permits }: HostSemaphoreOptions = {}) {
    if (permits !== undefined) checkCount("make a semaphore", { name: "permits", value: permits });
    this.#store = store;
    this.#name = name;
    this.#permits = new HostPermits(store, {
      object: `sem:${name}`,
      what: `the semaphore '${name}'`,
      permits: () => this.#count(),
    });
    if (!this.#isAs(permits)) store.write(() => this.#define(permits));
  }

  /** The semaphores of a store, by their names. */
  static names(store: Store): string[] {
    return store.all<{ name: string }>("SELECT name FROM semaphores ORDER BY name").map(({ name }) => name);
  }

  /**
   * Waits until `weight` permits are free, and takes them together.
   *
   * Cancel safety: a cancelled wait holds no permit. An abort in the same turn as the grant loses.
   *
   * @param options When to give up (default: never), how many permits to take (default: 1), and what for.
   * @throws {RangeError} If `weight` is no whole number above 0, or more than there are permits; if `timeoutMs` is negative or NaN.
   * @throws {SystemError} If the store cannot be used.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async acquire({ weight = 1, ...options }: NamedAcquireOptions = {}): Promise<HostLease> {
    this.#check(weight);
    return await this.#permits.acquire({ ...options, weight });
  }

  /**
   * Takes `weight` permits if they are free and nobody waits, else returns undefined.
   *
   * @param options How many permits to take (default: 1), and what for.
   * @throws As {@link HostSemaphore.acquire}.
   */
  tryAcquire({ weight = 1, ...options }: Omit<NamedAcquireOptions, "signal" | "timeoutMs"> = {}):
    | HostLease
    | undefined {
    this.#check(weight);
    return this.#permits.tryAcquire({ ...options, weight });
  }

  /**
   * Waits for permits as {@link acquire} does, and hands them to another process, or lets time end the lease.
   *
   * @param options As for `acquire`; `owner`: the process that holds them from then on; or `ttlMs`: milliseconds until they are free again.
   * @returns The token that {@link release} takes.
   * @throws As {@link HostSemaphore.acquire}.
   */
  async lend(options: LendOptions): Promise<string> {
    const lease = await this.acquire(options);
    const { signal } = options;
    try {
      await this.#store.writeWhenFree(() => this.#handOver(lease.token, options), {
        timeoutMs: Infinity,
        ...(signal && { signal }),
      });
    } catch (error) {
      await this.#store.writeWhenFree(() => lease.release(), { timeoutMs: 0 }).catch(() => {});
      throw error;
    }
    return lease.token;
  }

  /**
   * Gives back permits by their token.
   *
   * @throws {NotHeldError} If no lease of this semaphore has the token.
   */
  release(token: string): void {
    if (this.#permits.giveBack(token)) return;
    throw noSuchLease(this.#name, token);
  }

  /**
   * Changes how many permits there are. Leases that are out stay valid; with fewer permits than are held, nobody is admitted until
   * enough came back. A waiter that wants more than there now are rejects with `RangeError`.
   *
   * @param permits How many there are from now on.
   * @throws {RangeError} If `permits` is no whole number above 0.
   */
  resize(permits: number): void {
    checkCount("resize a semaphore", { name: "permits", value: permits });
    this.#store.write(() => {
      this.#store.run("INSERT OR REPLACE INTO semaphores VALUES (?, ?)", this.#name, permits);
      this.#permits.resized();
    });
  }

  /** Permits, free ones, waiters, at this moment. */
  statistics(): SemaphoreStatistics {
    return this.#store.write(() => {
      const permits = this.#count();
      const { held, waiting } = this.#permits.statistics();
      return { permits, available: permits - held, waiting };
    });
  }

  /** Who holds it and who waits, those that are gone left out. */
  status(): SemaphoreStatistics & { holders: Holder[]; waiters: Waiter[] } {
    this.#permits.clearLine();
    return {
      ...this.statistics(),
      holders: this.#permits.holders(),
      waiters: this.#permits.waiters(),
    };
  }

  /** Has a lease belong to another process, or end with time. Within a write. */
  #handOver(token: string, options: LendOptions): void {
    const { owners } = this.#store;
    const [owner, expires] = "owner" in options
      ? [owners.idOf(options.owner), null]
      : [null, uptimeMs() + options.ttlMs];
    this.#store.run("UPDATE leases SET owner = ?, expires = ? WHERE token = ?", owner, expires, token);
  }

  #check(weight: number): void {
    const problem = weightProblem(weight, this.#count());
    if (problem !== undefined) throw problem;
  }

  /** How many permits there are. */
  #count(): number {
    return this.#known()!;
  }

  /** How many permits the store says there are; undefined if it is new. */
  #known(): number | undefined {
    const sql = "SELECT permits FROM semaphores WHERE name = ?";
    return this.#store.get<{ permits: number }>(sql, this.#name)?.permits;
  }

  /** Whether it is there, and has as many permits as are wanted. */
  #isAs(wanted: number | undefined): boolean {
    const known = this.#known();
    return known !== undefined && (wanted ?? known) === known;
  }

  /** Says in the store how many permits there are, if it is new, or idle and wanted otherwise. Within a write. */
  #define(wanted: number | undefined): void {
    if (this.#isAs(wanted)) return;
    const known = this.#known();
    if (known !== undefined && this.#permits.isInUse()) {
      this.#permits.clear();
      if (this.#permits.isInUse()) {
        throw new UsageError(
          `the semaphore '${this.#name}' has ${known} permits and is in use: ask for ${known}, or resize it`,
        );
      }
    }
    this.#store.run("INSERT OR REPLACE INTO semaphores VALUES (?, ?)", this.#name, wanted ?? 1);
  }
}
