/**
 * The waiting line under all primitives between processes. Fairness, cancellation and timeouts are written here, once.
 *
 * @module
 */

import { BrokenLeaseError, HeldUpError, TimeoutError } from "../errors.ts";
import type { WaitOptions } from "../primitives.ts";
import { refuse } from "../task/waiters.ts";
import type { PatientWriteOptions, Store } from "./store.ts";
import { wake, Wakeup } from "./wakeup.ts";

/** What one who comes wants. */
export interface Ask {
  /** Who: an id of the store's owners. */
  owner: number;
  /** How much. */
  request: number;
  /** What comes with it. */
  payload: Uint8Array | null;
  /** What it is for, for people. */
  command: string | null;
}

/** What became of it; undefined if it cannot be met now. */
export type Outcome = { granted: string } | { refused: string } | undefined;

/** Options of {@link Line}. */
export interface LineOptions {
  /** Names the line: `KIND:NAME`, and more where a primitive has several. */
  line: string;
  /** What is waited for, for the message of the `TimeoutError`, such as `the semaphore 'db'`. */
  what: string;
  /** Meets a request, or changes nothing. Within a write. */
  grant(ask: Ask): Outcome;
  /** What a wait rejects with that was refused. */
  refusal(reason: string): Error;
  /** Takes back what was granted to one who has given up by then. Within a write. */
  undo(granted: string): void;
  /** Whether something is held by who is gone. */
  isStale(): boolean;
  /** Gives back what is held by who is gone. Within a write. */
  clear(): void;
  /** Milliseconds until time alone may meet the request at the head; undefined if it never does. */
  dueMs?(): number | undefined;
  /** Whether what is granted must be on disk when the wait returns. Default false. */
  durable?: boolean;
}

/** How one comes. */
export interface AskOptions extends WaitOptions {
  /** How much is wanted. */
  request: number;
  /** What comes with it. */
  payload?: Uint8Array;
  /** What it is for, for people. */
  command?: string;
}

const WAITING = 0;
const GRANTED = 1;
const REFUSED = 2;

/** How long one who gives up tries to leave the line before it goes. */
const LEAVE_LIMIT_MS = 1_000;

interface WaiterRow {
  id: number;
  owner: number;
  request: number;
  payload: Uint8Array | null;
  command: string | null;
}

/**
 * Those who wait, whichever processes they are, first come first served. Mirrors `WaitingList` of one event loop, in the store.
 *
 * Invariants: after each write the request at the head cannot be met. A grant is complete when it is written, so a waiter that is slow,
 * or dies, has all or nothing. A waiter that died is found by the one behind it, the holder by the one at the head: each looks at one
 * process, however long the line is.
 */
export class Line {
  readonly #store: Store;
  readonly #options: LineOptions;
  #serving = false;

  constructor(store: Store, options: LineOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** How many wait. */
  get length(): number {
    const { line } = this.#options;
    return this.#store.get<{ n: number }>(
      "SELECT count(*) AS n FROM waiters WHERE line = ? AND state = 0",
      line,
    )!.n;
  }

  /**
   * Grants the request at once if nobody waits and it can be met, else lines up. Nothing here keeps the event loop waiting for the store.
   *
   * Cancel safety: a wait that is aborted or times out leaves the line before its promise rejects, and what it held up behind it is
   * served. If it was granted already, it is granted. If another process keeps the store from being written, it leaves as soon as that
   * one is out of the way, and what it is granted until then is taken back.
   *
   * @returns What was granted.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async wait(ask: AskOptions): Promise<string> {
    const { signal, timeoutMs = Infinity } = ask;
    const refusal = refuse(ask);
    if (refusal !== undefined) throw refusal.reason;
    if (timeoutMs === 0) return await this.#takeOrFail(ask);
    const patience = new Patience(ask);
    const { outcome, id } = await this.#writeWhenFree(() => this.#lineUp(ask), patience.limits());
    if (outcome !== undefined) return this.#result(outcome);
    let served: NonNullable<Outcome>;
    try {
      served = await this.#served(id, patience);
    } catch (error) {
      if (!signal?.aborted && !(error instanceof TimeoutError)) throw error;
      served = await this.#leave(id, error);
    }
    return this.#result(served);
  }

  /** What is granted at once, if nobody waits and the request can be met; else undefined: who does not wait never overtakes. */
  take(ask: AskOptions): string | undefined {
    for (let isStale = false;;) {
      const outcome = this.#write(() => this.#ask(ask, isStale));
      if (outcome !== undefined) return this.#result(outcome);
      isStale = this.#isStale();
      if (!isStale) return undefined;
    }
  }

