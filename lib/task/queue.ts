/**
 * A queue between the async tasks of one event loop.
 *
 * @module
 */

import { BinaryHeap } from "@std/data-structures/binary-heap";
import { Deque } from "@std/data-structures/deque";
import { ClosedError, NotHeldError } from "../errors.ts";
import type {
  PutOptions,
  Queue,
  QueueKind,
  QueueStatistics,
  TryGetResult,
  TryPutResult,
  WaitOptions,
} from "../primitives.ts";
import { checkCount } from "./check.ts";
import { untilClosed } from "./until_closed.ts";
import { NOT_NOW, WaitingList } from "./waiters.ts";

/** Options of {@link TaskQueue}. */
export interface TaskQueueOptions {
  /** In which order items come out. Default `fifo`. */
  kind?: QueueKind;
  /** How many items it takes before put waits. Default: no limit. */
  maxSize?: number;
}

interface PutRequest<T> {
  item: T;
  priority: number;
}

/** Holds items, and knows which is next. */
interface Store<T> {
  readonly length: number;
  push(item: T, priority: number): void;
  /** Takes the next item out. There must be one. */
  pop(): T;
}

const DONE = Promise.resolve();

/**
 * Hands items from producers to consumers: first in first out, last in first out, or the smallest priority number first.
 *
 * Invariants: every item that was put is gotten exactly once or still inside, and never more than `maxSize` are inside. Nobody waits
 * to get while there is an item, or to put while there is room.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new TaskQueue<string>({ maxSize: 2 });
 * async function produce() {
 *   for (const item of ["a", "b", "c", "d"]) await queue.put(item);
 *   queue.close();
 * }
 * const produced = produce();
 * const seen: string[] = [];
 * for await (const item of queue) seen.push(item);
 * await produced;
 * assertEquals(seen, ["a", "b", "c", "d"]);
 * ```
 */
export class TaskQueue<T> implements Queue<T> {
  readonly #maxSize: number;
  readonly #store: Store<T>;
  /** How many items were gotten and not reported yet. */
  #taken = 0;
  #closed = false;

