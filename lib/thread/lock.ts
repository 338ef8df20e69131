/**
 * A lock between the Workers of one process, the main thread included.
 *
 * @module
 */

import type { Lease, Lock, LockStatistics, WaitOptions } from "../primitives.ts";
import { type Breakable, checkedHandle, type ThreadHandle } from "./handle.ts";
import { makeMemory } from "./monitor.ts";
import { makePermits, SharedPermits } from "./permits.ts";

/** Options of {@link ThreadLock}. */
export interface ThreadLockOptions {
  /** How many may hold or wait at once, in all threads. Default 4096. */
  capacity?: number;
  /** That of a lock in another thread, to be the same one; see {@link ThreadLock.attach}. */
  handle?: ThreadHandle<"lock">;
}

/**
 * One holder at a time, whichever thread it is in, first come first served. Not reentrant: a holder that acquires again waits for itself.
 *
 * Invariant: between two grants there is exactly one release, or the holder's death. If the thread that holds it dies,
 * {@link ThreadLock.breakLeases} takes the lock away, and the next who asks gets a `BrokenLeaseError`, once: what the lock guards may be
 * half changed. After that the lock is free. Until then it is held: a lock sees no death by itself.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const lock = new ThreadLock();
 * const source = `
 *   import { ThreadLock } from ${JSON.stringify(import.meta.resolve("./lock.ts"))};
 *   self.onmessage = async ({ data: { handle, counter } }) => {
 *     const lock = ThreadLock.attach(handle);
 *     for (let i = 0; i < 1_000; i++) {
 *       using _lease = await lock.acquire();
 *       counter[0] += 1;
 *     }
 *     self.postMessage("done");
 *   };`;
 * const counter = new Int32Array(new SharedArrayBuffer(4));
 * await Promise.all([1, 2].map(async () => {
 *   const worker = new Worker(`data:application/typescript,${encodeURIComponent(source)}`, { type: "module" });
 *   const done = new Promise((resolve) => worker.onmessage = resolve);
 *   worker.postMessage({ handle: lock.handle, counter });
 *   await done;
 *   worker.terminate();
 * }));
 * assertEquals(counter[0], 2_000);
 * ```
 */
export class ThreadLock implements Lock, Breakable {
  /** What to post to another thread. */
  readonly handle: ThreadHandle<"lock">;
  readonly #permits: SharedPermits;

  /**
   * @param options How many may wait.
   * @throws {RangeError} If `capacity` is no whole number above 0.
   */
  constructor({ capacity, handle }: ThreadLockOptions = {}) {
    this.handle = handle ?? { kind: "lock", buffers: [makePermits(makeMemory(capacity), 1)] };
    const [buffer] = this.handle.buffers;
    this.#permits = new SharedPermits(buffer!, { what: "a lock", tellsOfDeath: true });
  }

  /**
   * The lock of another thread.
   *
   * @param handle That lock's {@link ThreadLock.handle}, as it was posted.
   * @throws {TypeError} If it is no lock's.
   */
  static attach(handle: ThreadHandle<"lock">): ThreadLock {
    return new ThreadLock({ handle: checkedHandle(handle, "lock") });
  }

  /**
   * Waits until the lock is ours, without blocking the thread.
   *
   * Cancel safety: a cancelled wait never holds the lock. An abort in the same turn as the grant loses.
   *
   * @param options When to give up. Default: never.
   * @throws {BrokenLeaseError} If the holder before us died.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If as many as `capacity` hold or wait already.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  acquire(options?: WaitOptions): Promise<Lease> {
    return this.#permits.acquire(1, options);
  }

  /**
   * Waits until the lock is ours, asleep: for Workers, whose other tasks stand still meanwhile.
   *
   * @param options When to give up. Default: never.
   * @throws {BrokenLeaseError} If the holder before us died.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If as many as `capacity` hold or wait already.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   */
  acquireSync({ timeoutMs }: { timeoutMs?: number } = {}): Lease {
    return this.#permits.acquireSync(1, timeoutMs);
  }

  /**
   * Takes the lock if it is free and nobody waits for it, else returns undefined.
   *
   * @throws {BrokenLeaseError} If the holder before us died.
   * @throws {SystemError} If as many as `capacity` hold or wait already.
   */
  tryAcquire(): Lease | undefined {
    return this.#permits.tryAcquire(1);
  }

  /**
   * Takes the lock away from a thread that has died, and drops its waits.
   *
   * @param thread Its `threadId`. The thread must have ended: one that goes on cannot release what was broken.
   * @returns How many leases were broken.
   */
  breakLeases(thread: number): number {
    return this.#permits.breakLeases(thread);
  }

  /** Whether it is held, and how many wait, at this moment. */
  statistics(): LockStatistics {
    const { available, waiting } = this.#permits.statistics();
    return { held: available === 0, waiting };
  }
}
