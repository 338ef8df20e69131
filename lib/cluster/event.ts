/**
 * An event between machines.
 *
 * @module
 */

import type { EventChange, NamedEvent, NamedEventStatus } from "../named.ts";
import type { EventOccurrence, EventStatistics, WaitOptions } from "../primitives.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import { isThere, makeOnce } from "./creation.ts";
import { Gate } from "./gate.ts";
import { Inbox } from "./inbox.ts";
import { Log } from "./log.ts";
import { addName, namesOf } from "./names.ts";
import { makeQuorumQueues } from "./quorum_queue.ts";
import { type ClusterStore, objectName } from "./store.ts";
import { checkLimit, doSoon, timedOut, waitAcross } from "./wait.ts";

/** How an event stands after a change. */
interface State {
  set: boolean;
  generation: number;
  data: string | null;
  /** What who was woken by this change is handed; absent if nobody was. */
  woken?: { data: string | null };
  /** Milliseconds since the epoch; 0 if nobody changed it yet. */
  since: number;
}

const NEW: State = { set: false, generation: 0, data: null, since: 0 };

/**
 * A flag that many wait for, on whichever machines they are; it carries data and counts its generations. It outlives all of them, and a
 * restart of the broker: it stays as it was set until it is cleared.
 *
 * Every change is an entry of a log, appended inside a gate. A waiter reads the last entry and follows those after it; over a new connection it goes
 * on behind the last that it saw, so it misses none.
 *
 * Invariants: a wait that begins before, during or after a `set` returns, unless `clear` came before the wait began. What a waiter is
 * handed, generation and data, is that of the set or pulse that woke it.
 */
export class ClusterEvent implements NamedEvent {
  readonly #store: ClusterStore;
  readonly #name: string;
  readonly #what: string;
  readonly #object: string;
  /** Everybody who waits listens to this queue, in which nothing ever comes: so they are counted. */
  readonly #waiting: string;
  readonly #gate: Gate;
  readonly #log: Log<State>;

  /**
   * @param store Where it is kept.
   * @param name Its name: all who use this name and this broker share it.
   */
  constructor(store: ClusterStore, name: string) {
    this.#store = store;
    this.#name = name;
    this.#what = `the event '${name}'`;
    this.#object = objectName("event", name);
    this.#waiting = objectName("event", name, "waiting");
    this.#gate = new Gate(objectName("event", name, "gate"));
    this.#log = new Log(objectName("event", name, "log"));
  }

  /** All events of a broker that were ever changed, by their names. */
  static async list(store: ClusterStore): Promise<NamedEventStatus[]> {
    const events: NamedEventStatus[] = [];
    for (const name of await doSoon(store, (connection) => namesOf(connection, "event"))) {
      const { since, ...statistics } = await new ClusterEvent(store, name).#look();
      if (since > 0) events.push({ name, ...statistics, since: new Date(since) });
    }
    return events;
  }

