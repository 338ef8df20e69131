/**
 * A queue between machines.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { ClosedError, NotHeldError, SystemError, TimeoutError, UsageError } from "../errors.ts";
import type {
  DeadLetter,
  Delivery,
  GiveBackOptions,
  ItemOptions,
  NamedQueue,
  NamedQueueOptions,
  NamedQueueStatus,
  PutManyOptions,
  PutManyResult,
} from "../named.ts";
import type { PutOptions, QueueStatistics, TryGetResult, TryPutResult, WaitOptions } from "../primitives.ts";
import { checkCount } from "../task/check.ts";
import { untilClosed } from "../task/until_closed.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import { isEmpty, waitForItem } from "./getting.ts";
import { checkForBroker } from "./item.ts";
import { Letters } from "./letters.ts";
import { namesOf } from "./names.ts";
import { type Parcel, Putting } from "./putting.ts";
import { roundDelay } from "./delays.ts";
import { type Book, countReady, QueueLayout } from "./queue_layout.ts";
import { Receipts } from "./receipts.ts";
import { putBack } from "./putting_back.ts";
import { Sending } from "./sending.ts";
import { isDone, statusOf } from "./standing.ts";
import type { ClusterStore } from "./store.ts";
import { Taking } from "./taking.ts";
import { checkLimit, doSoon, timedOut, waitAcross } from "./wait.ts";

/** How long a command that wants an answer now waits for a connection that was lost. */
const CONNECT_LIMIT_MS = 10_000;
/** How often {@link ClusterQueue.join} looks, at first and at last. */
const FIRST_LOOK_MS = 5;
const LONGEST_LOOK_MS = 250;
/** How many items {@link ClusterQueue.drain} has in its hands at once. */
const BATCH_ITEMS = 100;

/**
 * Hands items from producers to consumers, on whichever machines they are, and whenever: what was put stays until it is acknowledged. What
 * is put into a queue of kind `fifo` is on the disks of most of the nodes that keep it; of kind `priority`, of one.
 *
 * Invariants: an item that was put is ready, delayed, received or dead, or was acknowledged; it is received by one at a time, and ready again when the
 * connection of that one ends. Whatever is moved from one of these to another is there before it is taken away here: if the connection is lost
 * between the two, it is there twice, never not at all.
 */
export class ClusterQueue implements NamedQueue {
  readonly #store: ClusterStore;
  readonly #layout: QueueLayout;
  readonly #receipts: Receipts;
  readonly #putting: Putting;
  readonly #sending: Sending;
  readonly #taking: Taking;
  readonly #letters: Letters;
  readonly #book: Pick<Book, "kind" | "maxSize">;

