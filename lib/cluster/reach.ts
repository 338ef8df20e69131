/**
 * Everything that has a name at one broker.
 *
 * @module
 */

import { abortable } from "@std/async/abortable";
import { UsageError } from "../errors.ts";
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
import type { Awaitable } from "../primitives.ts";
import { deadline } from "../time/deadline.ts";
import type { ClusterStore } from "./store.ts";

/** How long a wait for nothing waits for the broker's answer. */
const MOMENT_MS = 1_000;
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
    return await ClusterLock.open(this.#store, name);
  }

  async lockNames(): Promise<string[]> {
    const { ClusterLock } = await import("./lock.ts");
    return await ClusterLock.names(this.#store);
  }

  async semaphore(name: string, options: { permits?: number } = {}): Promise<NamedSemaphore> {
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

  queue(name: string, _options: NamedQueueOptions = {}): Promise<NamedQueue> {
    return Promise.reject(noQueues(`use the queue '${name}'`));
  }

  hasQueue(name: string): Promise<boolean> {
    return Promise.reject(noQueues(`use the queue '${name}'`));
  }

  queues(): Promise<NamedQueueStatus[]> {
    return Promise.reject(noQueues("list queues"));
  }

  consumer(name: string, _options: ConsumerOptions = {}): Promise<Consumer> {
    return Promise.reject(noQueues(`use the queue '${name}'`));
  }

  /** Nobody but the broker is in the way: begins at once. An action that is given up may be done all the same. */
  whenFree<T>(
    action: () => Awaitable<T>,
    { signal, timeoutMs = Infinity }: WhenFreeOptions = {},
  ): Promise<T> {
    return deadline(async () => await action(), timeoutMs || MOMENT_MS, signal && { signal });
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

  /** Closes the connection, within 2 s, once what was said last is sent. What is held goes back. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#store.close();
  }
}

function noQueues(action: string): UsageError {
  return new UsageError(`cannot ${action} at a broker: name a file with --store or CONC_STORE`);
}