  /**
   * Changes it, and says how it stands right then: no change of another comes between.
   *
   * @throws {SystemError} If the broker cannot be used. If the connection was lost meanwhile, it may have been changed or not.
   */
  async change(change: EventChange): Promise<EventStatistics> {
    const { state, waiting, appended } = await doSoon(this.#store, async (connection) => {
      await this.#make(connection);
      const channel = await connection.channel(this.#what);
      try {
        const pass = await this.#gate.enter(channel);
        const state = changed(await this.#log.last(channel), change);
        // Who is woken waits no more.
        const waiting = state.woken === undefined ? await this.#countWaiting(channel) : 0;
        // Whatever becomes of this is not to be done again.
        const appended = await Promise.allSettled([this.#log.append(channel, state)]);
        pass.leave();
        return { state, waiting, appended };
      } finally {
        await channel.close();
      }
    });
    const [result] = appended;
    if (result.status === "rejected") throw result.reason;
    return statisticsOf(state, waiting);
  }

  /**
   * Sets the flag and wakes all waiters. Setting again replaces the data and counts a generation.
   *
   * @param data A text for those who wait.
   * @throws As {@link change}.
   */
  async set(data?: string): Promise<void> {
    await this.change({ action: "set", ...(data !== undefined && { data }) });
  }

  /**
   * Clears the flag and its data; the generation stays.
   *
   * @throws As {@link change}.
   */
  async clear(): Promise<void> {
    await this.change({ action: "clear" });
  }

  /**
   * Wakes who waits now, and leaves the flag and its data as they are. Counts a generation.
   *
   * @param data A text for those who wait.
   * @throws As {@link change}.
   */
  async pulse(data?: string): Promise<void> {
    await this.change({ action: "pulse", ...(data !== undefined && { data }) });
  }

  /** Whether the flag is set. */
  async isSet(): Promise<boolean> {
    return (await this.statistics()).set;
  }

  /**
   * Returns at once if the flag is set, else with the next set or pulse.
   *
   * Cancel safety: changes nothing.
   *
   * @param options When to give up. Default: never.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If the broker refuses.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async wait(options: WaitOptions = {}): Promise<EventOccurrence> {
    options.signal?.throwIfAborted();
    checkLimit(options.timeoutMs ?? Infinity);
    if (options.timeoutMs === 0) {
      const { set, generation, data } = await this.statistics();
      if (!set) throw timedOut(0);
      return { generation, data };
    }
    // Where the wait stands, over however many connections.
    const seen: { offset?: number } = {};
    return await waitAcross(
      this.#store,
      options,
      (connection, signal) => this.#follow(connection, { seen, signal }),
    );
  }

  /** The flag, its generation and data, and how many wait. */
  async statistics(): Promise<EventStatistics> {
    const { since: _, ...statistics } = await this.#look();
    return statistics;
  }

  async #follow(
    connection: BrokerConnection,
    { seen, signal }: { seen: { offset?: number }; signal: AbortSignal },
  ): Promise<EventOccurrence> {
    await this.#make(connection);
    const channel = await connection.channel(this.#what);
    try {
      const follower = await this.#log.follow(channel, seen.offset);
      // Over a new connection it begins with the entry that it saw last, if that still is there.
      let entry = await follower.first(signal);
      if (seen.offset === undefined && entry.state.set) {
        return occurrence(entry.state.generation, entry.state.data);
      }
      seen.offset ??= entry.offset;
      await Inbox.open(channel, this.#waiting);
      for (;; entry = await follower.next(signal)) {
        const { offset, state: { generation, woken } } = entry;
        if (offset <= seen.offset) continue;
        seen.offset = offset;
        if (woken !== undefined) return occurrence(generation, woken.data);
      }
    } finally {
      void channel.close();
    }
  }

  async #make(connection: BrokerConnection): Promise<void> {
    await makeOnce(connection, {
      what: this.#what,
      object: this.#object,
      mark: this.#object,
      make: async (channel) => {
        await addName(connection, "event", this.#name);
        const queues = [{ queue: this.#gate.queue }, { queue: this.#waiting }];
        await makeQuorumQueues(channel, this.#object, queues);
        await this.#gate.open(channel);
        await this.#log.make(channel, NEW);
      },
    });
  }

  /** How it stands. One that is not there is not made. */
  #look(): Promise<EventStatistics & { since: number }> {
    return doSoon(this.#store, async (connection) => {
      if (!await isThere(connection, { what: this.#what, mark: this.#object })) {
        return { ...statisticsOf(NEW, 0), since: 0 };
      }
      const channel = await connection.channel(this.#what);
      try {
        const waiting = await this.#countWaiting(channel);
        const state = await this.#log.last(channel);
        return { ...statisticsOf(state, waiting), since: state.since };
      } finally {
        await channel.close();
      }
    });
  }

  async #countWaiting(channel: BrokerChannel): Promise<number> {
    const counts = await channel.ask((raw) => raw.queueDeclare({ queue: this.#waiting, passive: true }));
    return counts.consumerCount;
  }
}

/** How it stands after a change. */
function changed({ set, generation, data }: State, change: EventChange): State {
  const since = Date.now();
  if (change.action === "clear") return { set: false, generation, data: null, since };
  const given = change.data ?? null;
  const woken = { data: given };
  if (change.action === "set") return { set: true, generation: generation + 1, data: given, woken, since };
  return { set, generation: generation + 1, data, woken, since };
}

function statisticsOf({ set, generation, data }: State, waiting: number): EventStatistics {
  return { set, generation, data: data ?? undefined, waiting };
}

function occurrence(generation: number, data: string | null): EventOccurrence {
  return { generation, data: data ?? undefined };
}