  /** Grants from the head on, until a request cannot be met. Within a write. */
  serve(): void {
    // A grant may serve another line, and that one this: the first call goes on anyway.
    if (this.#serving) return;
    this.#serving = true;
    try {
      this.#serveAll();
    } finally {
      this.#serving = false;
    }
  }

  /** Settles all for whom `judge` has an outcome. Those who stay keep their places. Within a write. */
  sweep(judge: (ask: Ask) => Outcome): void {
    for (const waiter of this.#waiting()) {
      const outcome = judge(waiter);
      if (outcome !== undefined) this.settle(waiter.id, outcome);
    }
    this.serve();
  }

  /** Tells a waiter what became of it. Within a write. */
  settle(id: number, outcome: NonNullable<Outcome>): void {
    const [state, result] = "granted" in outcome ? [GRANTED, outcome.granted] : [REFUSED, outcome.refused];
    this.#store.run("UPDATE waiters SET state = ?, result = ? WHERE id = ?", state, result, id);
    this.#store.afterCommit(() => wake(this.#store, id));
  }

  /** As {@link take}, for a wait that may not wait in line. */
  async #takeOrFail(ask: AskOptions): Promise<string> {
    const { signal } = ask;
    for (let isStale = false;;) {
      const limits = { timeoutMs: 0, ...(signal && { signal }) };
      const outcome = await this.#writeWhenFree(() => this.#ask(ask, isStale), limits);
      if (outcome !== undefined) return this.#result(outcome);
      isStale = this.#isStale();
      if (!isStale) throw this.#timeout(0);
    }
  }

  /** Waits in line until there is an outcome. */
  async #served(id: number, patience: Patience): Promise<NonNullable<Outcome>> {
    const { signal } = patience;
    using wakeup = new Wakeup(this.#store, id);
    // Who comes sweeps up, as one who does not wait does.
    while (this.#isStale()) await this.#writeWhenFree(() => this.#clear(), patience.limits());
    for (;;) {
      const outcome = await this.#collect(id, patience);
      if (outcome !== undefined) return outcome;
      signal?.throwIfAborted();
      const leftMs = patience.leftMs();
      if (leftMs <= 0) throw this.#timeout(patience.timeoutMs);
      // What is due already waits for who is before us, or was taken: it is no reason to hurry.
      const dueMs = this.#options.dueMs?.() || Infinity;
      if (!await wakeup.rest(Math.min(leftMs, dueMs), signal)) await this.#lookAhead(id, patience);
    }
  }

  /** Whether who is at the head is gone, or who holds something. */
  #isStale(): boolean {
    if (this.#options.isStale()) return true;
    const head = this.#head();
    return head !== undefined && !this.#store.owners.lives(head.owner);
  }

  /** Gives back what is held by who is gone, takes out who is at the head and gone, and serves the others. Within a write. */
  #clear(): void {
    this.#options.clear();
    this.serve();
  }

