/**
 * A reentrant lock between the Workers of one process, the main thread included. Its owners are threads: all tasks of a thread are one.
 *
 * @module
 */

import { BrokenLeaseError } from "../errors.ts";
import type { Lease, RLock, RLockStatistics, WaitOptions } from "../primitives.ts";
import { refuse } from "../task/waiters.ts";
import { type Breakable, checkedHandle, type ThreadHandle } from "./handle.ts";
import { type SlotLender, ThreadLease } from "./lease.ts";
import { makeMemory, Monitor, OWN, OWNER, RESULT, SERIAL, STATE, State } from "./monitor.ts";
import { threadId } from "./thread_id.ts";
import { LINE_WORDS, WaitingLine } from "./waiting_line.ts";

const LINE = OWN;
/** The slot of the holder, whose `RESULT` is the depth; 0 if it is free. */
const HOLDER = LINE + LINE_WORDS;
/** 1 once a holder has died, until the next who asks was told. */
const BROKEN = HOLDER + 1;

/** Options of {@link ThreadRLock}. */
export interface ThreadRLockOptions {
  /** How many may hold or wait at once, in all threads. Default 4096. */
  capacity?: number;
  /** That of a lock in another thread, to be the same one; see {@link ThreadRLock.attach}. */
  handle?: ThreadHandle<"rlock">;
}

/**
 * A lock that the thread that holds it may take again; it is free once every lease was released. Threads wait first come first served.
 *
 * Invariant: all leases that are out at one moment belong to one thread. If it dies, {@link ThreadRLock.breakLeases} takes the lock
 * away, and the next who asks gets a `BrokenLeaseError`, once. Until then the lock is held: it sees no death by itself.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const lock = new ThreadRLock();
 * {
 *   using _outer = await lock.acquire();
 *   using _inner = await lock.acquire();
 *   assertEquals(lock.statistics().depth, 2);
 * }
 * assertEquals(lock.statistics().held, false);
 * ```
 */
export class ThreadRLock implements RLock, Breakable, SlotLender {
  /** What to post to another thread. */
  readonly handle: ThreadHandle<"rlock">;
  /** The memory, for the leases. */
  readonly words: Int32Array;
  readonly #monitor: Monitor;
  readonly #line: WaitingLine;

  /**
   * @param options How many may wait.
   * @throws {RangeError} If `capacity` is no whole number above 0.
   */
  constructor({ capacity, handle }: ThreadRLockOptions = {}) {
    this.handle = handle ?? { kind: "rlock", buffers: [makeMemory(capacity)] };
    const [buffer] = this.handle.buffers;
    this.#monitor = new Monitor(buffer!);
    this.words = this.#monitor.words;
    this.#line = new WaitingLine(this.#monitor, {
      at: LINE,
      what: "a reentrant lock",
      grant: (slot) => this.#grant(slot),
      refusal: ownerDied,
    });
  }

  /**
   * The lock of another thread.
   *
   * @param handle That lock's {@link ThreadRLock.handle}, as it was posted.
   * @throws {TypeError} If it is no reentrant lock's.
   */
  static attach(handle: ThreadHandle<"rlock">): ThreadRLock {
    return new ThreadRLock({ handle: checkedHandle(handle, "rlock") });
  }

  /**
   * Waits until the lock is this thread's, without blocking it; returns at once if it is already.
   *
   * Cancel safety: a cancelled wait holds nothing. An abort in the same turn as the grant loses.
   *
   * @param options When to give up. Default: never.
   * @throws {BrokenLeaseError} If the holder before us died.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If as many as `capacity` hold or wait already.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async acquire(options: WaitOptions = {}): Promise<Lease> {
    const refusal = refuse(options);
    if (refusal !== undefined) throw refusal.reason;
    return this.#again() ?? new ThreadLease(this, await this.#line.wait(0, options));
  }

  /**
   * The same asleep: for Workers, whose other tasks stand still meanwhile.
   *
   * @param options When to give up. Default: never.
   * @throws {BrokenLeaseError} If the holder before us died.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If as many as `capacity` hold or wait already.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   */
  acquireSync({ timeoutMs = Infinity }: { timeoutMs?: number } = {}): Lease {
    const refusal = refuse({ timeoutMs });
    if (refusal !== undefined) throw refusal.reason;
    return this.#again() ?? new ThreadLease(this, this.#line.waitSync(0, timeoutMs));
  }

  /**
   * Takes the lock if it is this thread's, or free, else returns undefined.
   *
   * @throws {BrokenLeaseError} If the holder before us died.
   * @throws {SystemError} If as many as `capacity` hold or wait already.
   */
  tryAcquire(): Lease | undefined {
    const again = this.#again();
    if (again !== undefined) return again;
    const slot = this.#line.take(0);
    return slot === 0 ? undefined : new ThreadLease(this, slot);
  }

  /** Takes one lease back. Use {@link Lease.release}. */
  giveBack(slot: number, serial: number): void {
    this.#monitor.inside(() => {
      if (this.words[slot + SERIAL] !== serial) {
        throw new BrokenLeaseError("cannot release a lease as its thread was taken for dead");
      }
      this.words[slot + RESULT]! -= 1;
      if (this.words[slot + RESULT] === 0) this.#free(slot);
    });
  }

  /**
   * Takes the lock away from a thread that has died, and drops its waits.
   *
   * @param thread Its `threadId`. The thread must have ended: one that goes on cannot release what was broken.
   * @returns How many leases were broken.
   */
  breakLeases(thread: number): number {
    return this.#monitor.inside(() => {
      let broken = 0;
      for (const slot of this.#monitor.slotsOf(thread)) {
        if (this.words[slot + STATE] === State.WAITING) this.#line.remove(slot);
        else if (slot === this.words[HOLDER]) {
          broken += this.words[slot + RESULT]!;
          this.words[BROKEN] = 1;
          this.#free(slot);
        } else this.#monitor.giveSlot(slot);
      }
      this.#line.serve();
      return broken;
    });
  }

  /** Whether it is held, how many times, and how many wait, at this moment. */
  statistics(): RLockStatistics {
    return this.#monitor.inside(() => {
      const holder = this.words[HOLDER]!;
      const depth = holder === 0 ? 0 : this.words[holder + RESULT]!;
      return { held: holder !== 0, depth, waiting: this.#line.length };
    });
  }

  /** Another lease, if the lock is this thread's. */
  #again(): Lease | undefined {
    return this.#monitor.inside(() => {
      const holder = this.words[HOLDER]!;
      if (holder === 0 || this.words[holder + OWNER] !== threadId) return undefined;
      this.words[holder + RESULT]! += 1;
      return new ThreadLease(this, holder);
    });
  }

  #grant(slot: number): State {
    if (this.words[HOLDER] !== 0) return State.WAITING;
    if (this.words[BROKEN] === 1) {
      this.words[BROKEN] = 0;
      return State.BROKEN;
    }
    this.words[HOLDER] = slot;
    this.words[slot + RESULT] = 1;
    return State.GRANTED;
  }

  #free(slot: number): void {
    this.words[HOLDER] = 0;
    this.#monitor.giveSlot(slot);
    this.#line.serve();
  }
}

function ownerDied(): BrokenLeaseError {
  return new BrokenLeaseError(
    "the thread that held a reentrant lock died: see to what it guarded, then acquire again",
  );
}
