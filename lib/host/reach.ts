/**
 * Everything that has a name in one store of this machine.
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
  WhenFreeOptions,
} from "../named.ts";
import type { Awaitable, WaitOptions } from "../primitives.ts";
import type { HostQueue } from "./queue.ts";
import type { Store } from "./store.ts";

/** The host reach. What a primitive is made of is loaded when it is asked for. */
export class HostReach implements Reach {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async lock(name: string): Promise<NamedLock> {
    const { HostLock } = await import("./lock.ts");
    return new HostLock(this.#store, name);
  }

  async lockNames(): Promise<string[]> {
    const { HostLock } = await import("./lock.ts");
    return HostLock.names(this.#store);
  }

  async semaphore(name: string, options: WaitOptions & { permits?: number } = {}): Promise<NamedSemaphore> {
    const { HostSemaphore } = await import("./semaphore.ts");
    return await this.whenFree(() => new HostSemaphore(this.#store, name, options), limitsOf(options));
  }

  async semaphoreNames(): Promise<string[]> {
    const { HostSemaphore } = await import("./semaphore.ts");
    return HostSemaphore.names(this.#store);
  }

  async event(name: string): Promise<NamedEvent> {
    const { HostEvent } = await import("./event.ts");
    return new HostEvent(this.#store, name);
  }

  async events(): Promise<NamedEventStatus[]> {
    const { HostEvent } = await import("./event.ts");
    return HostEvent.list(this.#store);
  }

  queue(name: string, options: NamedQueueOptions = {}): Promise<NamedQueue> {
    return this.#queue(name, options);
  }

  async hasQueue(name: string): Promise<boolean> {
    const { HostQueue } = await import("./queue.ts");
    return HostQueue.exists(this.#store, name);
  }

  async queues(): Promise<NamedQueueStatus[]> {
    const { HostQueue } = await import("./queue.ts");
    return HostQueue.list(this.#store);
  }

  async consumer(name: string, options: ConsumerOptions = {}): Promise<Consumer> {
    const { signal } = options;
    const [{ HostConsumer }, queue] = await Promise.all([
      import("./consumer.ts"),
      this.#queue(name, { timeoutMs: Infinity, ...(signal && { signal }) }),
    ]);
    return new HostConsumer(this.#store, queue, options);
  }

  async whenFree<T>(action: () => Awaitable<T>, options: WhenFreeOptions = {}): Promise<T> {
    return await this.#store.writeWhenFree(action, options);
  }

  async beforeEnd<T>(action: () => Awaitable<T>, options: { signal: AbortSignal }): Promise<T> {
    return await this.#store.writeBeforeEnd(action, options);
  }

  /** Leaves the store open: to close the last connection takes as long as a sync of the disk, and a program that ends need not. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  async #queue(name: string, options: NamedQueueOptions): Promise<HostQueue> {
    const { HostQueue } = await import("./queue.ts");
    const open = () => new HostQueue(this.#store, name, options);
    // What is there need not be made.
    return HostQueue.exists(this.#store, name) ? open() : await this.whenFree(open, limitsOf(options));
  }
}

function limitsOf({ signal, timeoutMs }: WaitOptions): WaitOptions {
  return { ...(signal && { signal }), ...(timeoutMs !== undefined && { timeoutMs }) };
}
