/**
 * A queue between the processes of one machine. What was put is on disk.
 *
 * @module
 */

import { ClosedError, NotHeldError, UsageError } from "../errors.ts";
import type {
  DeadLetter,
  Delivery,
  GiveBackOptions,
  ItemOptions,
  NamedQueueOptions,
  NamedQueueStatus,
} from "../named.ts";
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
import { uptimeMs } from "./clock.ts";
import { checkItem, keyOf, type NewItem, packItem, unpackItem } from "./item.ts";
import { addLease, dropLease, leasesOf } from "./leases.ts";
import { type Ask, type AskOptions, Line, type Outcome } from "./line.ts";
import type { Store } from "./store.ts";

/** How items become bytes and back. */
export interface Codec<T> {
  encode(item: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** Options of {@link HostQueue}. */
export interface HostQueueOptions<T> extends NamedQueueOptions {
  /** How items become bytes. Default: they are bytes. */
  codec?: Codec<T>;
}

/** How an item is received. */
export interface ReceiveOptions {
  /** What it is received for, for people. */
  command?: string;
  /** Milliseconds until the lease ends by itself, unless it is extended. Default: only when this process dies. */
  leaseMs?: number;
  /**
   * Whether a job runs under the lease, which has the lease's token in `CONC_LEASE`: then it is held as long as a process of the job
   * lives, also without this one. Default false.
   */
  guarded?: boolean;
}

interface QueueRow {
  id: number;
  kind: QueueKind;
  maxSize: number | null;
  closed: number;
  puts: number;
  size: number;
  leased: number;
  dead: number;
}

interface ItemRow {
  id: number;
  data: Uint8Array;
  attempts: number;
}

/** States of an item; 2 is leased. */
const READY = 0;
const DELAYED = 1;
const DEAD = 3;

const KINDS: readonly QueueKind[] = ["fifo", "lifo", "priority"];
const BYTES: Codec<Uint8Array> = { encode: (item) => item, decode: (bytes) => bytes };

/**
 * Hands items from producers to consumers, whichever processes they are, and whenever: what was put stays until it is acknowledged.
 *
 * Invariants: an item is ready, delayed, leased or dead, and the counts in the queue's row say how many are which; a leased item has
 * exactly one lease, whose end by death or time makes it ready again; an item leaves the queue only by {@link ack}, {@link get}, `drain`,
 * {@link purge} or {@link delete}. Never more than `maxSize` items are ready or delayed, but for those that were given back.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Store } from "./store.ts";
 *
 * using store = new Store(`${Deno.makeTempDirSync()}/conc.db`);
 * const queue = new HostQueue(store, "jobs");
 * await queue.put(new TextEncoder().encode("resize photo.jpg"));
 * const { item, token } = await queue.receive();
 * assertEquals(new TextDecoder().decode(item), "resize photo.jpg");
 * queue.ack(token);
 * assertEquals(queue.status().size, 0);
 * ```
 */
export class HostQueue<T = Uint8Array> implements Queue<T> {
  readonly #store: Store;
  readonly #name: string;
  readonly #object: string;
  readonly #codec: Codec<T>;
  readonly #id: number;
  readonly #putters: Line;
  readonly #getters: Line;
  readonly #joiners: Line;

  /**
   * @param store Where it is kept.
   * @param name Its name: all processes that use this name and this store share it.
   * @param options What it is to be, if it is not there yet; what it must be, if it is.
   * @throws {RangeError} If `maxSize` is neither a whole number above 0 nor Infinity, or `kind` is none.
   * @throws {UsageError} If it is there and of another kind or size.
   */
  constructor(store: Store, name: string, { kind, maxSize, codec }: HostQueueOptions<T> = {}) {
    if (kind !== undefined && !KINDS.includes(kind)) {
      throw new RangeError(`cannot make a queue as 'kind' must be fifo, lifo or priority: received ${kind}`);
    }
    if (maxSize !== undefined && maxSize !== Infinity) {
      checkCount("make a queue", { name: "maxSize", value: maxSize });
    }
    this.#store = store;
    this.#name = name;
    this.#object = `queue:${name}`;
    this.#codec = codec ?? BYTES as Codec<unknown> as Codec<T>;
    // Most are there: then there is nothing to write.
    this.#id = this.#known(kind, maxSize) ?? store.write(() => this.#define(kind, maxSize));
    this.#putters = new Line(store, {
      line: `${this.#object}:put`,
      what: `room in the queue '${name}'`,
      grant: (ask) => this.#admit(ask),
      refusal: () => this.#closedToPut(),
      undo: (item) => this.#takeBack(item),
      isStale: () => this.#gone().length > 0,
      clear: () => this.#clear(),
      durable: true,
    });
    this.#getters = new Line(store, {
      line: `${this.#object}:get`,
      what: `an item of the queue '${name}'`,
      grant: (ask) => this.#hand(ask),
      refusal: () =>
        new ClosedError(`cannot get as the queue '${name}' is empty and was closed: no item will come`),
      undo: (token) => this.giveBack(token, { counts: false }),
      isStale: () => this.#gone().length > 0,
      clear: () => this.#clear(),
      dueMs: () => this.#dueMs(),
    });
    this.#joiners = new Line(store, {
      line: `${this.#object}:join`,
      what: `the items of the queue '${name}' to be done`,
      grant: () => this.#unfinished() === 0 ? { granted: "" } : undefined,
      refusal: (reason) => new Error(reason),
      undo: () => {},
      isStale: () => this.#gone().length > 0,
      clear: () => this.#clear(),
    });
  }

  /** All queues of a store, by their names. */
  static list(store: Store): NamedQueueStatus[] {
    return store.all<{ name: string }>("SELECT name FROM queues ORDER BY name").map(({ name }) =>
      new HostQueue(store, name).status()
    );
  }

  /** Whether a store has a queue of this name. */
  static exists(store: Store, name: string): boolean {
    return store.get("SELECT 1 FROM queues WHERE name = ?", name) !== undefined;
  }

  /**
   * Puts an item, waiting while the queue is full. It is on disk when the promise resolves.
   *
   * Cancel safety: if the wait is cancelled, the item is not put. An abort in the same turn as the item gets its place loses.
   *
   * @param item What to put.
   * @param options When to give up (default: never), and how to put it.
   * @throws {ClosedError} If the queue is closed, now or while we wait.
   * @throws {RangeError} If `priority` is NaN, or `timeoutMs` is negative or NaN.
   * @throws {SystemError} If the store cannot be used.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async put(item: T, options: PutOptions & ItemOptions = {}): Promise<void> {
    await this.#putters.wait({ ...options, request: 1, payload: packItem(this.#newItem(item, options)) });
  }

  /**
   * Puts an item if there is room and nobody waits to put.
   *
   * @param item What to put.
   * @param options How to put it.
   * @throws {RangeError} If `priority` is NaN.
   * @throws {SystemError} If the store cannot be used.
   */
  tryPut(item: T, options: ItemOptions = {}): TryPutResult {
    const payload = packItem(this.#newItem(item, options));
    try {
      const put = this.#putters.take({ request: 1, payload });
      return { state: put === undefined ? "full" : "ok" };
    } catch (error) {
      if (error instanceof ClosedError) return { state: "closed" };
      throw error;
    }
  }

  /**
   * Puts the first of many items for which there is room, all in one transaction.
   *
   * @param items What to put.
   * @param options How to put them.
   * @returns How many were dealt with, from the first on, and how many of them were there already and not put again.
   * @throws As {@link HostQueue.tryPut}; then none is put.
   */
  putMany(items: readonly T[], options: Omit<ItemOptions, "dedup"> & { dedup?: (item: T) => string } = {}): {
    taken: number;
    duplicates: number;
  } {
    const { dedup, ...common } = options;
    return this.#store.write(() => {
      const row = this.#row();
      if (row.closed === 1) throw this.#closedToPut();
      const room = this.#putters.length > 0 ? 0 : (row.maxSize ?? Infinity) - row.size;
      let put = 0;
      let taken = 0;
      for (const each of items) {
        const item = this.#newItem(each, { ...common, ...(dedup !== undefined && { dedup: dedup(each) }) });
        if (put >= room && !this.#hasKey(item.options.dedup)) break;
        if (this.#insert(item, { kind: row.kind, position: row.puts + put }) !== undefined) put += 1;
        taken += 1;
      }
      this.#countPuts(put);
      if (put > 0) this.#getters.serve();
      return { taken, duplicates: taken - put };
    }, { durable: true });
  }

  /**
   * Takes the next item, waiting while there is none. It is out of the queue then: who may die before the item is dealt with calls
   * {@link receive}.
   *
   * Cancel safety: if the wait is cancelled, no item is taken. An abort in the same turn as the item is handed over loses.
   *
   * @param options When to give up. Default: never.
   * @throws {ClosedError} If the queue is closed and empty, now or while we wait.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If the store cannot be used.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async get(options: WaitOptions = {}): Promise<T> {
    const { item, token } = await this.receive(options);
    this.#keep(token);
    return item;
  }

  /** Takes the next item if there is one and nobody waits to get. */
  tryGet(): TryGetResult<T> {
    let delivery: Delivery<T> | undefined;
    try {
      delivery = this.tryReceive();
    } catch (error) {
      if (error instanceof ClosedError) return { state: "closed" };
      throw error;
    }
    if (delivery === undefined) return { state: "empty" };
    this.#keep(delivery.token);
    return { state: "ok", item: delivery.item };
  }

  /**
   * Receives the next item, waiting while there is none. It stays in the queue, under a lease of this process, until it is acknowledged; if
   * this process dies before that, it is ready again.
   *
   * Cancel safety: if the wait is cancelled, no item is received.
   *
   * @param options When to give up (default: never), and what kind of lease it is.
   * @throws As {@link HostQueue.get}.
   */
  async receive(options: WaitOptions & ReceiveOptions = {}): Promise<Delivery<T>> {
    return this.#delivery(await this.#getters.wait(askFor(options)));
  }

  /** Receives the next item if there is one and nobody waits for it. */
  tryReceive(options: ReceiveOptions = {}): Delivery<T> | undefined {
    const token = this.#getters.take(askFor(options));
    return token === undefined ? undefined : this.#delivery(token);
  }

  /**
   * Receives items that are ready now, if nobody waits for them, all in one transaction.
   *
   * @param count How many at most.
   * @param options `maxBytes`: no more once those received are as large as this together; default Infinity.
   */
  receiveMany(count: number, { maxBytes = Infinity }: { maxBytes?: number } = {}): Delivery<T>[] {
    return this.#store.write(() => {
      const received: Delivery<T>[] = [];
      for (let bytes = 0; received.length < count && bytes < maxBytes;) {
        const delivery = this.#row().size === 0 ? undefined : this.tryReceive();
        if (delivery === undefined) break;
        received.push(delivery);
        bytes += this.#codec.encode(delivery.item).length;
      }
      return received;
    });
  }

  /**
   * Says that received items are dealt with: they leave the queue.
   *
   * @param tokens Their leases.
   * @throws {NotHeldError} If one of them is not under this lease any more; then none is acknowledged.
   */
  ack(...tokens: string[]): void {
    this.#store.write(() => {
      for (const token of tokens) this.#removeLeased(token);
      this.#joiners.serve();
    });
  }

  /**
   * Gives a received item back, to be received again. It has its old place in the order.
   *
   * @param token Its lease.
   * @param options When it is to be ready again, and why.
   * @throws {NotHeldError} If it is not under this lease any more.
   */
  giveBack(token: string, options: GiveBackOptions = {}): void {
    const { delayMs = 0, dead = false, error, counts = true } = options;
    const state = dead ? DEAD : delayMs > 0 ? DELAYED : READY;
    this.#store.write(() => {
      const { changes } = this.#store.run(
        `UPDATE items SET state = ?, lease = NULL, due = ?, dueAt = ?, lastError = ?, attempts = attempts - ?,
         dedup = iif(?, NULL, dedup) WHERE lease = ?`,
        ...[state, uptimeMs() + delayMs, Date.now() + delayMs, error ?? null, counts ? 0 : 1],
        ...[dead ? 1 : 0, token],
      );
      if (changes === 0) throw notLeased(token);
      this.#store.run("DELETE FROM leases WHERE token = ?", token);
      this.#count({ leased: -1, ...dead ? { dead: 1 } : { size: 1 } });
      this.#getters.serve();
      this.#joiners.serve();
    });
  }

  /**
   * Has a lease end by itself, unless it is extended again: for work that may hang.
   *
   * @param token The lease.
   * @param leaseMs Milliseconds from now.
   * @throws {NotHeldError} If the item is not under this lease any more.
   */
  extend(token: string, leaseMs: number): void {
    this.#store.write(() => {
      const { changes } = this.#store.run(
        "UPDATE leases SET expires = ? WHERE token = ?",
        uptimeMs() + leaseMs,
        token,
      );
      if (changes === 0) throw notLeased(token);
    });
  }

  /**
   * Reports that one gotten item was dealt with.
   *
   * @throws {NotHeldError} If every gotten item was reported already.
   */
  taskDone(): void {
    this.#store.write(() => {
      const taken = this.#store.get<{ id: number; weight: number }>(
        "SELECT id, weight FROM leases WHERE object = ? ORDER BY owner = ? DESC LIMIT 1",
        `taken:${this.#name}`,
        this.#store.owners.idOf(),
      );
      if (taken === undefined) {
        throw new NotHeldError(
          "cannot report an item as it must have been gotten: all that were gotten are reported",
        );
      }
      if (taken.weight === 1) dropLease(this.#store, taken.id);
      else this.#store.run("UPDATE leases SET weight = weight - 1 WHERE id = ?", taken.id);
      this.#joiners.serve();
    });
  }

  /**
   * Waits until every item that was put was acknowledged, or gotten and reported by `taskDone`. Dead letters count as dealt with, and so
   * does what was gotten by a process that died.
   *
   * Cancel safety: changes nothing.
   *
   * @param options When to give up. Default: never.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If the store cannot be used.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  async join(options: WaitOptions = {}): Promise<void> {
    await this.#joiners.wait({ ...options, request: 1 });
  }

  /** No more puts, waiting ones included: they reject with `ClosedError`. Gets go on until it is empty. */
  close(): void {
    this.#store.write(() => {
      this.#store.run("UPDATE queues SET closed = 1 WHERE id = ?", this.#id);
      this.#putters.serve();
      this.#getters.serve();
    });
  }

  /** Takes out and returns all that is ready, in the order `get` would; they count as dealt with. */
  drain(): T[] {
    return this.#store.write(() => {
      this.#promote();
      const rows = this.#store.all<ItemRow>(
        "SELECT data FROM items WHERE queue = ? AND state = 0 ORDER BY rank, position",
        this.#id,
      );
      this.#store.run("DELETE FROM items WHERE queue = ? AND state = 0", this.#id);
      this.#count({ size: -rows.length });
      this.#putters.serve();
      this.#joiners.serve();
      return rows.map(({ data }) => this.#codec.decode(data));
    });
  }

  /** The next items, which stay where they are. */
  peek(count = 1): T[] {
    return this.#store.write(() => {
      this.#promote();
      return this.#store.all<ItemRow>(
        "SELECT data FROM items WHERE queue = ? AND state = 0 ORDER BY rank, position LIMIT ?",
        this.#id,
        count,
      );
    }).map(({ data }) => this.#codec.decode(data));
  }

  /** Throws away all that is ready or delayed. Returns how many that were. */
  purge(): number {
    return this.#store.write(() => {
      const { changes } = this.#store.run("DELETE FROM items WHERE queue = ? AND state IN (0, 1)", this.#id);
      this.#count({ size: -changes });
      this.#putters.serve();
      this.#joiners.serve();
      return changes;
    });
  }

  /**
   * Throws the queue away, with all that is in it. Who waits is turned away with `ClosedError`.
   *
   * @returns How many items were in it, dead letters included.
   */
  delete(): number {
    return this.#store.write(() => {
      this.close();
      this.#joiners.sweep(() => ({ granted: "" }));
      for (const { id } of leasesOf(this.#store, this.#object)) dropLease(this.#store, id);
      const { changes } = this.#store.run("DELETE FROM items WHERE queue = ?", this.#id);
      this.#store.run("DELETE FROM leases WHERE object = ?", `taken:${this.#name}`);
      this.#store.run("DELETE FROM queues WHERE id = ?", this.#id);
      return changes;
    });
  }

  /** The dead letters, the oldest first. */
  deadLetters(): DeadLetter<T>[] {
    return this.#store.all<ItemRow & { lastError: string | null; putAt: number }>(
      "SELECT id, data, attempts, lastError, putAt FROM items WHERE queue = ? AND state = 3 ORDER BY id",
      this.#id,
    ).map(({ id, data, attempts, lastError, putAt }) => ({
      ...{ id, item: this.#codec.decode(data), attempts },
      ...{ error: lastError ?? undefined, putAt: new Date(putAt) },
    }));
  }

  /** Makes all dead letters ready again, as if they had never been received. Returns how many that were. */
  redrive(): number {
    return this.#store.write(() => {
      const { changes } = this.#store.run(
        "UPDATE items SET state = 0, attempts = 0, lastError = NULL WHERE queue = ? AND state = 3",
        this.#id,
      );
      this.#count({ size: changes, dead: -changes });
      this.#getters.serve();
      return changes;
    }, { durable: true });
  }

  /** Sizes and waiters, at this moment. */
  statistics(): QueueStatistics {
    const { size, maxSize, unfinished, waitingToPut, waitingToGet, closed } = this.status();
    return { size, maxSize, unfinished, waitingToPut, waitingToGet, closed };
  }

  /** All that is known of it, at this moment. What dead workers had is given back first, and who died while it waited is not counted. */
  status(): NamedQueueStatus {
    this.#store.owners.buryWaiting(`${this.#object}:*`);
    this.#clear();
    return this.#store.write(() => {
      const { kind, maxSize, closed, size, leased, dead } = this.#row();
      const { delayed } = this.#store.get<{ delayed: number }>(
        "SELECT count(*) AS delayed FROM items WHERE queue = ? AND state = 1 AND due > ?",
        this.#id,
        uptimeMs(),
      )!;
      return {
        ...{ name: this.#name, kind, size, delayed, leased, dead },
        maxSize: maxSize ?? Infinity,
        unfinished: this.#unfinished(),
        waitingToPut: this.#putters.length,
        waitingToGet: this.#getters.length,
        closed: closed === 1,
      };
    });
  }

  /** Gets items until the queue is closed and empty. An item counts as gotten: report it with `taskDone` if somebody joins. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    return untilClosed(() => this.get());
  }

  #define(kind: QueueKind | undefined, maxSize: number | undefined): number {
    return this.#known(kind, maxSize) ?? this.#store.run(
      "INSERT INTO queues (name, kind, maxSize, closed, puts, size, leased, dead) VALUES (?, ?, ?, 0, 0, 0, 0, 0)",
      ...[this.#name, kind ?? "fifo", maxSize === undefined || maxSize === Infinity ? null : maxSize],
    ).id;
  }

  /**
   * Its id, if it is there.
   *
   * @throws {UsageError} If it is another than is wanted.
   */
  #known(kind: QueueKind | undefined, maxSize: number | undefined): number | undefined {
    const limit = maxSize === Infinity ? null : maxSize;
    const known = this.#store.get<QueueRow>("SELECT * FROM queues WHERE name = ?", this.#name);
    if (known === undefined) return undefined;
    if ((kind ?? known.kind) === known.kind && (limit === undefined || limit === known.maxSize)) {
      return known.id;
    }
    const size = known.maxSize === null ? "without a limit" : `for ${known.maxSize} items at most`;
    throw new UsageError(
      `the queue '${this.#name}' is ${known.kind}, ${size}: leave these out, or delete it first`,
    );
  }

  #row(): QueueRow {
    const row = this.#store.get<QueueRow>("SELECT * FROM queues WHERE id = ?", this.#id);
    if (row === undefined) throw new ClosedError(`the queue '${this.#name}' was deleted`);
    return row;
  }

  #count({ size = 0, leased = 0, dead = 0 }: { size?: number; leased?: number; dead?: number }): void {
    this.#store.run(
      "UPDATE queues SET size = size + ?, leased = leased + ?, dead = dead + ? WHERE id = ?",
      ...[size, leased, dead, this.#id],
    );
  }

  #unfinished(): number {
    const { size, leased } = this.#row();
    const { taken } = this.#store.get<{ taken: number | null }>(
      "SELECT sum(weight) AS taken FROM leases WHERE object = ?",
      `taken:${this.#name}`,
    )!;
    return size + leased + (taken ?? 0);
  }

  #newItem(item: T, { priority, delayMs, dedup }: ItemOptions): NewItem {
    const options = {
      ...(priority !== undefined && { priority }),
      ...(delayMs !== undefined && { delayMs }),
      ...(dedup !== undefined && { dedup }),
    };
    checkItem(options);
    return { data: this.#codec.encode(item), options };
  }

  #admit({ payload }: Ask): Outcome {
    const { closed, size, maxSize, kind, puts: position } = this.#row();
    if (closed === 1) return { refused: "closed" };
    const item = unpackItem(payload!);
    if (this.#hasKey(item.options.dedup)) return { granted: "" };
    if (size >= (maxSize ?? Infinity)) return undefined;
    const id = this.#insert(item, { kind, position });
    if (id !== undefined) this.#countPuts(1);
    this.#getters.serve();
    return { granted: String(id ?? "") };
  }

  /** Whether an item with this key is in the queue. */
  #hasKey(dedup: string | undefined): boolean {
    if (dedup === undefined) return false;
    const sql = "SELECT 1 FROM items WHERE queue = ? AND dedup = ?";
    return this.#store.get(sql, this.#id, keyOf(dedup)) !== undefined;
  }

  /** Puts an item in; the caller counts it. Returns its id; undefined if one with its key is there. */
  #insert(
    { data, options: { priority = 0, delayMs = 0, dedup } }: NewItem,
    { kind, position }: { kind: QueueKind; position: number },
  ): number | undefined {
    const rank = kind === "priority" ? priority : 0;
    const place = kind === "lifo" ? -position : position;
    const key = dedup === undefined ? null : keyOf(dedup);
    const [state, due, dueAt] = delayMs > 0
      ? [DELAYED, uptimeMs() + delayMs, Date.now() + delayMs]
      : [READY, null, null];
    const { changes, id } = this.#store.run(
      `INSERT OR IGNORE INTO items (queue, state, rank, position, data, priority, dedup, attempts, due, dueAt, putAt)
       VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)`,
      ...[this.#id, state, rank, place, data, priority, key, due, dueAt, Date.now()],
    );
    return changes > 0 ? id : undefined;
  }

  #countPuts(count: number): void {
    const sql = "UPDATE queues SET puts = puts + ?, size = size + ? WHERE id = ?";
    this.#store.run(sql, count, count, this.#id);
  }

  #closedToPut(): ClosedError {
    return new ClosedError(`cannot put as the queue '${this.#name}' must be open: it was closed`);
  }

  #hand({ owner, command, payload }: Ask): Outcome {
    const { closed, size } = this.#row();
    const item = size === 0 ? undefined : this.#next();
    if (item === undefined) return closed === 1 && size === 0 ? { refused: "closed" } : undefined;
    const { leaseMs, guarded } = payload === null ? {} : termsOf(payload);
    const token = addLease(this.#store, {
      ...{ object: this.#object, owner, weight: 1, command, guarded: guarded ?? false },
      expires: leaseMs === undefined ? null : uptimeMs() + leaseMs,
    });
    this.#store.run(
      "UPDATE items SET state = 2, lease = ?, attempts = attempts + 1 WHERE id = ?",
      token,
      item,
    );
    this.#count({ size: -1, leased: 1 });
    this.#putters.serve();
    return { granted: token };
  }

  /** The item that is next; undefined if all are delayed. */
  #next(): number | undefined {
    this.#promote();
    return this.#store.get<{ id: number }>(
      "SELECT id FROM items WHERE queue = ? AND state = 0 ORDER BY rank, position LIMIT 1",
      this.#id,
    )?.id;
  }

  /** Makes ready what is due. */
  #promote(): void {
    const first = this.#store.get<{ due: number | null }>(
      "SELECT min(due) AS due FROM items WHERE queue = ? AND state = 1",
      this.#id,
    )!;
    if (first.due === null) return;
    this.#store.run(
      "UPDATE items SET state = 0 WHERE queue = ? AND state = 1 AND due <= ?",
      this.#id,
      uptimeMs(),
    );
  }

  #dueMs(): number | undefined {
    const { due } = this.#store.get<{ due: number | null }>(
      "SELECT min(due) AS due FROM items WHERE queue = ? AND state = 1",
      this.#id,
    )!;
    return due === null ? undefined : Math.max(0, due - uptimeMs());
  }

  /** The item of a lease. */
  #delivery(token: string): Delivery<T> {
    const row = this.#store.get<ItemRow>("SELECT data, attempts FROM items WHERE lease = ?", token);
    if (row === undefined) throw notLeased(token);
    return { item: this.#codec.decode(row.data), token, attempts: row.attempts };
  }

  /** An item was gotten: it leaves the queue, and is owed to `join` until it is reported. */
  #keep(token: string): void {
    this.#store.write(() => {
      this.#removeLeased(token);
      const object = `taken:${this.#name}`;
      const owner = this.#store.owners.idOf();
      const { changes } = this.#store.run(
        "UPDATE leases SET weight = weight + 1 WHERE object = ? AND owner = ?",
        object,
        owner,
      );
      if (changes === 0) addLease(this.#store, { object, owner, weight: 1 });
    });
  }

  #removeLeased(token: string): void {
    const { changes } = this.#store.run("DELETE FROM items WHERE lease = ?", token);
    if (changes === 0) throw notLeased(token);
    this.#store.run("DELETE FROM leases WHERE token = ?", token);
    this.#count({ leased: -1 });
  }

  /** Gives back what workers had that are gone. */
  #clear(): void {
    if (this.#gone().length === 0) return;
    this.#store.write(() => {
      for (const { id } of this.#gone()) dropLease(this.#store, id);
      this.#getters.serve();
      this.#joiners.serve();
    });
  }

  /** The leases of workers that are gone. */
  #gone(): { id: number }[] {
    const leases = [...leasesOf(this.#store, this.#object), ...leasesOf(this.#store, `taken:${this.#name}`)];
    return leases.filter(({ id }) => !this.#store.owners.holds(id));
  }

  /** Takes an item out that was put by one who had given up, if it is there still. */
  #takeBack(item: string): void {
    const { changes } = this.#store.run(
      "DELETE FROM items WHERE id = ? AND queue = ? AND state IN (0, 1)",
      item,
      this.#id,
    );
    this.#count({ size: -changes });
    this.#putters.serve();
    this.#joiners.serve();
  }
}

function notLeased(token: string): NotHeldError {
  return new NotHeldError(
    `cannot settle an item as the lease '${token}' must be held: it was settled, or has ended`,
  );
}

/** The terms of a lease, as the payload of who waits to receive. */
function askFor({ leaseMs, guarded, ...ask }: WaitOptions & ReceiveOptions): AskOptions {
  if (leaseMs === undefined && guarded === undefined) return { ...ask, request: 1 };
  return { ...ask, request: 1, payload: new TextEncoder().encode(JSON.stringify({ leaseMs, guarded })) };
}

function termsOf(payload: Uint8Array): Pick<ReceiveOptions, "leaseMs" | "guarded"> {
  return JSON.parse(new TextDecoder().decode(payload));
}
