/**
 * An event between the Workers of one process, the main thread included.
 *
 * @module
 */

import type { Event, EventOccurrence, EventStatistics, WaitOptions } from "../primitives.ts";
import { Arena, ARENA_WORDS, makeArena } from "./arena.ts";
import { type Breakable, checkedHandle, type ThreadHandle } from "./handle.ts";
import { makeMemory, Monitor, OWN, RESULT, STATE, State } from "./monitor.ts";
import { LINE_WORDS, WaitingLine } from "./waiting_line.ts";

const LINE = OWN;
const ARENA = LINE + LINE_WORDS;
/** The occurrence that is set; 0 if the flag is clear. */
const CURRENT = ARENA + ARENA_WORDS;

/** Where among the numbers of the arena, which has no block 0, the generation is counted. */
const GENERATION = 0;
/** The numbers of a block that keeps an occurrence. */
const GENERATION_OF = 1;
const READERS = 2;

/** What a block begins with: whether there is data. */
const WITHOUT_DATA = Uint8Array.of(0);
const DATA_PREFIX = "\u0001";

const MAX_DATA_BYTES = 2 ** 24;

/** Options of {@link ThreadEvent}. */
export interface ThreadEventOptions {
  /** How many may wait at once, in all threads. Default 4096. */
  capacity?: number;
  /** That of an event in another thread, to be the same one; see {@link ThreadEvent.attach}. */
  handle?: ThreadHandle<"event">;
}

/**
 * A flag that many wait for, whichever threads they are in; it carries data and counts its generations.
 *
 * Invariants: a wait that begins before, during or after a `set` returns, unless `clear` came before the wait began. What a waiter is
 * handed, generation and data, is that of the set or pulse that woke it: it is kept until the last one has read it.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const ready = new ThreadEvent();
 * const waiting = ThreadEvent.attach(ready.handle).wait();
 * ready.set("port 8080");
 * assertEquals(await waiting, { generation: 1, data: "port 8080" });
 * ```
 */
export class ThreadEvent implements Event, Breakable {
  /** What to post to another thread. */
  readonly handle: ThreadHandle<"event">;
  readonly #monitor: Monitor;
  readonly #words: Int32Array;
  readonly #line: WaitingLine;
  readonly #occurrences: Arena;

