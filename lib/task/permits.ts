/**
 * What Lock and Semaphore of one event loop are made of.
 *
 * @module
 */

import type { Lease, WaitOptions } from "../primitives.ts";
import { type Lender, TaskLease } from "./lease.ts";
import { NOT_NOW, WaitingList } from "./waiters.ts";

/** Invariant: `available` and the weights of all leases that are out add up to the same, but for {@link Permits.resize}. */
export class Permits implements Lender {
  #available: number;
  readonly #waiters: WaitingList<number, Lease>;

  /**
   * @param permits How many there are.
   * @param what What they are of, for messages, such as `a lock`.
   */
  constructor(permits: number, what: string) {
    this.#available = permits;
    this.#waiters = new WaitingList({
      what,
      grant: (weight) => weight > this.#available ? NOT_NOW : this.#take(weight),
    });
  }

  /** How many are free; below 0 after more were taken away than were free. */
  get available(): number {
    return this.#available;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiters.length;
  }

  /** Waits for a lease. The short way, with no options and no need to wait, makes nothing but the lease and its promise. */
  acquire(weight: number, options?: WaitOptions): Promise<Lease> {
    const short = options === undefined && weight <= this.#available && this.#waiters.length === 0;
    return short ? this.#takeAsync(weight) : this.#waiters.wait(weight, options);
  }

  /** A lease, if that many are free and nobody waits. */
  tryAcquire(weight: number): Lease | undefined {
    const lease = this.#waiters.take(weight);
    return lease === NOT_NOW ? undefined : lease;
  }

  /** Gives permits back. */
  giveBack(permits: number): void {
    this.#available += permits;
    if (this.#waiters.length > 0) this.#waiters.serve();
  }

  /** Makes `by` more permits, or fewer, and turns those away who want more than `most`. */
  resize(by: number, { most, error }: { most: number; error: Error }): void {
    this.#available += by;
    this.#waiters.reject(error, (weight) => weight > most);
  }

  #take(weight: number): Lease {
    this.#available -= weight;
    return new TaskLease(this, weight);
  }

  // As an async function this is measurably faster than Promise.resolve.
  // deno-lint-ignore require-await
  async #takeAsync(weight: number): Promise<Lease> {
    return this.#take(weight);
  }
}
