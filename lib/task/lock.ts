/**
 * A lock between the async tasks of one event loop.
 *
 * @module
 */

import type { Lease, Lock, LockStatistics, WaitOptions } from "../primitives.ts";
import { Permits } from "./permits.ts";

/**
 * One holder at a time, first come first served. Not reentrant: a holder that acquires again waits for itself.
 *
 * Invariant: between two grants there is exactly one release.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const lock = new TaskLock();
 * let balance = 0;
 * async function deposit() {
 *   using _lease = await lock.acquire();
 *   const before = balance;
 *   await Promise.resolve();
 *   balance = before + 1;
 * }
 * await Promise.all([deposit(), deposit(), deposit()]);
 * assertEquals(balance, 3);
 * ```
 */
export class TaskLock implements Lock {
  readonly #permits = new Permits(1, "a lock");

  /**
   * Waits until the lock is ours.
   *
   * Cancel safety: a cancelled wait never holds the lock. An abort in the same turn as the grant loses.
   *
   * @param options When to give up. Default: never.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  acquire(options?: WaitOptions): Promise<Lease> {
    return this.#permits.acquire(1, options);
  }

  /** Takes the lock if it is free, else returns undefined. */
  tryAcquire(): Lease | undefined {
    return this.#permits.tryAcquire(1);
  }

  /** Whether it is held, and how many wait, at this moment. */
  statistics(): LockStatistics {
    return { held: this.#permits.available === 0, waiting: this.#permits.waiting };
  }
}
