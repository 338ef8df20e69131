/**
 * A semaphore between the Workers of one process, the main thread included.
 *
 * @module
 */

import type { AcquireOptions, Lease, Semaphore, SemaphoreStatistics } from "../primitives.ts";
import { checkCount, weightProblem } from "../task/check.ts";
import { type Breakable, checkedHandle, type ThreadHandle } from "./handle.ts";
import { makeMemory } from "./monitor.ts";
import { makePermits, MOST_PERMITS, SharedPermits } from "./permits.ts";

/** Options of {@link ThreadSemaphore}. */
export interface ThreadSemaphoreOptions {
  /** How many may hold or wait at once, in all threads. Default 4096. */
  capacity?: number;
  /** That of a semaphore in another thread, to be the same one; see {@link ThreadSemaphore.attach}. */
  handle?: ThreadHandle<"semaphore">;
}

/**
 * At most so many permits are out at a time, in all threads together, first come first served. Leases may weigh more than one permit;
 * a heavy waiter at the head of the line is not overtaken by light ones behind it.
 *
 * Invariant: the weights of all leases that are out add up to `permits - available`. What a thread
 * holds that has died comes back by {@link ThreadSemaphore.breakLeases}.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const semaphore = new ThreadSemaphore(3);
 * const elsewhere = ThreadSemaphore.attach(semaphore.handle);
 * {
 *   using _two = await elsewhere.acquire({ weight: 2 });
 *   assertEquals(semaphore.statistics().available, 1);
 * }
 * assertEquals(semaphore.statistics().available, 3);
 * ```
 */
export class ThreadSemaphore implements Semaphore, Breakable {
  /** What to post to another thread. */
  readonly handle: ThreadHandle<"semaphore">;
  readonly #permits: SharedPermits;

  /**
   * @param permits How many there are.
   * @param options How many may hold or wait.
   * @throws {RangeError} If `permits` or `capacity` is no whole number above 0, or `permits` is 2 ** 31 or more.
   */
  constructor(permits: number, { capacity, handle }: ThreadSemaphoreOptions = {}) {
    this.handle = handle ?? {
      kind: "semaphore",
      buffers: [makePermits(makeMemory(capacity), checkedPermits("make a semaphore", permits))],
    };
    const [buffer] = this.handle.buffers;
    this.#permits = new SharedPermits(buffer!, { what: "a semaphore", tellsOfDeath: false });
  }

  /**
   * The semaphore of another thread.
   *
   * @param handle That semaphore's {@link ThreadSemaphore.handle}, as it was posted.
   * @throws {TypeError} If it is no semaphore's.
   */
  static attach(handle: ThreadHandle<"semaphore">): ThreadSemaphore {
    return new ThreadSemaphore(1, { handle: checkedHandle(handle, "semaphore") });
  }

  /**
   * Waits until `weight` permits are free, and takes them together, without blocking the thread.
   *
   * Cancel safety: a cancelled wait holds no permit. An abort in the same turn as the grant loses.
   *
   * @param options When to give up (default: never), and how many permits to take (default: 1).
   * @throws {RangeError} If `weight` is no whole number above 0, or more than there are permits; if `timeoutMs` is negative or NaN.
   * @throws {SystemError} If as many as `capacity` hold or wait already.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  acquire(options?: AcquireOptions): Promise<Lease> {
    const weight = options?.weight ?? 1;
    const problem = weightProblem(weight, this.#permits.permits);
    return problem === undefined ? this.#permits.acquire(weight, options) : Promise.reject(problem);
  }

  /**
   * Waits for `weight` permits, asleep: for Workers, whose other tasks stand still meanwhile.
   *
   * @param options When to give up (default: never), and how many permits to take (default: 1).
   * @throws {RangeError} As {@link ThreadSemaphore.acquire}.
   * @throws {SystemError} If as many as `capacity` hold or wait already.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   */
  acquireSync({ weight = 1, timeoutMs }: { weight?: number; timeoutMs?: number } = {}): Lease {
    const problem = weightProblem(weight, this.#permits.permits);
    if (problem !== undefined) throw problem;
    return this.#permits.acquireSync(weight, timeoutMs);
  }

  /**
   * Takes `weight` permits if they are free and nobody waits, else returns undefined.
   *
   * @param options How many permits to take. Default: 1.
   * @throws {RangeError} If `weight` is no whole number above 0, or more than there are permits.
   * @throws {SystemError} If as many as `capacity` hold or wait already.
   */
  tryAcquire({ weight = 1 }: { weight?: number } = {}): Lease | undefined {
    const problem = weightProblem(weight, this.#permits.permits);
    if (problem !== undefined) throw problem;
    return this.#permits.tryAcquire(weight);
  }

  /**
   * Changes how many permits there are. Leases that are out stay valid; with fewer permits than are held, nobody is admitted until
   * enough came back. A waiter that wants more than there now are rejects with `RangeError`.
   *
   * @param permits How many there are from now on.
   * @throws {RangeError} If `permits` is no whole number above 0, or 2 ** 31 or more.
   */
  resize(permits: number): void {
    this.#permits.resize(checkedPermits("resize a semaphore", permits));
  }

  /**
   * Takes the permits back that a thread held that has died, and drops its waits.
   *
   * @param thread Its `threadId`. The thread must have ended: one that goes on cannot release what was broken.
   * @returns How many leases were broken.
   */
  breakLeases(thread: number): number {
    return this.#permits.breakLeases(thread);
  }

  /** Permits, free ones, waiters, at this moment. */
  statistics(): SemaphoreStatistics {
    return this.#permits.statistics();
  }
}

function checkedPermits(action: string, permits: number): number {
  checkCount(action, { name: "permits", value: permits });
  if (permits > MOST_PERMITS) {
    throw new RangeError(
      `cannot ${action} as 'permits' must be at most ${MOST_PERMITS}: received ${permits}`,
    );
  }
  return permits;
}
