/**
 * Memory that threads share, and that one of them at a time may change: what every primitive between threads is built on.
 *
 * @module
 */

import { BrokenLeaseError, SystemError } from "../errors.ts";
import { checkCount } from "../task/check.ts";
import { threadId } from "./thread_id.ts";

/*
 * The memory is words of 32 bits: a header, then slots of equal size. A slot belongs to one request: who waits has one, and keeps it
 * as the lease once the wait is granted. Slots are named by their first word; 0 is none.
 */
const GUARD = 0;
const FREE_SLOTS = 1;
const USED_WORDS = 2;
/** How often somebody has left: while it grows, nobody is stuck inside. */
const TURNS = 3;
const HEADER_WORDS = 64;
const SLOT_WORDS = 8;

/** The first word of the header that belongs to the primitive. */
export const OWN = 4;

/** Words of a slot: what became of the request. See {@link State}. */
export const STATE = 0;
/** The slot behind it: in a line, or in the list of free slots. */
export const NEXT = 1;
/** The slot before it in a line. */
export const PREVIOUS = 2;
/** The line that it waits in: where in the header that line's words are. */
export const LINE = 3;
/** The thread that asked. */
export const OWNER = 4;
/** How often the slot was given back: tells a lease from the next one in the same slot. */
export const SERIAL = 5;
/** What was asked for. */
export const REQUEST = 6;
/** What was granted. */
export const RESULT = 7;

/** What may become of a request. */
export type State = (typeof State)[keyof typeof State];
export const State = {
  FREE: 0,
  WAITING: 1,
  GRANTED: 2,
  /** The one before died while holding. */
  BROKEN: 3,
  /** Nothing will come any more. */
  CLOSED: 4,
  /** It can never be met. */
  IMPOSSIBLE: 5,
} as const;

const OPEN = 0;
const ENTERED = 1;
const CONTENDED = 2;
const POISONED = 3;

const SPINS = 200;
/** Nobody stays inside for a thousandth of this. Who does is gone, and left the memory half changed. */
const POISON_MS = 5_000;
const DEFAULT_CAPACITY = 4_096;

/** Whether this thread may sleep in `Atomics.wait`: Workers may, the main thread never does. */
const maySleep = "WorkerGlobalScope" in globalThis;

/**
 * Makes memory for {@link Monitor}s of several threads.
 *
 * @param capacity How many may hold or wait at once. Default 4096; untouched memory costs nothing.
 * @throws {RangeError} If it is no whole number above 0.
 */
export function makeMemory(capacity: number = DEFAULT_CAPACITY): SharedArrayBuffer {
  checkCount("share memory", { name: "capacity", value: capacity });
  const buffer = new SharedArrayBuffer(4 * (HEADER_WORDS + capacity * SLOT_WORDS));
  new Int32Array(buffer)[USED_WORDS] = HEADER_WORDS;
  return buffer;
}

/**
 * A door to shared memory. Whoever has entered is alone inside until it leaves.
 *
 * Invariants: between {@link enter} and {@link leave} no other thread reads or changes the words, but for the atomic ones; a thread that
 * ends inside leaves the memory poisoned: every other one is turned away with `BrokenLeaseError`, and nobody builds on a half-done change.
 *
 * The door is the mutex of U. Drepper, "Futexes Are Tricky" (2011), with a bounded spin before it sleeps. What is done inside takes
 * well under a microsecond, but for copying what a queue holds.
 */
export class Monitor {
  /** The header and the slots. */
  readonly words: Int32Array;

  /** @param buffer Made by {@link makeMemory}, here or in another thread. */
  constructor(buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer);
  }

  /**
   * Waits until nobody is inside, and goes in.
   *
   * @throws {BrokenLeaseError} If a thread ended inside.
   */
  enter(): void {
    if (Atomics.compareExchange(this.words, GUARD, OPEN, ENTERED) !== OPEN) this.#enterBusy();
  }

  /** Goes out, and lets the next one in. */
  leave(): void {
    this.words[TURNS]! += 1;
    const before = Atomics.exchange(this.words, GUARD, OPEN);
    if (before === CONTENDED) Atomics.notify(this.words, GUARD, 1);
    else if (before === POISONED) Atomics.store(this.words, GUARD, POISONED);
  }

  /**
   * Takes a slot. Only inside.
   *
   * @throws {SystemError} If all are taken.
   */
  takeSlot(): number {
    const { words } = this;
    let slot = words[FREE_SLOTS]!;
    if (slot !== 0) words[FREE_SLOTS] = words[slot + NEXT]!;
    else {
      slot = words[USED_WORDS]!;
      if (slot >= words.length) {
        const capacity = (words.length - HEADER_WORDS) / SLOT_WORDS;
        throw new SystemError(`cannot wait as ${capacity} hold or wait already: make it with more capacity`);
      }
      words[USED_WORDS] = slot + SLOT_WORDS;
    }
    words[slot + OWNER] = threadId;
    return slot;
  }

  /** Gives a slot back. Only inside. */
  giveSlot(slot: number): void {
    const { words } = this;
    words[slot + OWNER] = 0;
    words[slot + SERIAL]! += 1;
    words[slot + NEXT] = words[FREE_SLOTS]!;
    words[FREE_SLOTS] = slot;
    words[slot + STATE] = State.FREE;
  }

  /** The slots of a thread, first those that wait: so that nothing it loses is granted to it again. Only inside. */
  slotsOf(thread: number): number[] {
    const { words } = this;
    const waiting: number[] = [];
    const others: number[] = [];
    for (let slot = HEADER_WORDS; slot < words[USED_WORDS]!; slot += SLOT_WORDS) {
      if (words[slot + OWNER] !== thread) continue;
      (words[slot + STATE] === State.WAITING ? waiting : others).push(slot);
    }
    return [...waiting, ...others];
  }

  /**
   * Does something inside.
   *
   * @returns What it returned.
   * @throws What it threw, after leaving; {@link BrokenLeaseError} as {@link enter}.
   */
  inside<T>(change: () => T): T {
    this.enter();
    try {
      return change();
    } finally {
      this.leave();
    }
  }

  #enterBusy(): void {
    const { words } = this;
    for (let spin = 0; spin < SPINS; spin++) {
      if (Atomics.compareExchange(words, GUARD, OPEN, ENTERED) === OPEN) return;
    }
    let sinceMs = 0;
    let turns: number | undefined;
    for (let spin = 0;; spin++) {
      const before = Atomics.load(words, GUARD);
      if (before === POISONED) {
        throw new BrokenLeaseError("cannot go on as a thread ended while it changed shared memory");
      }
      // Who has waited comes in as contended: others may wait still.
      if (before === OPEN) {
        if (Atomics.compareExchange(words, GUARD, OPEN, CONTENDED) === OPEN) return;
      } else if (maySleep && Atomics.compareExchange(words, GUARD, ENTERED, CONTENDED) !== OPEN) {
        Atomics.wait(words, GUARD, CONTENDED, 10);
      }
      if (!maySleep && spin % 1_000 !== 0) continue;
      if (turns !== words[TURNS]) [turns, sinceMs] = [words[TURNS], performance.now()];
      if (performance.now() - sinceMs > POISON_MS) Atomics.compareExchange(words, GUARD, before, POISONED);
    }
  }
}