  private constructor(store: ClusterStore, layout: QueueLayout, book: Book) {
    this.#store = store;
    this.#layout = layout;
    this.#book = book;
    this.#receipts = new Receipts(layout);
    this.#putting = new Putting(layout);
    const isLimited = book.maxSize !== null;
    this.#sending = new Sending(store, { layout, putting: this.#putting, isLimited });
    this.#taking = new Taking({
      ...{ layout, receipts: this.#receipts, putting: this.#putting },
      isLimited,
    });
    this.#letters = new Letters(layout, this.#putting);
  }

  /**
   * The queue of a name, made if it is not there.
   *
   * @param store Where it is kept.
   * @param name Its name: all who use this name and this broker share it.
   * @param options What it is to be, if it is not there yet; what it must be, if it is. How long to try: 10 s at most.
   * @throws {RangeError} If `maxSize` is neither a whole number above 0 nor Infinity.
   * @throws {UsageError} If it is there and of another kind or size, or of a kind that brokers do not have.
   * @throws {SystemError} If the broker cannot be used.
   */
  static async open(
    store: ClusterStore,
    name: string,
    options: NamedQueueOptions = {},
  ): Promise<ClusterQueue> {
    const { kind, maxSize, items = {}, timeoutMs, signal } = options;
    checkForBroker({ ...items, isOrdered: false });
    roundDelay(items.delayMs ?? 0);
    if (kind === "lifo") {
      throw new UsageError(
        "cannot have a queue of kind lifo at a broker as brokers hand out what came first first: " +
          "use fifo or priority, or name a file with --store",
      );
    }
    if (maxSize !== undefined && maxSize !== Infinity) {
      checkCount("make a queue", { name: "maxSize", value: maxSize });
    }
    const layout = new QueueLayout(name);
    const limits = { ...(timeoutMs !== undefined && { timeoutMs }), ...(signal && { signal }) };
    const attempt = async (connection: BrokerConnection) => {
      await layout.make(connection, options);
      const channel = await connection.channel(layout.what);
      try {
        const book = await layout.read(channel);
        layout.agree(book, options);
        return new ClusterQueue(store, layout, book);
      } finally {
        await channel.close();
      }
    };
    return await doSoon(store, attempt, limits);
  }

  /** All queues of a broker, by their names. */
  static async list(store: ClusterStore): Promise<NamedQueueStatus[]> {
    const all: NamedQueueStatus[] = [];
    for (const name of await doSoon(store, (connection) => namesOf(connection, "queue"))) {
      if (await ClusterQueue.exists(store, name)) {
        all.push(await (await ClusterQueue.open(store, name)).status());
      }
    }
    return all;
  }

  /** Whether a broker has a queue of this name. */
  static async exists(store: ClusterStore, name: string): Promise<boolean> {
    return await doSoon(store, (connection) => new QueueLayout(name).exists(connection));
  }

  /** What a consumer of it is made of. */
  get parts(): { store: ClusterStore; layout: QueueLayout; receipts: Receipts; putting: Putting } {
    return { store: this.#store, layout: this.#layout, receipts: this.#receipts, putting: this.#putting };
  }

  /**
   * Puts an item, waiting while the queue is full. The broker has it when the promise resolves. If the connection is lost before the broker has
   * said so, the item is put again over the next one, and may be there twice.
   *
   * Cancel safety: if the wait is cancelled, the item is not put. An abort after it was sent loses.
   *
   * @param item What to put.
   * @param options When to give up (default: never), and how to put it. No `dedup`; a priority is a whole number from -16 to 15.
   * @throws {ClosedError} If the queue is closed, now or while we wait.
   * @throws {RangeError} If `priority` is NaN, or `timeoutMs` is negative or NaN.
   * @throws {SystemError} If the broker does not take it; if time is up and it cannot be known whether it has it.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws {UsageError} If brokers cannot do what the options say.
   * @throws The reason of the signal, if it is aborted.
   */
  async put(item: Uint8Array, options: PutOptions & ItemOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    checkLimit(options.timeoutMs ?? Infinity);
    await this.#sending.put(this.#parcel(item, options), options);
  }

  /**
   * Puts an item if there is room and nobody waits to put.
   *
   * @throws {RangeError} If `priority` is NaN.
   * @throws {SystemError} If the broker cannot be used.
   * @throws {UsageError} If brokers cannot do what the options say.
   */
  async tryPut(item: Uint8Array, options: ItemOptions = {}): Promise<TryPutResult> {
    const parcel = this.#parcel(item, options);
    return await orClosed(async () => {
      const isPut = await this.#sending.tryPut(parcel);
      return isPut ? { state: "ok" } : { state: "full" };
    });
  }

  /**
   * Puts the first of many items for which there is room, with many on the way at once. If the connection is lost, it goes on over the next one.
   *
   * Cancel safety: some of the items may be put. What was sent, and is not known to be there, is told of.
   *
   * @param items What to put.
   * @param options When to give up (default: never), and how to put them.
   * @returns How many, from the first on. None was there already: brokers do not compare.
   * @throws As {@link put}; some may be put then.
   */
  async putMany(items: readonly Uint8Array[], options: PutManyOptions = {}): Promise<PutManyResult> {
    options.signal?.throwIfAborted();
    const parcels = items.map((item) => this.#parcel(item, options));
    return { taken: await this.#sending.putMany(parcels, options), duplicates: 0 };
  }

  /**
   * Takes the next item, waiting while there is none. It is out of the queue then: who may die before the item is dealt with calls
   * {@link receive}.
   *
   * Cancel safety: if the wait is cancelled, no item is taken.
   *
   * @param options When to give up. Default: never.
   * @throws {ClosedError} If the queue is closed and empty, now or while we wait.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async get(options: WaitOptions = {}): Promise<Uint8Array> {
    return await this.#keep(await this.receive(options));
  }

  /** Takes the next item if there is one and nobody waits to get. */
  async tryGet(): Promise<TryGetResult<Uint8Array>> {
    return await orClosed(async () => {
      const delivery = await this.#tryReceive();
      if (delivery === undefined) return { state: "empty" };
      return { state: "ok", item: await this.#keep(delivery) };
    });
  }

  /**
   * Receives the next item, waiting while there is none. It stays with the broker, who gives it to another when this connection ends before it is
   * acknowledged. A wait goes on over the next connection if one is lost.
   *
   * Cancel safety: if the wait is cancelled, no item is received.
   *
   * @throws As {@link get}.
   */
  async receive(options: WaitOptions = {}): Promise<Delivery<Uint8Array>> {
    options.signal?.throwIfAborted();
    checkLimit(options.timeoutMs ?? Infinity);
    const { timeoutMs = Infinity } = options;
    if (timeoutMs < Infinity) {
      // The limit is for the wait, not for what needs none.
      const delivery = await this.#tryReceive();
      if (delivery !== undefined) return delivery;
      if (timeoutMs === 0) throw timedOut(0);
    }
    const attempt = async (connection: BrokerConnection, signal: AbortSignal) => {
      const found = await waitForItem(connection, {
        ...{ layout: this.#layout, receipts: this.#receipts, signal },
      });
      this.#taking.tookOne(found.channel);
      return found.delivery;
    };
    return await waitAcross(this.#store, options, attempt, (late) => this.#returnAll([late]));
  }

  /**
   * Receives items that are ready now, if nobody waits for them.
   *
   * @param count How many at most.
   * @param options `maxBytes`: no more once those received are as large as this together; default Infinity.
   */
  async receiveMany(
    count: number,
    { maxBytes = Infinity }: { maxBytes?: number } = {},
  ): Promise<Delivery<Uint8Array>[]> {
    return await doSoon(this.#store, (connection) => this.#taking.takeMany(connection, { count, maxBytes }), {
      undo: (late) => this.#returnAll(late),
    });
  }

  /**
   * Says that received items are dealt with: they leave the queue. The broker knows when the promise resolves.
   *
   * @param tokens What they were received under.
   * @throws {NotHeldError} If one of them is not held any more; the others are acknowledged.
   */
  async ack(...tokens: string[]): Promise<void> {
    // The broker is asked whether it has heard once it was told all.
    const heard = new Map<BrokerChannel, Promise<void>>();
    const hearing = async (channel: BrokerChannel) => {
      await null;
      await this.#heard(channel);
    };
    const settled = await Promise.allSettled(
      tokens.map((token) =>
        this.#receipts.settle(token, async ({ channel, message: { deliveryTag } }) => {
          channel.raw.basicAck({ deliveryTag });
          if (!heard.has(channel)) heard.set(channel, hearing(channel));
          await heard.get(channel);
        })
      ),
    );
    for (const each of settled) if (each.status === "rejected") throw each.reason;
  }

  /**
   * Gives a received item back, to be received again: at the end of the line, or if this is no attempt and there is no delay, where it was.
   *
   * @throws {NotHeldError} If it is not held any more.
   */
  async giveBack(token: string, options: GiveBackOptions = {}): Promise<void> {
    const connection = await this.#connection();
    await this.#receipts.settle(token, async (receipt) => {
      await putBack(connection, { receipt, layout: this.#layout, putting: this.#putting, options });
      await this.#heard(receipt.channel);
    });
  }

  /**
   * Reports that one gotten item was dealt with, by whomever it was gotten.
   *
   * @throws {NotHeldError} If every gotten item was reported already.
   */
  async taskDone(): Promise<void> {
    const channel = await (await this.#connection()).channel(this.#layout.what);
    try {
      const taken = await channel.ask((raw) => raw.basicGet({ queue: this.#layout.taken }));
      if (taken === undefined) {
        throw new NotHeldError(
          "cannot report an item as it must have been gotten: all that were gotten are reported",
        );
      }
      channel.raw.basicAck({ deliveryTag: taken.deliveryTag });
    } catch (error) {
      throw this.#layout.gone(error);
    } finally {
      await channel.close();
    }
  }

  /**
   * Waits until every item that was put was acknowledged, or gotten and reported by `taskDone`. Dead letters count as dealt with. Brokers tell
   * nobody of that: this looks again and again, four times a second after a while.
   *
   * Cancel safety: changes nothing.
   *
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async join(options: WaitOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    checkLimit(options.timeoutMs ?? Infinity);
    if (options.timeoutMs === 0) {
      if (!await doSoon(this.#store, (connection) => isDone(connection, this.parts))) throw timedOut(0);
      return;
    }
    await waitAcross(this.#store, options, async (connection, signal) => {
      for (let pauseMs = FIRST_LOOK_MS;; pauseMs = Math.min(2 * pauseMs, LONGEST_LOOK_MS)) {
        if (await isDone(connection, this.parts)) return;
        await delay(pauseMs, { signal });
      }
    });
  }

  /** No more puts, waiting ones included: they reject with `ClosedError`. Gets go on until it is empty. */
  async close(): Promise<void> {
    const { entry, items } = this.#layout;
    await this.#layout.change(await this.#connection(), () => ({ closed: true }), async (channel) => {
      await channel.ask((raw) => raw.queueUnbind({ exchange: entry, queue: items }));
      this.#taking.tookOne(channel);
    });
  }

  /** Takes out and returns all that is ready, in the order `get` would; they count as dealt with. */
  async drain(): Promise<Uint8Array[]> {
    const all: Uint8Array[] = [];
    const { channel } = await this.#taking.ready(await this.#connection());
    // As many as there are now: those who wait to put come in as soon as there is room.
    for (let left = await countReady(channel, this.#layout.items); left > 0;) {
      const batch = await this.receiveMany(Math.min(left, BATCH_ITEMS));
      if (batch.length === 0) break;
      all.push(...batch.map(({ item }) => item));
      await this.ack(...batch.map(({ token }) => token));
      left -= batch.length;
    }
    return all;
  }

  /** The next items, which stay where they are. While we look, they are not there for others. */
  async peek(count = 1): Promise<Uint8Array[]> {
    return await doSoon(this.#store, (connection) => this.#taking.peek(connection, count));
  }

  /** Throws away all that is ready or delayed. Returns how many that were. */
  async purge(): Promise<number> {
    return await this.#taking.purge(await this.#connection());
  }

  /**
   * Throws the queue away, with all that is in it. Who waits is turned away with `ClosedError`.
   *
   * @returns How many items were in it, dead letters included.
   */
  async delete(): Promise<number> {
    const { size, leased, dead } = await this.status();
    await doSoon(this.#store, (connection) => this.#layout.delete(connection));
    return size + leased + dead;
  }

  /** The dead letters, the oldest first. While we look, they are not there for others. */
  async deadLetters(): Promise<DeadLetter<Uint8Array>[]> {
    return await this.#letters.list(await this.#connection());
  }

  /** Makes all dead letters ready again, as if they had never been received. Returns how many that were. */
  async redrive(): Promise<number> {
    return await this.#letters.redrive(await this.#connection());
  }

  /** Sizes and waiters, at this moment. */
  async statistics(): Promise<QueueStatistics> {
    const { size, maxSize, unfinished, waitingToPut, waitingToGet, closed } = await this.status();
    return { size, maxSize, unfinished, waitingToPut, waitingToGet, closed };
  }

  /** All that is known of it. Its parts are asked one after the other: what is under way meanwhile may count twice, or not. */
  status(): Promise<NamedQueueStatus> {
    return doSoon(this.#store, (connection) => statusOf(connection, this.parts));
  }

  /** Gets items until the queue is closed and empty. An item counts as gotten: report it with `taskDone` if somebody joins. */
  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    return untilClosed(() => this.get());
  }

  /** Gives back what came too late: nobody has seen it. */
  #returnAll(deliveries: readonly Delivery<Uint8Array>[]): void {
    for (const { token } of deliveries) this.giveBack(token, { counts: false }).catch(() => {});
  }

  #parcel(item: Uint8Array, options: Omit<ItemOptions, "dedup"> & { dedup?: unknown }): Parcel {
    const isOrdered = this.#book.kind === "priority";
    checkForBroker({ ...options, isOrdered });
    const { priority = 0, delayMs = 0 } = options;
    if (delayMs > 0) roundDelay(delayMs);
    const record = { bytes: item, priority: isOrdered ? priority : 0, failures: 0, putAt: Date.now() };
    return { record, delayMs };
  }

  #tryReceive(): Promise<Delivery<Uint8Array> | undefined> {
    const attempt = async (connection: BrokerConnection) => {
      const { channel, book } = await this.#taking.ready(connection);
      const delivery = await this.#taking.takeOne(channel, book);
      if (delivery === undefined && book.closed && await isEmpty(connection, this.#layout, book)) {
        throw this.#layout.exhausted();
      }
      return delivery;
    };
    return doSoon(this.#store, attempt, { undo: (late) => late && this.#returnAll([late]) });
  }

  /** An item was gotten: it leaves the queue, and is owed to `join` until it is reported. */
  async #keep({ item, token }: Delivery<Uint8Array>): Promise<Uint8Array> {
    const record = { bytes: new Uint8Array(), priority: 0, failures: 0, putAt: Date.now() };
    await this.#putting.sendTo(await this.#connection(), { queue: this.#layout.taken, record });
    await this.ack(token);
    return item;
  }

  /** Waits until the broker has heard what was said over a channel. */
  async #heard(channel: BrokerChannel): Promise<void> {
    await countReady(channel, this.#layout.items).catch((error) => {
      throw this.#layout.gone(error);
    });
  }

  async #connection(): Promise<BrokerConnection> {
    try {
      return await this.#store.connection({ timeoutMs: CONNECT_LIMIT_MS });
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      throw new SystemError(`cannot use ${this.#layout.what}: no connection to the broker`, { cause: error });
    }
  }
}

/** What a try came to, or that the queue is closed. */
async function orClosed<T>(attempt: () => Promise<T>): Promise<T | { state: "closed" }> {
  try {
    return await attempt();
  } catch (error) {
    if (error instanceof ClosedError) return { state: "closed" };
    throw error;
  }
}
