/**
 * A queue between the Workers of one process, the main thread included.
 *
 * @module
 */

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
import { checkCount } from "../task/check.ts";
import { untilClosed } from "../task/until_closed.ts";
import { Arena, ARENA_WORDS, makeArena } from "./arena.ts";
import { decode, encode } from "./codec.ts";
import { type Breakable, checkedHandle, type ThreadHandle } from "./handle.ts";
import { Heap, HEAP_WORDS, makeHeap } from "./heap.ts";
import { LINE, makeMemory, Monitor, OWN, REQUEST, RESULT, STATE, State } from "./monitor.ts";
import { LINE_WORDS, WaitingLine } from "./waiting_line.ts";

const PUTTERS = OWN;
const GETTERS = PUTTERS + LINE_WORDS;
const JOINERS = GETTERS + LINE_WORDS;
const ARENA = JOINERS + LINE_WORDS;
const HEAP = ARENA + ARENA_WORDS;
const KIND = HEAP + HEAP_WORDS;
/** 0 if there is no limit. */
const MAX_SIZE = KIND + 1;
const TAKEN = MAX_SIZE + 1;
const CLOSED = TAKEN + 1;

/** The numbers of a block that keeps an item: where it comes in the heap. */
const PRIORITY = 1;
const ORDER = 2;
/** Where among the numbers of the arena, which has no block 0, the items are counted that were put so far. */
const COUNT = 0;

const KINDS: readonly QueueKind[] = ["fifo", "lifo", "priority"];
const DEFAULT_MAX_BYTES = 2 ** 28;

/** Options of {@link ThreadQueue}. */
export interface ThreadQueueOptions {
  /** The order of the items. Default `fifo`. */
  kind?: QueueKind;
  /** How many items it takes before put waits. Default: no limit. */
  maxSize?: number;
  /** How many bytes its items may take, with those that wait to be put. Default 256 MiB; untouched memory costs nothing. */
  maxBytes?: number;
  /** How many may wait at once, in all threads. Default 4096. */
  capacity?: number;
  /** That of a queue in another thread, to be the same one; see {@link ThreadQueue.attach}. */
  handle?: ThreadHandle<"queue">;
}

/**
 * Hands items from producers to consumers, whichever threads they are in. Items are copied, as a message would be.
 *
 * Invariants: every item that was put is gotten exactly once or still inside, and never more than `maxSize` are inside. Who waits to
 * put has its item in shared memory already: whoever makes room puts it inside, in the order of the line.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new ThreadQueue<{ name: string }>({ kind: "priority" });
 * await queue.put({ name: "later" }, { priority: 10 });
 * await queue.put({ name: "sooner" }, { priority: -3 });
 * const elsewhere = ThreadQueue.attach<{ name: string }>(queue.handle);
 * assertEquals(await elsewhere.get(), { name: "sooner" });
 * ```
 */
export class ThreadQueue<T> implements Queue<T>, Breakable {
  /** What to post to another thread. */
  readonly handle: ThreadHandle<"queue">;
  readonly #monitor: Monitor;
  readonly #words: Int32Array;
  readonly #items: Arena;
  readonly #heap: Heap;
  readonly #putters: WaitingLine;
  readonly #getters: WaitingLine;
  readonly #joiners: WaitingLine;

