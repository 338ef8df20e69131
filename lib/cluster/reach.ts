/**
 * Everything that has a name at one broker.
 *
 * @module
 */

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
    const [{ ClusterQueue }, { ClusterConsumer }] = await Promise.all([
      import("./queue.ts"),
      import("./consumer.ts"),
    ]);
    return new ClusterConsumer(await ClusterQueue.open(this.#store, name), options);
  }

  /** Closes the connection, within 2 s, once what was said last is sent. What is held goes back. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#store.close();
  }
}
