/**
 * Receiving items to work on, and settling them: what a worker of a queue does beside the work.
 *
 * @module
 */

import { EitherSignal } from "../abort.ts";
import { ClosedError, NotHeldError } from "../errors.ts";
import type { Consumer, ConsumerOptions, Delivery, GiveBackOptions, Received } from "../named.ts";
import { guardVariables } from "../process/guarded.ts";
import type { HostQueue, ReceiveOptions } from "./queue.ts";
import type { Store } from "./store.ts";

/** How often a lease is extended before it would end. */
const BEATS_PER_LEASE = 3;

/**
 * Receives items one by one. What was settled is written together with the next item that is received, or at the end of the turn of the
 * event loop: one transaction an item.
 *
 * Invariants: an item that was returned by {@link next} is settled, or lost, or held; who settles it does so once. Items that are held
 * are given back by the store when this process dies.
 */
export class HostConsumer implements Consumer {
  /** Told of an item that was taken away, as its lease has ended: who works on it is to stop. */
  onLost: (token: string) => void = () => {};
  readonly #store: Store;
  readonly #queue: HostQueue;
  readonly #terms: ReceiveOptions;
  readonly #options: ConsumerOptions;
  readonly #end = new AbortController();
  readonly #disposed = new AbortController();
  readonly #either: EitherSignal;
  readonly #held = new Set<string>();
  readonly #beat: ReturnType<typeof setInterval> | undefined;
  #settled: { token: string; write: () => void }[] = [];
  #isExtending = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #turn: Promise<void> = Promise.resolve();
  #joined: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;

  constructor(store: Store, queue: HostQueue, options: ConsumerOptions = {}) {
    const { leaseMs, command, signal } = options;
    this.#store = store;
    this.#queue = queue;
    this.#options = options;
    this.#terms = {
      guarded: true,
      ...(leaseMs !== undefined && { leaseMs }),
      ...(command !== undefined && { command }),
    };
    this.#either = new EitherSignal(this.#end.signal, signal);
    if (leaseMs !== undefined) {
      this.#beat = setInterval(() => void this.#extend(leaseMs), leaseMs / BEATS_PER_LEASE);
    }
  }

  /**
   * The next item, waiting while there is none; undefined when none will come.
   *
   * Cancel safety: once the signal is aborted no item is received, and this resolves with undefined.
   *
   * @throws {SystemError} If the store cannot be used.
   */
  async next(): Promise<Received | undefined> {
    // Of those that wait, one stands in the line of the queue for all.
    const { promise: turn, resolve: pass } = Promise.withResolvers<void>();
    try {
      if (this.#either.signal.aborted) return undefined;
      const limits = { signal: this.#either.signal, timeoutMs: Infinity };
      const ready = await this.#store.writeWhenFree(() => {
        this.#flush();
        return this.#tryReceive();
      }, limits);
      if (ready === "closed") return undefined;
      if (ready !== undefined) return this.#hold(ready);
      if (this.#options.untilEmpty) this.#joined ??= this.#join();
      const before = this.#turn;
      this.#turn = turn;
      await before;
      return this.#hold(await this.#queue.receive({ ...this.#terms, signal: this.#either.signal }));
    } catch (error) {
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#either.signal.aborted || error instanceof ClosedError) return undefined;
      throw error;
    } finally {
      pass();
    }
  }

  /** Says that an item is dealt with: it leaves the queue. */
  done(token: string): void {
    this.#settle(token, () => this.#queue.ack(token));
  }

  /** Gives an item back, or makes it a dead letter. */
  giveBack(token: string, options: GiveBackOptions): void {
    this.#settle(token, () => this.#queue.giveBack(token, options));
  }

  /**
   * Ends it: what was settled is written, and no item is received any more. Items that are held stay held.
   *
   * @throws {SystemError} If the store cannot be used.
   * @throws The reason of the signal, if another process kept the store from being written for 5 s after it was aborted: what was settled
   * last is received again, once this process has ended.
   */
  async close(): Promise<void> {
    this.#stop();
    await this.#store.writeBeforeEnd(() => this.#flush(), { signal: this.#options.signal });
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  [Symbol.dispose](): void {
    this.#stop();
    this.#disposed.abort();
  }

  #stop(): void {
    clearInterval(this.#beat);
    clearTimeout(this.#timer);
    this.#end.abort();
    this.#either[Symbol.dispose]();
  }

  /** Does not throw for a queue that is closed: what was settled in the same transaction stays. */
  #tryReceive(): Delivery<Uint8Array> | undefined | "closed" {
    try {
      return this.#queue.tryReceive(this.#terms);
    } catch (error) {
      if (error instanceof ClosedError) return "closed";
      throw error;
    }
  }

  #hold({ item, token, attempts }: Delivery<Uint8Array>): Received {
    this.#held.add(token);
    return { item, token, attempts, env: guardVariables(token) };
  }

  #settle(token: string, write: () => void): void {
    this.#held.delete(token);
    this.#settled.push({ token, write });
    this.#timer ??= setTimeout(() => void this.#guarded(() => this.#flush()), 0);
  }

  /** Writes what was settled. Within a write. */
  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { token, write } of this.#settled.splice(0)) this.#unlessLost(token, write);
  }

  async #extend(leaseMs: number): Promise<void> {
    if (this.#held.size === 0 || this.#isExtending) return;
    this.#isExtending = true;
    await this.#guarded(() => {
      for (const token of this.#held) this.#unlessLost(token, () => this.#queue.extend(token, leaseMs));
    });
    this.#isExtending = false;
  }

  #unlessLost(token: string, write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!(error instanceof NotHeldError)) throw error;
      this.#held.delete(token);
      this.#store.afterCommit(() => this.onLost(token));
    }
  }

  /** Writes where nobody waits for it. What fails is told to who waits next. */
  async #guarded(change: () => void): Promise<void> {
    const { signal } = this.#disposed;
    try {
      await this.#store.writeWhenFree(change, { signal, timeoutMs: Infinity });
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#end.abort();
  }

  async #join(): Promise<void> {
    try {
      await this.#queue.join({ signal: this.#either.signal });
      this.#end.abort();
    } catch (error) {
      if (error instanceof ClosedError) this.#end.abort();
      else if (!this.#either.signal.aborted) this.#fail(error);
    }
  }
}