  /**
   * @param options The order of the items, and how many the queue takes.
   * @throws {RangeError} If `maxSize` is neither a whole number above 0 nor Infinity, `kind` is none, or `maxBytes` or `capacity` is no
   *   whole number above 0.
   */
  constructor({ handle, ...options }: ThreadQueueOptions = {}) {
    this.handle = handle ?? makeHandle(options);
    const [buffer, arena, heap] = this.handle.buffers;
    const monitor = this.#monitor = new Monitor(buffer!);
    const words = this.#words = monitor.words;
    this.#items = new Arena({ words, at: ARENA, buffer: arena! });
    this.#heap = new Heap({ words, at: HEAP, buffer: heap!, numbers: this.#items.numbers });
    this.#putters = new WaitingLine(monitor, {
      at: PUTTERS,
      what: "room in a queue",
      grant: (slot) => this.#admit(slot),
      refusal: () => new ClosedError("cannot put as the queue must be open: it was closed"),
      drop: (block) => this.#items.give(block),
    });
    this.#getters = new WaitingLine(monitor, {
      at: GETTERS,
      what: "an item of a queue",
      grant: (slot) => this.#hand(slot),
      refusal: () => new ClosedError("cannot get as the queue is empty and was closed: no item will come"),
    });
    this.#joiners = new WaitingLine(monitor, {
      at: JOINERS,
      what: "the items of a queue to be done",
      grant: () => this.#unfinished === 0 ? State.GRANTED : State.WAITING,
    });
  }

  /**
   * The queue of another thread.
   *
   * @param handle That queue's {@link ThreadQueue.handle}, as it was posted.
   * @throws {TypeError} If it is no queue's.
   */
  static attach<T>(handle: ThreadHandle<"queue">): ThreadQueue<T> {
    return new ThreadQueue<T>({ handle: checkedHandle(handle, "queue") });
  }

  /**
   * Puts an item, waiting while the queue is full, without blocking the thread.
   *
   * Cancel safety: if the wait is cancelled, the item is not put. An abort in the same turn as the item gets its place loses.
   *
   * @param item What to put.
   * @param options When to give up (default: never), and the priority (default: 0).
   * @throws {ClosedError} If the queue is closed, now or while we wait.
   * @throws {DOMException} `DataCloneError`, if the item cannot be cloned.
   * @throws {RangeError} If `priority` is NaN, or `timeoutMs` is negative or NaN.
   * @throws {SystemError} If there is no room for its bytes, or as many as `capacity` wait already.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async put(item: T, options: PutOptions = {}): Promise<void> {
    const slot = await this.#putters.wait(this.#request(item, options), options);
    this.#monitor.inside(() => this.#monitor.giveSlot(slot));
  }

  /**
   * The same asleep: for Workers, whose other tasks stand still meanwhile.
   *
   * @param item What to put.
   * @param options When to give up (default: never), and the priority (default: 0).
   * @throws As {@link ThreadQueue.put}.
   */
  putSync(item: T, options: Omit<PutOptions, "signal"> = {}): void {
    const slot = this.#putters.waitSync(this.#request(item, options), options.timeoutMs);
    this.#monitor.inside(() => this.#monitor.giveSlot(slot));
  }

  /**
   * Puts an item if there is room and nobody waits to put.
   *
   * @param item What to put.
   * @param options The priority. Default: 0.
   * @throws {DOMException} `DataCloneError`, if the item cannot be cloned.
   * @throws {RangeError} If `priority` is NaN.
   * @throws {SystemError} If there is no room for its bytes.
   */
  tryPut(item: T, options: { priority?: number } = {}): TryPutResult {
    const request = this.#request(item, options);
    return this.#monitor.inside(() => {
      if (this.#words[CLOSED] === 1) return { state: "closed" };
      if (!this.#hasRoom) return { state: "full" };
      this.#insert(request());
      return { state: "ok" };
    });
  }

  /**
   * Takes the next item, waiting while there is none, without blocking the thread.
   *
   * Cancel safety: if the wait is cancelled, no item is taken. An abort in the same turn as the item is handed over loses.
   *
   * @param options When to give up. Default: never.
   * @throws {ClosedError} If the queue is closed and empty, now or while we wait.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If as many as `capacity` wait already.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async get(options?: WaitOptions): Promise<T> {
    return this.#receive(await this.#getters.wait(0, options));
  }

  /**
   * The same asleep: for Workers, whose other tasks stand still meanwhile.
   *
   * @param options When to give up. Default: never.
   * @throws As {@link ThreadQueue.get}.
   */
  getSync({ timeoutMs }: { timeoutMs?: number } = {}): T {
    return this.#receive(this.#getters.waitSync(0, timeoutMs));
  }

  /** Takes the next item if there is one and nobody waits to get. */
  tryGet(): TryGetResult<T> {
    const bytes = this.#monitor.inside(() => {
      if (this.#heap.size === 0) return undefined;
      const block = this.#remove();
      return this.#release(block);
    });
    if (bytes !== undefined) return { state: "ok", item: decode(bytes) as T };
    return { state: this.#words[CLOSED] === 1 ? "closed" : "empty" };
  }

  /**
   * Reports that one gotten item was dealt with.
   *
   * @throws {NotHeldError} If every gotten item was reported already.
   */
  taskDone(): void {
    this.#monitor.inside(() => {
      if (this.#words[TAKEN] === 0) {
        throw new NotHeldError(
          "cannot report an item as it must have been gotten: all that were gotten are reported",
        );
      }
      this.#words[TAKEN]! -= 1;
      this.#joiners.serve();
    });
  }

  /**
   * Waits until every item that was put was reported by `taskDone`, without blocking the thread.
   *
   * Cancel safety: changes nothing.
   *
   * @param options When to give up. Default: never.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If as many as `capacity` wait already.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async join(options?: WaitOptions): Promise<void> {
    const slot = await this.#joiners.wait(0, options);
    this.#monitor.inside(() => this.#monitor.giveSlot(slot));
  }

  /** No more puts, waiting ones included: they reject with `ClosedError`. Gets go on until it is empty. */
  close(): void {
    this.#monitor.inside(() => {
      this.#words[CLOSED] = 1;
      this.#putters.serve();
      this.#getters.serve();
    });
  }

  /** Takes out and returns all that is inside, in the order `get` would; they count as dealt with. */
  drain(): T[] {
    const drained = this.#monitor.inside(() => {
      const all: Uint8Array<ArrayBuffer>[] = [];
      for (let left = this.#heap.size; left > 0; left--) all.push(this.#release(this.#heap.pop()));
      this.#putters.serve();
      this.#joiners.serve();
      return all;
    });
    return drained.map((bytes) => decode(bytes) as T);
  }

  /**
   * Drops the waits of a thread that has died, and puts back what it was handed and had not taken yet. An item that it had gotten is
   * gone with it, and counts as taken until `taskDone`.
   */
  breakLeases(thread: number): number {
    this.#monitor.inside(() => {
      for (const slot of this.#monitor.slotsOf(thread)) {
        const line = [this.#putters, this.#getters, this.#joiners].find(({ at }) =>
          at === this.#words[slot + LINE]
        )!;
        if (this.#words[slot + STATE] === State.WAITING) line.remove(slot);
        else {
          if (line === this.#getters && this.#words[slot + STATE] === State.GRANTED) {
            this.#words[TAKEN]! -= 1;
            this.#heap.push(this.#words[slot + RESULT]!);
          }
          this.#monitor.giveSlot(slot);
        }
      }
      for (const line of [this.#putters, this.#getters, this.#joiners]) line.serve();
    });
    return 0;
  }

  /** Sizes and waiters, at this moment. */
  statistics(): QueueStatistics {
    return this.#monitor.inside(() => ({
      size: this.#heap.size,
      maxSize: this.#words[MAX_SIZE]! || Infinity,
      unfinished: this.#unfinished,
      waitingToPut: this.#putters.length,
      waitingToGet: this.#getters.length,
      closed: this.#words[CLOSED] === 1,
    }));
  }

  /** Gets items until the queue is closed and empty. An item counts as gotten: report it with `taskDone` if somebody joins. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    return untilClosed(() => this.get());
  }

  get #unfinished(): number {
    return this.#heap.size + this.#words[TAKEN]!;
  }

  get #hasRoom(): boolean {
    const maxSize = this.#words[MAX_SIZE]!;
    return maxSize === 0 || this.#heap.size < maxSize;
  }

  /** What brings an item into shared memory. */
  #request(item: T, { priority = 0 }: { priority?: number }): () => number {
    if (Number.isNaN(priority)) {
      throw new RangeError("cannot put as 'priority' must be a number: received NaN");
    }
    const bytes = encode(item);
    return () => {
      // So that putting it inside cannot fail, whoever does it.
      this.#heap.reserve(this.#heap.size + this.#putters.length + 1);
      const block = this.#items.take(bytes);
      this.#items.numbers[block + PRIORITY] = priority;
      return block;
    };
  }

  #admit(slot: number): State {
    if (this.#words[CLOSED] === 1) return State.CLOSED;
    if (!this.#hasRoom) return State.WAITING;
    this.#insert(this.#words[slot + REQUEST]!);
    return State.GRANTED;
  }

  #hand(slot: number): State {
    if (this.#heap.size === 0) return this.#words[CLOSED] === 1 ? State.CLOSED : State.WAITING;
    this.#words[slot + RESULT] = this.#remove();
    return State.GRANTED;
  }

  /** Puts an item inside that has its block. */
  #insert(block: number): void {
    const { numbers } = this.#items;
    numbers[COUNT]! += 1;
    const kind = KINDS[this.#words[KIND]!];
    numbers[block + ORDER] = numbers[COUNT]!;
    if (kind !== "priority") numbers[block + PRIORITY] = kind === "fifo" ? 0 : -numbers[COUNT]!;
    this.#heap.push(block);
    this.#getters.serve();
  }

  /** Takes the next item out; its block is the caller's. */
  #remove(): number {
    this.#words[TAKEN]! += 1;
    const block = this.#heap.pop();
    this.#putters.serve();
    return block;
  }

  /** The bytes of a block, which is given back. */
  #release(block: number): Uint8Array<ArrayBuffer> {
    const bytes = this.#items.read(block);
    this.#items.give(block);
    return bytes;
  }

  /** The item that a slot was handed. */
  #receive(slot: number): T {
    const bytes = this.#monitor.inside(() => {
      const bytes = this.#release(this.#words[slot + RESULT]!);
      this.#monitor.giveSlot(slot);
      return bytes;
    });
    return decode(bytes) as T;
  }
}

function makeHandle(
  { kind = "fifo", maxSize = Infinity, maxBytes = DEFAULT_MAX_BYTES, capacity }: ThreadQueueOptions,
): ThreadHandle<"queue"> {
  if (!KINDS.includes(kind)) {
    throw new RangeError(`cannot make a queue as 'kind' must be fifo, lifo or priority: received ${kind}`);
  }
  checkCount("make a queue", { name: "maxBytes", value: maxBytes });
  if (maxSize !== Infinity) checkCount("make a queue", { name: "maxSize", value: maxSize });
  const memory = makeMemory(capacity);
  const words = new Int32Array(memory);
  words[KIND] = KINDS.indexOf(kind);
  // A limit that no memory reaches is none.
  words[MAX_SIZE] = maxSize >= 2 ** 31 ? 0 : maxSize;
  return { kind: "queue", buffers: [memory, makeArena(maxBytes), makeHeap()] };
}
