/**
 * An event between the processes of one machine.
 *
 * @module
 */

import type { EventChange, NamedEvent, NamedEventStatus } from "../named.ts";
import type { EventOccurrence, EventStatistics, WaitOptions } from "../primitives.ts";
import { Line } from "./line.ts";
import type { Store } from "./store.ts";

interface EventRow {
  name: string;
  isSet: number;
  generation: number;
  data: string | null;
  since: number;
}

/**
 * A flag that many wait for, whichever processes they are; it carries data and counts its generations. It outlives all of them, and a
 * reboot: it stays as it was set until it is cleared.
 *
 * Invariants: a wait that begins before, during or after a `set` returns, unless `clear` came before the wait began. What a waiter is
 * handed, generation and data, is that of the set or pulse that woke it.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Store } from "./store.ts";
 *
 * using store = new Store(`${Deno.makeTempDirSync()}/conc.db`);
 * const ready = new HostEvent(store, "db-ready");
 * const waiting = ready.wait();
 * ready.set("port 5432");
 * assertEquals(await waiting, { generation: 1, data: "port 5432" });
 * ```
 */
export class HostEvent implements NamedEvent {
  readonly #store: Store;
  readonly #name: string;
  readonly #line: Line;

  /**
   * @param store Where it is kept.
   * @param name Its name: all processes that use this name and this store share it.
   */
  constructor(store: Store, name: string) {
    this.#store = store;
    this.#name = name;
    this.#line = new Line(store, {
      line: `event:${name}`,
      what: `the event '${name}'`,
      grant: () => {
        const { isSet, generation, data } = this.#row();
        return isSet ? { granted: JSON.stringify({ generation, data }) } : undefined;
      },
      refusal: (reason) => new Error(reason),
      undo: () => {},
      isStale: () => false,
      clear: () => {},
    });
  }

  /** All events of a store, by their names. Who waited and died is not counted. */
  static list(store: Store): NamedEventStatus[] {
    store.owners.buryWaiting("event:*");
    return store.all<EventRow & { waiting: number }>(
      `SELECT *, (SELECT count(*) FROM waiters WHERE line = 'event:' || name AND state = 0) AS waiting
       FROM events ORDER BY name`,
    ).map(({ name, isSet, generation, data, since, waiting }) => ({
      ...{ name, set: isSet === 1, generation, data: data ?? undefined, waiting, since: new Date(since) },
    }));
  }

  /**
   * Changes it, and says how it stands right then: no change of another comes between.
   *
   * @throws {SystemError} If the store cannot be used.
   */
  change(change: EventChange): EventStatistics {
    return this.#store.write(() => {
      if (change.action === "clear") this.clear();
      else this[change.action](change.data);
      return this.statistics();
    });
  }

  /**
   * Sets the flag and wakes all waiters. Setting again replaces the data and counts a generation.
   *
   * @param data A text for those who wait.
   * @throws {SystemError} If the store cannot be used.
   */
  set(data?: string): void {
    this.#store.write(() => {
      this.#save({ isSet: 1, generation: this.#row().generation + 1, data: data ?? null });
      this.#line.serve();
    });
  }

  /**
   * Clears the flag and its data; the generation stays.
   *
   * @throws {SystemError} If the store cannot be used.
   */
  clear(): void {
    this.#store.write(() => this.#save({ isSet: 0, generation: this.#row().generation, data: null }));
  }

  /**
   * Wakes who waits now, and leaves the flag and its data as they are. Counts a generation.
   *
   * @param data A text for those who wait.
   * @throws {SystemError} If the store cannot be used.
   */
  pulse(data?: string): void {
    this.#store.write(() => {
      const row = this.#row();
      const generation = row.generation + 1;
      this.#save({ ...row, generation });
      const granted = JSON.stringify({ generation, data: data ?? null });
      this.#line.sweep(() => ({ granted }));
    });
  }

  /** Whether the flag is set. */
  isSet(): boolean {
    return this.#row().isSet === 1;
  }

  /**
   * Returns at once if the flag is set, else with the next set or pulse.
   *
   * Cancel safety: changes nothing.
   *
   * @param options When to give up. Default: never.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If the store cannot be used.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async wait(options: WaitOptions = {}): Promise<EventOccurrence> {
    const { generation, data } = JSON.parse(await this.#line.wait({ ...options, request: 0 }));
    return { generation, data: data ?? undefined };
  }

  /** The flag, its generation and data, and how many wait. */
  statistics(): EventStatistics {
    const { isSet, generation, data } = this.#row();
    return { set: isSet === 1, generation, data: data ?? undefined, waiting: this.#line.length };
  }

  #row(): Pick<EventRow, "isSet" | "generation" | "data"> {
    return this.#store.get<EventRow>(
      "SELECT isSet, generation, data FROM events WHERE name = ?",
      this.#name,
    ) ??
      { isSet: 0, generation: 0, data: null };
  }

  #save({ isSet, generation, data }: Pick<EventRow, "isSet" | "generation" | "data">): void {
    this.#store.run(
      "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?)",
      ...[this.#name, isSet, generation, data, Date.now()],
    );
  }
}