  /**
   * @param options How many may wait.
   * @throws {RangeError} If `capacity` is no whole number above 0.
   */
  constructor({ capacity, handle }: ThreadEventOptions = {}) {
    this.handle = handle ?? { kind: "event", buffers: [makeMemory(capacity), makeArena(MAX_DATA_BYTES)] };
    const [buffer, arena] = this.handle.buffers;
    this.#monitor = new Monitor(buffer!);
    this.#words = this.#monitor.words;
    this.#occurrences = new Arena({ words: this.#words, at: ARENA, buffer: arena! });
    this.#line = new WaitingLine(this.#monitor, {
      at: LINE,
      what: "an event",
      grant: (slot) => this.#hand(slot, this.#words[CURRENT]!),
    });
  }

  /**
   * The event of another thread.
   *
   * @param handle That event's {@link ThreadEvent.handle}, as it was posted.
   * @throws {TypeError} If it is no event's.
   */
  static attach(handle: ThreadHandle<"event">): ThreadEvent {
    return new ThreadEvent({ handle: checkedHandle(handle, "event") });
  }

  /**
   * Sets the flag and wakes all waiters. Setting again replaces the data and counts a generation.
   *
   * @param data A text for those who wait.
   * @throws {SystemError} If waiters have not yet read 16 MiB of data.
   */
  set(data?: string): void {
    const bytes = encode(data);
    this.#monitor.inside(() => {
      const occurrence = this.#occur(bytes);
      this.#replace(occurrence);
      this.#line.serve();
    });
  }

  /** Clears the flag and its data; the generation stays. */
  clear(): void {
    this.#monitor.inside(() => this.#replace(0));
  }

  /**
   * Wakes who waits now, and leaves the flag and its data as they are. Counts a generation.
   *
   * @param data A text for those who wait.
   * @throws {SystemError} If waiters have not yet read 16 MiB of data.
   */
  pulse(data?: string): void {
    const bytes = encode(data);
    this.#monitor.inside(() => {
      const occurrence = this.#occur(bytes);
      this.#line.sweep((slot) => this.#hand(slot, occurrence));
      this.#drop(occurrence);
      // While the flag is set, a wait returns its data and the generation of that moment.
      const current = this.#words[CURRENT]!;
      if (current !== 0) this.#replace(this.#keep(this.#occurrences.read(current)));
    });
  }

  /** Whether the flag is set. */
  isSet(): boolean {
    return Atomics.load(this.#words, CURRENT) !== 0;
  }

  /**
   * Returns at once if the flag is set, else with the next set or pulse, without blocking the thread.
   *
   * Cancel safety: changes nothing.
   *
   * @param options When to give up. Default: never.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If as many as `capacity` wait already.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async wait(options?: WaitOptions): Promise<EventOccurrence> {
    return this.#read(await this.#line.wait(0, options));
  }

  /**
   * The same asleep: for Workers, whose other tasks stand still meanwhile.
   *
   * @param options When to give up. Default: never.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If as many as `capacity` wait already.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   */
  waitSync({ timeoutMs }: { timeoutMs?: number } = {}): EventOccurrence {
    return this.#read(this.#line.waitSync(0, timeoutMs));
  }

  /** Drops the waits of a thread that has died. Nobody holds an event, so no lease is broken. */
  breakLeases(thread: number): number {
    this.#monitor.inside(() => {
      for (const slot of this.#monitor.slotsOf(thread)) {
        if (this.#words[slot + STATE] === State.WAITING) this.#line.remove(slot);
        else {
          this.#drop(this.#words[slot + RESULT]!);
          this.#monitor.giveSlot(slot);
        }
      }
    });
    return 0;
  }

  /** The flag, its generation and data, and how many wait. */
  statistics(): EventStatistics {
    return this.#monitor.inside(() => {
      const current = this.#words[CURRENT]!;
      return {
        set: current !== 0,
        generation: this.#occurrences.numbers[GENERATION]!,
        data: current === 0 ? undefined : decode(this.#occurrences.read(current)),
        waiting: this.#line.length,
      };
    });
  }

  /** A new occurrence, with one reader: its maker. */
  #occur(bytes: Uint8Array): number {
    this.#occurrences.numbers[GENERATION]! += 1;
    return this.#keep(bytes);
  }

  #keep(bytes: Uint8Array): number {
    const occurrence = this.#occurrences.take(bytes);
    const { numbers } = this.#occurrences;
    numbers[occurrence + GENERATION_OF] = numbers[GENERATION]!;
    numbers[occurrence + READERS] = 1;
    return occurrence;
  }

  #hand(slot: number, occurrence: number): State {
    if (occurrence === 0) return State.WAITING;
    this.#words[slot + RESULT] = occurrence;
    this.#occurrences.numbers[occurrence + READERS]! += 1;
    return State.GRANTED;
  }

  /** One reader less. */
  #drop(occurrence: number): void {
    const readers = this.#occurrences.numbers[occurrence + READERS]! - 1;
    this.#occurrences.numbers[occurrence + READERS] = readers;
    if (readers === 0) this.#occurrences.give(occurrence);
  }

  /** Another occurrence is set, or none: 0. */
  #replace(occurrence: number): void {
    const current = this.#words[CURRENT]!;
    if (current !== 0) this.#drop(current);
    Atomics.store(this.#words, CURRENT, occurrence);
  }

  #read(slot: number): EventOccurrence {
    return this.#monitor.inside(() => {
      const occurrence = this.#words[slot + RESULT]!;
      const generation = this.#occurrences.numbers[occurrence + GENERATION_OF]!;
      const data = decode(this.#occurrences.read(occurrence));
      this.#drop(occurrence);
      this.#monitor.giveSlot(slot);
      return { generation, data };
    });
  }
}

function encode(data: string | undefined): Uint8Array {
  return data === undefined ? WITHOUT_DATA : new TextEncoder().encode(DATA_PREFIX + data);
}

function decode(bytes: Uint8Array): string | undefined {
  return bytes[0] === 0 ? undefined : new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(1));
}
