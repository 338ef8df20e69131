/**
 * An event between the async tasks of one event loop.
 *
 * @module
 */

import type { Event, EventOccurrence, EventStatistics, WaitOptions } from "../primitives.ts";
import { NOT_NOW, WaitingList } from "./waiters.ts";

/**
 * A flag that many wait for; it carries data and counts its generations.
 *
 * Invariant: a wait that begins before, during or after a `set` returns, unless `clear` came before the wait began. A `set` that is
 * followed at once by `clear` still wakes everyone who waited: waiters are handed the occurrence, they do not look at the flag again.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const ready = new TaskEvent();
 * const waiting = ready.wait();
 * ready.set("port 8080");
 * assertEquals(await waiting, { generation: 1, data: "port 8080" });
 * ```
 */
export class TaskEvent implements Event {
  #set = false;
  #generation = 0;
  #data: string | undefined;

  readonly #waiters = new WaitingList<void, EventOccurrence>({
    what: "an event",
    grant: () => this.#set ? { generation: this.#generation, data: this.#data } : NOT_NOW,
  });

  /**
   * Sets the flag and wakes all waiters. Setting again replaces the data and counts a generation.
   *
   * @param data A text for those who wait.
   */
  set(data?: string): void {
    this.#set = true;
    this.#data = data;
    this.#generation += 1;
    this.#waiters.serve();
  }

  /** Clears the flag and its data; the generation stays. */
  clear(): void {
    this.#set = false;
    this.#data = undefined;
  }

  /**
   * Wakes who waits now, and leaves the flag and its data as they are. Counts a generation.
   *
   * @param data A text for those who wait.
   */
  pulse(data?: string): void {
    this.#generation += 1;
    const generation = this.#generation;
    this.#waiters.serveAll(() => ({ generation, data }));
  }

  /** Whether the flag is set. */
  isSet(): boolean {
    return this.#set;
  }

  /**
   * Returns at once if the flag is set, else with the next set or pulse.
   *
   * Cancel safety: changes nothing.
   *
   * @param options When to give up. Default: never.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  wait(options?: WaitOptions): Promise<EventOccurrence> {
    return this.#waiters.wait(undefined, options);
  }

  /** The flag, its generation and data, and how many wait. */
  statistics(): EventStatistics {
    return {
      set: this.#set,
      generation: this.#generation,
      data: this.#data,
      waiting: this.#waiters.length,
    };
  }
}
