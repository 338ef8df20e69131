/**
 * The waiting line under all primitives between threads. Fairness, cancellation and timeouts are written here, once.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";
import type { WaitOptions } from "../primitives.ts";
import { offAbort, onAbort } from "../abort.ts";
import { refuse } from "../task/waiters.ts";
import { Timer } from "../time/timer.ts";
import { keepAwake, letSleep } from "./keep_awake.ts";
import { LINE, type Monitor, NEXT, PREVIOUS, REQUEST, STATE, State } from "./monitor.ts";

/** How many words of the header a line takes. */
export const LINE_WORDS = 3;
const HEAD = 0;
const TAIL = 1;
const LENGTH = 2;

/** A Worker that sleeps in `Atomics.wait` for ever keeps the program from ending (Deno 2.9). */
const LONGEST_SLEEP_MS = 100;

/** Options of {@link WaitingLine}. */
export interface WaitingLineOptions {
  /** Where in the header its words are. */
  at: number;
  /** What is waited for, for the message of the `TimeoutError`, such as `a lock`. */
  what: string;
  /** Meets the request of a slot, or changes nothing and returns `WAITING`. Does not throw. Is called inside the monitor. */
  grant(slot: number): State;
  /** What a wait rejects with that was neither granted nor cancelled. */
  refusal?(state: State): Error;
  /** A request was not granted: what it keeps is to be dropped. Is called inside the monitor. */
  drop?(request: number): void;
}

/** What a slot's `REQUEST` is set to, or what makes it inside the monitor. */
export type Request = number | (() => number);

/**
 * Those who wait, whichever threads they are in, first come first served. Mirrors `WaitingList` of one event loop, in shared memory.
 *
 * Invariants: when a thread leaves the monitor, the request at the head cannot be met; a slot is in the line exactly while its state is
 * `WAITING`. Slots are doubly linked, so any one of them leaves in O(1).
 *
 * A grant is complete when it is made: the slot's state says so, and who waited needs only to read it. So a waiter that is slow, or is
 * cancelled by its thread at the same moment, has either all or nothing.
 */
export class WaitingLine {
  readonly #monitor: Monitor;
  readonly #words: Int32Array;
  /** Where in the header its words are. */
  readonly at: number;
  readonly #options: WaitingLineOptions;
  /** Those of this thread who wait, by their slots: called once the slot waits no longer. */
  readonly #local = new Map<number, () => void>();
  #serving = false;

  constructor(monitor: Monitor, options: WaitingLineOptions) {
    this.#monitor = monitor;
    this.#words = monitor.words;
    this.at = options.at;
    this.#options = options;
  }

  /** How many wait. Only inside the monitor. */
  get length(): number {
    return this.#words[this.at + LENGTH]!;
  }

