/**
 * What the locks and semaphores between threads hand out.
 *
 * @module
 */

import { NotHeldError } from "../errors.ts";
import type { Lease } from "../primitives.ts";
import { SERIAL } from "./monitor.ts";

/** Takes back what was lent. */
export interface SlotLender {
  readonly words: Int32Array;
  /** Throws `BrokenLeaseError` if the slot is another's by now. */
  giveBack(slot: number, serial: number): void;
}

/**
 * Invariant: what was granted goes back at most once. It belongs to the thread that acquired it: only that one can release it, and if
 * it dies, whoever notices breaks the lease.
 */
export class ThreadLease implements Lease {
  /** Tells `await` that this is no promise, without a walk over the prototypes. */
  readonly then = undefined;
  readonly #slot: number;
  readonly #serial: number;
  #lender: SlotLender | undefined;

  constructor(lender: SlotLender, slot: number) {
    this.#lender = lender;
    this.#slot = slot;
    this.#serial = lender.words[slot + SERIAL]!;
  }

  /** Gives back what is held. Throws `NotHeldError` if it was given back already, `BrokenLeaseError` if it was taken away. */
  release(): void {
    const lender = this.#lender;
    if (lender === undefined) {
      throw new NotHeldError("cannot release a lease as it must be held: it was released already");
    }
    this.#lender = undefined;
    lender.giveBack(this.#slot, this.#serial);
  }

  [Symbol.dispose](): void {
    if (this.#lender !== undefined) this.release();
  }
}
