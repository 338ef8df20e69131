/**
 * What Lock and Semaphore between processes are made of.
 *
 * @module
 */

import type { Holder, Waiter } from "../named.ts";
import type { WaitOptions } from "../primitives.ts";
import { tooHeavy } from "../task/check.ts";
import { addLease, dropLease, HostLease, leasesOf } from "./leases.ts";
import { type Ask, Line, type Outcome } from "./line.ts";
import type { Store } from "./store.ts";

/** Options of {@link HostPermits}. */
export interface HostPermitsOptions {
  /** Names what they are of: `KIND:NAME`. */
  object: string;
  /** The same for people, such as `the lock 'nightly'`. */
  what: string;
  /** How many there are. Within a write, before anything is granted. */
  permits(): number;
}

/** What is asked of permits. */
export interface PermitsAsk extends WaitOptions {
  weight: number;
  /** What they are for, for people. */
  command?: string;
}

/** Invariant: the weights of the leases of an object add up to at most its permits, but after permits were taken away. */
export class HostPermits {
  readonly #store: Store;
  readonly #options: HostPermitsOptions;
  readonly #line: Line;

  constructor(store: Store, options: HostPermitsOptions) {
    this.#store = store;
    this.#options = options;
    this.#line = new Line(store, {
      line: options.object,
      what: options.what,
      grant: (ask) => this.#grant(ask),
      refusal: (permits) => tooHeavy(Number(permits)),
      undo: (token) => void this.giveBack(token),
      isStale: () => this.#gone().length > 0,
      clear: () => this.clear(),
    });
  }

  /** Waits for a lease. */
  async acquire({ weight, ...ask }: PermitsAsk): Promise<HostLease> {
    return this.#lease(await this.#line.wait({ ...ask, request: weight }));
  }

  /** A lease, if that many are free and nobody waits. */
  tryAcquire({ weight, ...ask }: PermitsAsk): HostLease | undefined {
    const token = this.#line.take({ ...ask, request: weight });
    return token === undefined ? undefined : this.#lease(token);
  }

  /**
   * Gives a lease back.
   *
   * @param token Its token.
   * @returns Whether it was held.
   */
  giveBack(token: string): boolean {
    return this.#store.write(() => {
      const { object } = this.#options;
      const { changes } = this.#store.run("DELETE FROM leases WHERE token = ? AND object = ?", token, object);
      if (changes > 0) this.#line.serve();
      return changes > 0;
    });
  }

  /** Turns those away who want more than there are now, and serves the others. Within a write. */
  resized(): void {
    const permits = this.#options.permits();
    this.#line.sweep(({ request }) => request > permits ? { refused: String(permits) } : undefined);
  }

  /** Gives back what is held by who is gone. */
  clear(): void {
    if (this.#gone().length === 0) return;
    this.#store.write(() => {
      for (const { id } of this.#gone()) dropLease(this.#store, id);
      this.#line.serve();
    });
  }

  /** Takes those who are gone out of the line, too. */
  clearLine(): void {
    this.#store.owners.buryWaiting(this.#options.object);
    this.clear();
  }

  /** Permits that are held, and how many wait, at one moment. */
  statistics(): { held: number; waiting: number } {
    return { held: this.held(), waiting: this.#line.length };
  }

  /** Whether anybody holds or waits. */
  isInUse(): boolean {
    return this.held() > 0 || this.#line.length > 0;
  }

  /** How many are held. */
  held(): number {
    return this.#store.get<{ held: number | null }>(
      "SELECT sum(weight) AS held FROM leases WHERE object = ?",
      this.#options.object,
    )!.held ?? 0;
  }

  /** Who holds, the longest first. */
  holders(): Holder[] {
    return this.#store.all<
      Record<"pid" | "jobPid", number | null> & {
        command: string | null;
        since: number;
        weight: number;
        token: string;
      }
    >(
      `SELECT pid, jobPid, command, since, weight, token FROM leases LEFT JOIN owners ON owners.id = owner
       WHERE object = ? ORDER BY leases.id`,
      this.#options.object,
    ).map(({ pid, jobPid, command, since, ...rest }) => ({
      ...{ pid: pid ?? undefined, jobPid: jobPid ?? undefined, command: command ?? undefined },
      ...{ since: new Date(since), ...rest },
    }));
  }

  /** Who waits, in the order of the line. */
  waiters(): Waiter[] {
    return this.#store.all<{ pid: number; command: string | null; since: number; request: number }>(
      `SELECT pid, command, since, request FROM waiters JOIN owners ON owners.id = owner
       WHERE line = ? AND state = 0 ORDER BY waiters.id`,
      this.#options.object,
    ).map(({ pid, command, since, request }) => ({
      ...{ pid, command: command ?? undefined, since: new Date(since), weight: request },
    }));
  }

  /** The leases whose holders are gone. */
  #gone(): { id: number }[] {
    return leasesOf(this.#store, this.#options.object).filter(({ id }) => !this.#store.owners.holds(id));
  }

  #grant({ owner, request, command }: Ask): Outcome {
    const permits = this.#options.permits();
    if (request > permits) return { refused: String(permits) };
    if (this.held() + request > permits) return undefined;
    const { object } = this.#options;
    return { granted: addLease(this.#store, { object, owner, weight: request, command }) };
  }

  #lease(token: string): HostLease {
    return new HostLease(this.#store, { token, giveBack: (token) => this.giveBack(token) });
  }
}
