/**
 * A semaphore between the async tasks of one event loop.
 *
 * @module
 */

import type { AcquireOptions, Lease, Semaphore, SemaphoreStatistics } from "../primitives.ts";
import { checkCount, tooHeavy, weightProblem } from "./check.ts";
import { Permits } from "./permits.ts";

/**
 * At most so many permits are out at a time, first come first served. Leases may weigh more than one permit; a heavy waiter at
 * the head of the line is not overtaken by light ones behind it.
 *
 * Invariant: the weights of all leases that are out add up to `permits - available`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const semaphore = new TaskSemaphore(3);
 * {
 *   using _two = await semaphore.acquire({ weight: 2 });
 *   assertEquals(semaphore.statistics().available, 1);
 * }
 * assertEquals(semaphore.statistics().available, 3);
 * ```
 */
export class TaskSemaphore implements Semaphore {
  #size: number;
  readonly #permits: Permits;

  /**
   * @param permits How many there are.
   * @throws {RangeError} If `permits` is no whole number above 0.
   */
  constructor(permits: number) {
    checkCount("make a semaphore", { name: "permits", value: permits });
    this.#size = permits;
    this.#permits = new Permits(permits, "a semaphore");
  }

  /**
   * Waits until `weight` permits are free, and takes them together.
   *
   * Cancel safety: a cancelled wait holds no permit. An abort in the same turn as the grant loses.
   *
   * @param options When to give up (default: never), and how many permits to take (default: 1).
   * @throws {RangeError} If `weight` is no whole number above 0, or more than there are permits; if `timeoutMs` is negative or NaN.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  acquire(options?: AcquireOptions): Promise<Lease> {
    const weight = options?.weight ?? 1;
    const problem = weightProblem(weight, this.#size);
    return problem === undefined ? this.#permits.acquire(weight, options) : Promise.reject(problem);
  }

  /**
   * Takes `weight` permits if they are free and nobody waits, else returns undefined.
   *
   * @param options How many permits to take. Default: 1.
   * @throws {RangeError} If `weight` is no whole number above 0, or more than there are permits.
   */
  tryAcquire({ weight = 1 }: { weight?: number } = {}): Lease | undefined {
    const problem = weightProblem(weight, this.#size);
    if (problem !== undefined) throw problem;
    return this.#permits.tryAcquire(weight);
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
    const by = permits - this.#size;
    this.#size = permits;
    this.#permits.resize(by, { most: permits, error: tooHeavy(permits) });
  }

  /** Permits, free ones, waiters, at this moment. */
  statistics(): SemaphoreStatistics {
    return { permits: this.#size, available: this.#permits.available, waiting: this.#permits.waiting };
  }
}
