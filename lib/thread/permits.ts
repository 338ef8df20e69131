/**
 * What Lock and Semaphore between threads are made of.
 *
 * @module
 */

import { BrokenLeaseError } from "../errors.ts";
import type { Lease, WaitOptions } from "../primitives.ts";
import { tooHeavy } from "../task/check.ts";
import { type SlotLender, ThreadLease } from "./lease.ts";
import { Monitor, OWN, REQUEST, SERIAL, STATE, State } from "./monitor.ts";
import { LINE_WORDS, WaitingLine } from "./waiting_line.ts";

const LINE = OWN;
const PERMITS = OWN + LINE_WORDS;
const AVAILABLE = PERMITS + 1;
/** 1 once a holder has died, until the next who asks was told. */
const BROKEN = AVAILABLE + 1;

/** The largest number of permits: they are counted in words of 32 bits. */
export const MOST_PERMITS = 2 ** 31 - 1;

/** Options of {@link SharedPermits}. */
export interface SharedPermitsOptions {
  /** What they are of, for messages, such as `a lock`. */
  what: string;
  /** Whether who asks next is told that a holder died. */
  tellsOfDeath: boolean;
}

/** Invariant: the requests of all granted slots add up to `permits - available`. */
export class SharedPermits implements SlotLender {
  readonly words: Int32Array;
  readonly #monitor: Monitor;
  readonly #line: WaitingLine;
  readonly #tellsOfDeath: boolean;

  /** @param buffer Made by {@link makePermits}, here or in another thread. */
  constructor(buffer: SharedArrayBuffer, { what, tellsOfDeath }: SharedPermitsOptions) {
    this.#monitor = new Monitor(buffer);
    this.words = this.#monitor.words;
    this.#tellsOfDeath = tellsOfDeath;
    this.#line = new WaitingLine(this.#monitor, {
      at: LINE,
      what,
      grant: (slot) => this.#grant(slot),
      refusal: (state) => state === State.BROKEN ? ownerDied(what) : tooHeavy(this.permits),
    });
  }

  /** How many there are. */
  get permits(): number {
    return Atomics.load(this.words, PERMITS);
  }

  /** Waits for a lease. The short way, with no options and no need to wait, makes nothing but the lease and its promise. */
  async acquire(weight: number, options?: WaitOptions): Promise<Lease> {
    const slot = options === undefined ? this.#line.take(weight) : 0;
    return new ThreadLease(this, slot !== 0 ? slot : await this.#line.wait(weight, options));
  }

  /** Waits for a lease in a sleep. */
  acquireSync(weight: number, timeoutMs: number | undefined): Lease {
    return new ThreadLease(this, this.#line.waitSync(weight, timeoutMs));
  }

  /** A lease, if that many are free and nobody waits. */
  tryAcquire(weight: number): Lease | undefined {
    const slot = this.#line.take(weight);
    return slot === 0 ? undefined : new ThreadLease(this, slot);
  }

  giveBack(slot: number, serial: number): void {
    this.#monitor.enter();
    try {
      if (this.words[slot + SERIAL] !== serial) {
        throw new BrokenLeaseError(
          "cannot release a lease as its thread was taken for dead: what it guarded has gone on",
        );
      }
      this.#free(slot);
    } finally {
      this.#monitor.leave();
    }
  }

  /** Makes `permits` of them, and turns those away who want more than that. */
  resize(permits: number): void {
    this.#monitor.enter();
    try {
      this.words[AVAILABLE]! += permits - this.words[PERMITS]!;
      this.words[PERMITS] = permits;
      this.#line.sweep((slot) => this.words[slot + REQUEST]! > permits ? State.IMPOSSIBLE : State.WAITING);
    } finally {
      this.#monitor.leave();
    }
  }

  /** Takes away what a thread holds that has died, and drops its waits. Returns how many leases were broken. */
  breakLeases(thread: number): number {
    this.#monitor.enter();
    try {
      let broken = 0;
      for (const slot of this.#monitor.slotsOf(thread)) {
        if (this.words[slot + STATE] === State.WAITING) this.#line.remove(slot);
        else if (this.words[slot + STATE] === State.GRANTED) {
          broken += 1;
          if (this.#tellsOfDeath) this.words[BROKEN] = 1;
          this.#free(slot);
        } else this.#monitor.giveSlot(slot);
      }
      this.#line.serve();
      return broken;
    } finally {
      this.#monitor.leave();
    }
  }

  /** Permits, free ones and waiters, at one moment. */
  statistics(): { permits: number; available: number; waiting: number } {
    this.#monitor.enter();
    const { words } = this;
    const statistics = {
      permits: words[PERMITS]!,
      available: words[AVAILABLE]!,
      waiting: this.#line.length,
    };
    this.#monitor.leave();
    return statistics;
  }

  #grant(slot: number): State {
    const { words } = this;
    const weight = words[slot + REQUEST]!;
    if (weight > words[AVAILABLE]!) return weight > words[PERMITS]! ? State.IMPOSSIBLE : State.WAITING;
    if (words[BROKEN] === 1) {
      words[BROKEN] = 0;
      return State.BROKEN;
    }
    words[AVAILABLE]! -= weight;
    return State.GRANTED;
  }

  #free(slot: number): void {
    this.words[AVAILABLE]! += this.words[slot + REQUEST]!;
    this.#monitor.giveSlot(slot);
    if (this.#line.length > 0) this.#line.serve();
  }
}

/** Gives fresh memory its permits. */
export function makePermits(buffer: SharedArrayBuffer, permits: number): SharedArrayBuffer {
  const words = new Int32Array(buffer);
  words[PERMITS] = words[AVAILABLE] = permits;
  return buffer;
}

function ownerDied(what: string): BrokenLeaseError {
  return new BrokenLeaseError(
    `the thread that held ${what} died: see to what it guarded, then acquire again`,
  );
}