  readonly #putters = new WaitingList<PutRequest<T>, void>({
    what: "room in a queue",
    grant: ({ item, priority }) => this.#hasRoom() ? this.#store.push(item, priority) : NOT_NOW,
  });

  readonly #getters = new WaitingList<void, T>({
    what: "an item of a queue",
    grant: () => this.#store.length > 0 ? this.#remove() : NOT_NOW,
  });

  readonly #joiners = new WaitingList<void, void>({
    what: "the items of a queue to be done",
    grant: () => this.#unfinished === 0 ? undefined : NOT_NOW,
  });

  /**
   * @param options The order of the items, and how many the queue takes.
   * @throws {RangeError} If `maxSize` is neither a whole number above 0 nor Infinity.
   */
  constructor({ kind = "fifo", maxSize = Infinity }: TaskQueueOptions = {}) {
    if (maxSize !== Infinity) checkCount("make a queue", { name: "maxSize", value: maxSize });
    this.#maxSize = maxSize;
    this.#store = makeStore(kind);
  }

  /**
   * Puts an item, waiting while the queue is full.
   *
   * Cancel safety: if the wait is cancelled, the item is not put. An abort in the same turn as the item gets its place loses.
   *
   * @param item What to put.
   * @param options When to give up (default: never), and the priority (default: 0).
   * @throws {ClosedError} If the queue is closed, now or while we wait.
   * @throws {RangeError} If `priority` is NaN, or `timeoutMs` is negative or NaN.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  put(item: T, options?: PutOptions): Promise<void> {
    // The short way makes nothing: all who put without waiting share one promise.
    if (options === undefined && this.#hasRoom()) {
      this.#store.push(item, 0);
      this.#getters.serve();
      return DONE;
    }
    const priority = options?.priority ?? 0;
    if (Number.isNaN(priority)) return Promise.reject(badPriority());
    const put = this.#putters.wait({ item, priority }, options);
    this.#getters.serve();
    return put;
  }

  /**
   * Puts an item if there is room and nobody waits to put.
   *
   * @param item What to put.
   * @param options The priority. Default: 0.
   * @throws {RangeError} If `priority` is NaN.
   */
  tryPut(item: T, { priority = 0 }: { priority?: number } = {}): TryPutResult {
    if (Number.isNaN(priority)) throw badPriority();
    if (this.#closed) return { state: "closed" };
    if (!this.#hasRoom()) return { state: "full" };
    this.#store.push(item, priority);
    this.#getters.serve();
    return { state: "ok" };
  }

  /**
   * Takes the next item, waiting while there is none.
   *
   * Cancel safety: if the wait is cancelled, no item is taken. An abort in the same turn as the item is handed over loses.
   *
   * @param options When to give up. Default: never.
   * @throws {ClosedError} If the queue is closed and empty, now or while we wait.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  get(options?: WaitOptions): Promise<T> {
    // The short way: nobody waits to get while there is an item.
    if (options === undefined && this.#store.length > 0) return this.#getNow();
    const got = this.#getters.wait(undefined, options);
    this.#putters.serve();
    return got;
  }

  /** Takes the next item if there is one and nobody waits to get. */
  tryGet(): TryGetResult<T> {
    if (this.#store.length === 0) return { state: this.#closed ? "closed" : "empty" };
    const item = this.#remove();
    this.#putters.serve();
    return { state: "ok", item };
  }

  /**
   * Reports that one gotten item was dealt with.
   *
   * @throws {NotHeldError} If every gotten item was reported already.
   */
  taskDone(): void {
    if (this.#taken === 0) {
      throw new NotHeldError(
        "cannot report an item as it must have been gotten: all that were gotten are reported",
      );
    }
    this.#taken -= 1;
    this.#joiners.serve();
  }

  /**
   * Waits until every item that was put was reported by `taskDone`.
   *
   * Cancel safety: changes nothing.
   *
   * @param options When to give up. Default: never.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  join(options?: WaitOptions): Promise<void> {
    return this.#joiners.wait(undefined, options);
  }

  /** No more puts, waiting ones included: they reject with `ClosedError`. Gets go on until it is empty. */
  close(): void {
    this.#closed = true;
    this.#putters.close(() => new ClosedError("cannot put as the queue must be open: it was closed"));
    // Who waits to get waits because there is nothing inside, and nothing will come.
    this.#getters.close(() =>
      new ClosedError("cannot get as the queue is empty and was closed: no item will come")
    );
  }

  /** Takes out and returns all that is inside, in the order `get` would; they count as dealt with. */
  drain(): T[] {
    const items: T[] = [];
    while (this.#store.length > 0) items.push(this.#store.pop());
    this.#putters.serve();
    this.#joiners.serve();
    return items;
  }

  /** Sizes and waiters, at this moment. */
  statistics(): QueueStatistics {
    return {
      size: this.#store.length,
      maxSize: this.#maxSize,
      unfinished: this.#unfinished,
      waitingToPut: this.#putters.length,
      waitingToGet: this.#getters.length,
      closed: this.#closed,
    };
  }

  /** Gets items until the queue is closed and empty. An item counts as gotten: report it with `taskDone` if somebody joins. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    return untilClosed(() => this.get());
  }

  get #unfinished(): number {
    return this.#store.length + this.#taken;
  }

  // As an async function this is measurably faster than Promise.resolve.
  // deno-lint-ignore require-await
  async #getNow(): Promise<T> {
    const item = this.#remove();
    this.#putters.serve();
    return item;
  }

  /** Then nobody waits to put. */
  #hasRoom(): boolean {
    return this.#store.length < this.#maxSize && !this.#closed;
  }

  #remove(): T {
    this.#taken += 1;
    return this.#store.pop();
  }
}

function badPriority(): RangeError {
  return new RangeError("cannot put as 'priority' must be a number: received NaN");
}

function makeStore<T>(kind: QueueKind): Store<T> {
  switch (kind) {
    case "fifo":
      return new FifoStore();
    case "lifo":
      return new LifoStore();
    case "priority":
      return new PriorityStore();
    default:
      throw new RangeError(`cannot make a queue as 'kind' must be fifo, lifo or priority: received ${kind}`);
  }
}

class FifoStore<T> implements Store<T> {
  readonly #items = new Deque<T>();

  get length(): number {
    return this.#items.length;
  }

  push(item: T): void {
    this.#items.pushBack(item);
  }

  pop(): T {
    return this.#items.popFront() as T;
  }
}

class LifoStore<T> implements Store<T> {
  readonly #items: T[] = [];

  get length(): number {
    return this.#items.length;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  pop(): T {
    return this.#items.pop() as T;
  }
}

interface Ranked<T> {
  item: T;
  priority: number;
  /** How many were put before it: equals come out in that order. */
  order: number;
}

class PriorityStore<T> implements Store<T> {
  readonly #items = new BinaryHeap<Ranked<T>>((a, b) => compare(a.priority, b.priority) || a.order - b.order);
  #order = 0;

  get length(): number {
    return this.#items.length;
  }

  push(item: T, priority: number): void {
    this.#items.push({ item, priority, order: this.#order });
    this.#order += 1;
  }

  pop(): T {
    return this.#items.pop()!.item;
  }
}

/** By comparison, as the difference of two infinities is no number. */
function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
