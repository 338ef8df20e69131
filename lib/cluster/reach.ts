/**
 * Everything that has a name at one broker.
 *
 * @module
 */

import { abortable } from "@std/async/abortable";
import type {
  Consumer,
  ConsumerOptions,
  NamedEvent,
  NamedEventStatus,
  NamedLock,
  NamedQueue,
  NamedQueueOptions,
  NamedQueueStatus,
  NamedSemaphore,
  Reach,
  WhenFreeOptions,
} from "../named.ts";
import type { Awaitable, WaitOptions } from "../primitives.ts";
import { follow } from "../abort.ts";
import { deadline } from "../time/deadline.ts";
import { Timer } from "../time/timer.ts";
import type { ClusterStore } from "./store.ts";
import { timedOut } from "./wait.ts";

/** How long a wait for nothing waits for the broker's answer. */
const MOMENT_MS = 1_000;
/** How long what was told to end has to say how it ended. */
const LAST_WORDS_MS = 400;
/** How long what should not be lost may take once the program is to end. */
const LAST_MS = 5_000;

/** The cluster reach. What a primitive is made of is loaded when it is asked for. */
export class ClusterReach implements Reach {
  readonly #store: ClusterStore;

  constructor(store: ClusterStore) {
    this.#store = store;
  }

  async lock(name: string): Promise<NamedLock> {
    const { ClusterLock } = await import("./lock.ts");
    return ClusterLock.named(this.#store, name);
  }

  async lockNames(): Promise<string[]> {
    const { ClusterLock } = await import("./lock.ts");
    return await ClusterLock.names(this.#store);
  }

  async semaphore(
    name: string,
    options: WaitOptions & { permits?: number } = {},
  ): Promise<NamedSemaphore> {
    const { ClusterSemaphore } = await import("./semaphore.ts");
    return await ClusterSemaphore.open(this.#store, name, options);
  }

  async semaphoreNames(): Promise<string[]> {
    const { ClusterSemaphore } = await import("./semaphore.ts");
    return await ClusterSemaphore.names(this.#store);
  }

  async event(name: string): Promise<NamedEvent> {
    const { ClusterEvent } = await import("./event.ts");
    return new ClusterEvent(this.#store, name);
  }

  async events(): Promise<NamedEventStatus[]> {
    const { ClusterEvent } = await import("./event.ts");
    return await ClusterEvent.list(this.#store);
  }

  async queue(name: string, options: NamedQueueOptions = {}): Promise<NamedQueue> {
    const { ClusterQueue } = await import("./queue.ts");
    return await ClusterQueue.open(this.#store, name, options);
  }

  async hasQueue(name: string): Promise<boolean> {
    const { ClusterQueue } = await import("./queue.ts");
    return await ClusterQueue.exists(this.#store, name);
  }

  async queues(): Promise<NamedQueueStatus[]> {
    const { ClusterQueue } = await import("./queue.ts");
    return await ClusterQueue.list(this.#store);
  }

  async consumer(name: string, options: ConsumerOptions = {}): Promise<Consumer> {
    const { ClusterConsumer } = await import("./consumer.ts");
    return await ClusterConsumer.open(this.#store, name, options);
  }

  /** Nobody but the broker is in the way: begins at once. An action that is given up may be done all the same. */
  async whenFree<T>(
    action: (signal: AbortSignal) => Awaitable<T>,
    { signal, timeoutMs = Infinity }: WhenFreeOptions = {},
  ): Promise<T> {
    const limitMs = timeoutMs || MOMENT_MS;
    const end = new AbortController();
    const unfollow = follow(end, [signal]);
    using _timer = limitMs === Infinity
      ? undefined
      : new Timer(limitMs, () => end.abort(timedOut(limitMs, this.#store)));
    try {
      end.signal.throwIfAborted();
      const done = Promise.try(action, end.signal);
      // Who heeds the signal knows best how it ended, and is heard first.
      const late = Promise.withResolvers<never>();
      const giveUp = () => setTimeout(() => late.reject(end.signal.reason), LAST_WORDS_MS);
      end.signal.addEventListener("abort", giveUp, { once: true });
      return await Promise.race([done, late.promise]);
    } finally {
      unfollow();
    }
  }

  async beforeEnd<T>(action: () => Awaitable<T>, { signal }: { signal: AbortSignal }): Promise<T> {
    const done = Promise.try(action);
    try {
      return await abortable(done, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    return await deadline(() => done, LAST_MS);
  }

  /** Closes the connection, within 1 s, once what was said last is sent. What is held goes back. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#store.close();
  }
}
