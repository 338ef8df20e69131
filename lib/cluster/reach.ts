/**
 * Everything that has a name at one broker.
 *
 * @module
 */

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
} from "../named.ts";
import type { ClusterStore } from "./store.ts";

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

  /** Closes the connection, within 2 s, once what was said last is sent. What is held goes back. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#store.close();
  }
}

function noQueues(action: string): UsageError {
  return new UsageError(`cannot ${action} at a broker: name a file with --store or CONC_STORE`);
}