  /**
   * Grants the request at once if nobody waits and it can be met, else lines up.
   *
   * Cancel safety: a wait that is aborted or times out leaves the line before its promise rejects, and what it held up behind it is
   * served. If it was granted already, it is granted.
   *
   * @param request What is asked for.
   * @param options When to give up.
   * @returns The slot, which is the caller's to give back.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async wait(request: Request, options: WaitOptions = {}): Promise<number> {
    const refusal = refuse(options);
    if (refusal !== undefined) throw refusal.reason;
    const slot = this.#begin(request, options);
    if (Atomics.load(this.#words, slot + STATE) !== State.WAITING) return this.#end(slot);
    await this.#granted(slot, options);
    return this.#end(slot);
  }

  /**
   * The same for a Worker that would rather sleep than go on with other things.
   *
   * @param request What is asked for.
   * @param timeoutMs Milliseconds until it gives up.
   * @returns The slot, which is the caller's to give back.
   * @throws As {@link wait}.
   */
  waitSync(request: Request, timeoutMs: number = Infinity): number {
    const refusal = refuse({ timeoutMs });
    if (refusal !== undefined) throw refusal.reason;
    const slot = this.#begin(request, { timeoutMs });
    const endMs = performance.now() + timeoutMs;
    while (Atomics.load(this.#words, slot + STATE) === State.WAITING) {
      const leftMs = endMs - performance.now();
      if (leftMs > 0) {
        Atomics.wait(this.#words, slot + STATE, State.WAITING, Math.min(leftMs, LONGEST_SLEEP_MS));
      } else if (this.#giveUp(slot)) throw this.#timeout(timeoutMs);
    }
    return this.#end(slot);
  }

  /** Takes a slot whose request is met, or returns 0: who does not wait never overtakes. */
  take(request: Request): number {
    this.#monitor.enter();
    let slot: number;
    try {
      if (this.length > 0) return 0;
      slot = this.#ask(request);
      if (this.#words[slot + STATE] === State.WAITING) {
        this.#drop(slot);
        return 0;
      }
    } finally {
      this.#monitor.leave();
    }
    return this.#end(slot);
  }

  /** Grants from the head on, until a request cannot be met. Only inside the monitor. */
  serve(): void {
    // A grant may serve another line, and that one this: the first call goes on anyway.
    if (this.#serving) return;
    this.#serving = true;
    for (let slot = this.#head; slot !== 0; slot = this.#head) {
      const state = this.#options.grant(slot);
      if (state === State.WAITING) break;
      this.#settle(slot, state);
    }
    this.#serving = false;
  }

  /** Settles all for whom `judge` does not say `WAITING`. Those who stay keep their places. Only inside the monitor. */
  sweep(judge: (slot: number) => State): void {
    for (let slot = this.#head; slot !== 0;) {
      const next = this.#words[slot + NEXT]!;
      const state = judge(slot);
      if (state !== State.WAITING) this.#settle(slot, state);
      slot = next;
    }
    this.serve();
  }

  /** Takes a slot out of the line whose thread is gone. Only inside the monitor. */
  remove(slot: number): void {
    this.#unlink(slot);
    this.#drop(slot);
  }

  get #head(): number {
    return this.#words[this.at + HEAD]!;
  }

  /** Asks, and lines up unless it is granted or nobody is to wait. */
  #begin(request: Request, { timeoutMs }: WaitOptions): number {
    this.#monitor.enter();
    try {
      const slot = this.#ask(request);
      if (this.#words[slot + STATE] !== State.WAITING) return slot;
      if (timeoutMs === 0) {
        this.#drop(slot);
        throw this.#timeout(0);
      }
      this.#link(slot);
      return slot;
    } finally {
      this.#monitor.leave();
    }
  }

  /** Takes a slot and sees whether it can be granted now. Only inside. */
  #ask(request: Request): number {
    const slot = this.#monitor.takeSlot();
    try {
      this.#words[slot + REQUEST] = typeof request === "number" ? request : request();
    } catch (error) {
      this.#monitor.giveSlot(slot);
      throw error;
    }
    this.#words[slot + LINE] = this.at;
    this.#words[slot + STATE] = this.length === 0 ? this.#options.grant(slot) : State.WAITING;
    return slot;
  }

  /** Resolves once the slot waits no longer. */
  #granted(slot: number, { signal, timeoutMs = Infinity }: WaitOptions): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const settle = () => {
      if (this.#local.get(slot) !== settle) return;
      leave();
      resolve();
    };
    const cancel = (reason: unknown) => {
      if (!this.#giveUp(slot)) return settle();
      leave();
      reject(reason);
    };
    const timer = timeoutMs === Infinity
      ? undefined
      : new Timer(timeoutMs, () => cancel(this.#timeout(timeoutMs)));
    const leave = () => {
      this.#local.delete(slot);
      timer?.cancel();
      if (signal !== undefined) offAbort(signal, cancel);
      letSleep();
    };
    this.#local.set(slot, settle);
    if (signal !== undefined) onAbort(signal, cancel);
    keepAwake();
    this.#watch(slot, settle);
    return promise;
  }

  /** Looks at the slot whenever it is notified. */
  #watch(slot: number, settle: () => void): void {
    const notified = Atomics.waitAsync(this.#words, slot + STATE, State.WAITING);
    if (!notified.async) return settle();
    void notified.value.then(() => {
      if (this.#local.get(slot) === settle) this.#watch(slot, settle);
    });
  }

  /** Leaves the line, unless it was granted; says whether it did. */
  #giveUp(slot: number): boolean {
    this.#monitor.enter();
    try {
      if (this.#words[slot + STATE] !== State.WAITING) return false;
      const wasFirst = slot === this.#head;
      this.#unlink(slot);
      this.#drop(slot);
      Atomics.notify(this.#words, slot + STATE);
      if (wasFirst) this.serve();
      return true;
    } finally {
      this.#monitor.leave();
    }
  }

  /** The slot if it was granted; else gives it back and throws why not. */
  #end(slot: number): number {
    const state = Atomics.load(this.#words, slot + STATE) as State;
    if (state === State.GRANTED) return slot;
    this.#monitor.enter();
    this.#drop(slot);
    this.#monitor.leave();
    throw this.#options.refusal?.(state);
  }

  /** A slot that was not granted, and is in no line, is given back. */
  #drop(slot: number): void {
    this.#options.drop?.(this.#words[slot + REQUEST]!);
    this.#monitor.giveSlot(slot);
  }

  #settle(slot: number, state: State): void {
    this.#unlink(slot);
    Atomics.store(this.#words, slot + STATE, state);
    Atomics.notify(this.#words, slot + STATE);
    // One of this thread need not wait for the event loop to hear of it.
    this.#local.get(slot)?.();
  }

  #link(slot: number): void {
    const words = this.#words;
    const tail = words[this.at + TAIL]!;
    words[slot + NEXT] = 0;
    words[slot + PREVIOUS] = tail;
    words[tail === 0 ? this.at + HEAD : tail + NEXT] = slot;
    words[this.at + TAIL] = slot;
    words[this.at + LENGTH]! += 1;
  }

  #unlink(slot: number): void {
    const words = this.#words;
    const next = words[slot + NEXT]!;
    const previous = words[slot + PREVIOUS]!;
    words[previous === 0 ? this.at + HEAD : previous + NEXT] = next;
    words[next === 0 ? this.at + TAIL : next + PREVIOUS] = previous;
    words[this.at + LENGTH]! -= 1;
  }

  #timeout(timeoutMs: number): TimeoutError {
    return new TimeoutError(
      `waited ${timeoutMs} ms for ${this.#options.what}: allow more time, or let it go earlier`,
    );
  }
}
