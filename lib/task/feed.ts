/**
 * Feeds inputs to a pool as their results are taken: what is behind `TaskPool.map`.
 *
 * @module
 */

import { ClosedError } from "../errors.ts";
import type { Lease } from "../primitives.ts";
import { TaskQueue } from "./queue.ts";
import { TaskSemaphore } from "./semaphore.ts";

/** Options of {@link Feed}. */
export interface FeedOptions<I, O> {
  source: Iterable<I> | AsyncIterable<I>;
  /** Runs the function for an input. */
  start: (input: I) => Promise<O>;
  /** Whether results come in the order of the inputs. */
  ordered: boolean;
  /** How many inputs are pulled before their results are taken. */
  ahead: number;
  /** Ends it. */
  signal: AbortSignal;
}

/** A result, or one to be: a promise in an object, as a queue of promises would wait for them. */
interface Entry<O> {
  outcome: Promise<O>;
  /** The place that is free again once the result is taken. */
  place: Lease | undefined;
}

/** Invariant: the inputs that were pulled and whose results were not taken yet hold one place each, of `ahead`. */
export class Feed<I, O> {
  readonly #options: FeedOptions<I, O>;
  readonly #places: TaskSemaphore;
  readonly #results = new TaskQueue<Entry<O>>();
  readonly #running = new Set<Promise<void>>();
  #feeding: Promise<void> | undefined;
  /** Whether the source is being waited for, which nothing can end. */
  #isPulling = false;

  constructor(options: FeedOptions<I, O>) {
    this.#options = options;
    this.#places = new TaskSemaphore(options.ahead);
  }

  /** Starts, and yields the results. */
  async *results(): AsyncGenerator<O, void, undefined> {
    this.#feeding = this.#feed();
    while (true) {
      const entry = await this.#next();
      if (entry === undefined) return;
      const value = await entry.outcome;
      entry.place?.release();
      yield value;
    }
  }

  /** Resolves when nothing runs any more, after the signal was aborted. */
  async ended(): Promise<void> {
    if (!this.#isPulling) await this.#feeding;
    await Promise.all(this.#running);
  }

  /** The next result, or undefined if there are no more. What is there already costs no listener on the signal. */
  async #next(): Promise<Entry<O> | undefined> {
    const { signal } = this.#options;
    signal.throwIfAborted();
    const result = this.#results.tryGet();
    if (result.state === "ok") return result.item;
    try {
      return await this.#results.get({ signal });
    } catch (error) {
      if (error instanceof ClosedError && !signal.aborted) return undefined;
      throw error;
    }
  }

  async #feed(): Promise<void> {
    const { source, signal } = this.#options;
    const nextPlace = () => this.#places.tryAcquire() ?? this.#places.acquire({ signal });
    try {
      let place = await nextPlace();
      this.#isPulling = true;
      for await (const input of source) {
        this.#isPulling = false;
        signal.throwIfAborted();
        this.#start(input, place);
        place = await nextPlace();
        this.#isPulling = true;
      }
    } catch (error) {
      this.#yield({ outcome: Promise.reject(error), place: undefined });
    }
    this.#isPulling = false;
    await Promise.all(this.#running);
    this.#results.close();
  }

  #start(input: I, place: Lease): void {
    const { start, ordered } = this.#options;
    const entry = { outcome: start(input), place };
    if (ordered) this.#yield(entry);
    const end = () => {
      this.#running.delete(running);
      if (!ordered) this.#yield(entry);
    };
    const running = entry.outcome.then(end, end);
    this.#running.add(running);
  }

  #yield(entry: Entry<O>): void {
    // Whoever takes it sees the error. If nobody does, the iteration ended early for another reason.
    entry.outcome.catch(() => {});
    this.#results.tryPut(entry);
  }
}