  #serveAll(): void {
    for (let head = this.#head(); head !== undefined; head = this.#head()) {
      if (!this.#store.owners.lives(head.owner)) {
        this.#store.owners.bury(head.owner);
        continue;
      }
      const outcome = this.#options.grant(head);
      if (outcome === undefined) return;
      this.settle(head.id, outcome);
    }
  }

  #ask({ request, payload, command }: AskOptions, isStale = false): Outcome {
    if (isStale) this.#clear();
    if (this.#head() !== undefined) return undefined;
    const owner = this.#store.owners.idOf();
    return this.#options.grant({ owner, request, payload: payload ?? null, command: command ?? null });
  }

  /** Grants the request at once if it can be met, else lines up. Within a write. */
  #lineUp(ask: AskOptions): { outcome: Outcome; id: number } {
    const outcome = this.#ask(ask);
    if (outcome !== undefined) return { outcome, id: 0 };
    const { line } = this.#options;
    const { request, payload = null, command = null } = ask;
    const { id } = this.#store.run(
      `INSERT INTO waiters (line, owner, request, state, payload, command, since) VALUES (?, ?, ?, 0, ?, ?, ?)`,
      ...[line, this.#store.owners.idOf(), request, payload, command, Date.now()],
    );
    return { outcome, id };
  }

  /** What became of a waiter, which is taken out; undefined if it waits still. */
  async #collect(id: number, patience: Patience): Promise<Outcome> {
    const row = this.#store.get<{ state: number }>("SELECT state FROM waiters WHERE id = ?", id);
    if (row?.state === WAITING) return undefined;
    return await this.#writeWhenFree(() => this.#takeOut(id), patience.limits());
  }

  /**
   * Takes a waiter out that gives up, and returns what it was granted if it was. Where that takes too long, it is done later.
   *
   * @throws Why it gives up.
   */
  async #leave(id: number, cause: unknown): Promise<NonNullable<Outcome>> {
    let late: Outcome;
    try {
      late = await this.#writeWhenFree(() => this.#takeOutAndServe(id), { timeoutMs: LEAVE_LIMIT_MS });
    } catch (error) {
      if (!(error instanceof HeldUpError)) throw error;
      void this.#leaveLater(id);
      throw cause instanceof TimeoutError ? error : cause;
    }
    if (late === undefined) throw cause;
    return late;
  }

  /** Takes a waiter out that is gone for its caller, and takes back what it was granted. */
  async #leaveLater(id: number): Promise<void> {
    try {
      await this.#writeWhenFree(() => {
        const outcome = this.#takeOutAndServe(id);
        if (outcome !== undefined && "granted" in outcome) this.#options.undo(outcome.granted);
      }, { timeoutMs: Infinity, persistent: false });
    } catch {
      // The store was closed, or cannot be written any more; whoever finds our process gone takes the waiter out.
    }
  }

  #takeOutAndServe(id: number): Outcome {
    const outcome = this.#takeOut(id);
    if (outcome === undefined) this.serve();
    return outcome;
  }

  #takeOut(id: number): Outcome {
    const row = this.#store.get<{ state: number; result: string }>(
      "SELECT state, result FROM waiters WHERE id = ?",
      id,
    );
    if (row === undefined) {
      throw new BrokenLeaseError("the place in the line was lost: its process was taken for dead");
    }
    this.#store.run("DELETE FROM waiters WHERE id = ?", id);
    if (row.state === WAITING) return undefined;
    return row.state === GRANTED ? { granted: row.result } : { refused: row.result };
  }

  /**
   * Sees whether who is before us lives, or, at the head, who holds what we wait for. What time alone has made ready is handed out by
   * whoever sees it: the head may be stopped.
   */
  async #lookAhead(id: number, patience: Patience): Promise<void> {
    const { owners } = this.#store;
    const before = this.#store.get<{ owner: number }>(
      "SELECT owner FROM waiters WHERE line = ? AND state = 0 AND id < ? ORDER BY id DESC LIMIT 1",
      this.#options.line,
      id,
    );
    if (before === undefined) {
      const isStale = this.#options.isStale();
      await this.#writeWhenFree(() => isStale ? this.#clear() : this.serve(), patience.limits());
    } else if (!owners.lives(before.owner)) {
      await this.#writeWhenFree(() => owners.bury(before.owner), patience.limits());
    } else if (this.#options.dueMs?.() === 0) {
      await this.#writeWhenFree(() => this.serve(), patience.limits());
    }
  }

  #head(): WaiterRow | undefined {
    return this.#store.get<WaiterRow>(
      "SELECT id, owner, request, payload, command FROM waiters WHERE line = ? AND state = 0 ORDER BY id LIMIT 1",
      this.#options.line,
    );
  }

  #waiting(): WaiterRow[] {
    return this.#store.all<WaiterRow>(
      "SELECT id, owner, request, payload, command FROM waiters WHERE line = ? AND state = 0 ORDER BY id",
      this.#options.line,
    );
  }

  #write<T>(change: () => T): T {
    return this.#store.write(change, { durable: this.#options.durable ?? false });
  }

  #writeWhenFree<T>(change: () => T, limits: PatientWriteOptions): Promise<T> {
    return this.#store.writeWhenFree(change, { durable: this.#options.durable ?? false, ...limits });
  }

  #result(outcome: NonNullable<Outcome>): string {
    if ("granted" in outcome) return outcome.granted;
    throw this.#options.refusal(outcome.refused);
  }

  #timeout(timeoutMs: number): TimeoutError {
    return new TimeoutError(
      `waited ${timeoutMs} ms for ${this.#options.what}: allow more time, or let it go earlier`,
    );
  }
}

/** When a wait ends that is not over. */
class Patience {
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  readonly #endMs: number;

  constructor({ signal, timeoutMs = Infinity }: WaitOptions) {
    this.signal = signal;
    this.timeoutMs = timeoutMs;
    this.#endMs = performance.now() + timeoutMs;
  }

  /** Milliseconds that are left; 0 or less if the time has run out. */
  leftMs(): number {
    return this.#endMs - performance.now();
  }

  /** How long a write may wait until it begins; what is late tries once more. */
  limits(): WaitOptions {
    return { timeoutMs: Math.max(1, this.leftMs()), ...(this.signal && { signal: this.signal }) };
  }
}
