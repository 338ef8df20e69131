/**
 * The interfaces that every reach implements: task (one event loop), thread (Workers of one process), host
 * (processes of one machine) and cluster (machines). Whoever codes against these can change how far a primitive
 * reaches without changing anything else; one conformance suite holds every implementation to them.
 *
 * Which one to use:
 *
 * | you want | use |
 * |---|---|
 * | one holder at a time | {@link Lock} |
 * | the same, and the holder may take it again | {@link RLock} |
 * | at most N holders at a time, or holders of different weight | {@link Semaphore} |
 * | many to wait until something has happened | {@link Event} |
 * | to hand work from producers to consumers | {@link Queue} |
 *
 * What holds for all of them:
 *
 * - Invariant: what is held is granted to exactly one owner and comes back exactly once.
 * - Fairness: waiters are served first come first served. A newcomer never overtakes one who waits, and a
 *   try-method counts as a newcomer: it takes nothing while others wait.
 * - Cancel safety: a wait that is aborted, or that times out, leaves the primitive as it was. An abort that comes
 *   in the same turn as the grant loses: what was granted is returned to the caller.
 * - Order of checks: a wait rejects with `signal.reason` if its signal is aborted already, before it looks at the state.
 *   `timeoutMs: 0` waits for nothing: it takes what is free now, else rejects with `TimeoutError`.
 * - Synchronous reaches answer at once where the type says {@link Awaitable}; portable code awaits.
 *
 * @module
 */

/** A value, or a promise of it: reaches that need no round trip answer at once. */
export type Awaitable<T> = T | PromiseLike<T>;

/** How long a wait may take. Both may be given; the first to strike ends the wait. */
export interface WaitOptions {
  /** Ends the wait when it is aborted; the wait rejects with `signal.reason`. */
  signal?: AbortSignal;
  /** Milliseconds until the wait rejects with `TimeoutError`. Default: no limit. Not negative, not NaN. */
  timeoutMs?: number;
}

/**
 * What a holder holds. It is released once: by {@link Lease.release}, or by leaving the scope of a `using`.
 * Disposing twice is harmless; releasing twice throws `NotHeldError`.
 */
export interface Lease extends Disposable {
  /** Gives back what is held. Throws `NotHeldError` if it was given back already, `BrokenLeaseError` if it was lost. */
  release(): void;
}

/** What a {@link Lock} says of itself at one moment. */
export interface LockStatistics {
  /** Whether somebody holds it. */
  held: boolean;
  /** How many wait for it. */
  waiting: number;
}

/** One holder at a time. Invariant: between two grants there is exactly one release. */
export interface Lock {
  /** Waits until the lock is ours. Cancel safety: a cancelled wait never holds the lock. */
  acquire(options?: WaitOptions): Promise<Lease>;
  /** Takes the lock if it is free and nobody waits for it, else returns undefined. */
  tryAcquire(): Awaitable<Lease | undefined>;
  /** Who holds and how many wait, at this moment. */
  statistics(): Awaitable<LockStatistics>;
}

/** What an {@link RLock} says of itself at one moment. */
export interface RLockStatistics extends LockStatistics {
  /** How many times the present owner holds it; 0 if it is free. */
  depth: number;
}

/**
 * A {@link Lock} whose owner may take it again. It is free once every lease of the owner was released.
 * Invariant: all leases that are out at one moment belong to one owner.
 */
export interface RLock extends Lock {
  /** As in {@link Lock}, with the depth of the present owner. */
  statistics(): Awaitable<RLockStatistics>;
}

/** Options of {@link Semaphore.acquire}. */
export interface AcquireOptions extends WaitOptions {
  /** How many permits are taken together. Default 1. More than the semaphore has throws `RangeError`. */
  weight?: number;
}

/** What a {@link Semaphore} says of itself at one moment. */
export interface SemaphoreStatistics {
  /** How many permits there are. */
  permits: number;
  /** How many are free. Below 0 after a resize below what is held. */
  available: number;
  /** How many wait. */
  waiting: number;
}

/**
 * At most `permits` at a time. Invariant: the weights of all leases that are out add up to `permits - available`.
 * A heavy waiter at the head of the line is not overtaken by light ones behind it.
 */
export interface Semaphore {
  /** Waits until `weight` permits are free, and takes them together. Cancel safety: a cancelled wait holds none. */
  acquire(options?: AcquireOptions): Promise<Lease>;
  /** Takes `weight` permits if they are free and nobody waits, else returns undefined. */
  tryAcquire(options?: { weight?: number }): Awaitable<Lease | undefined>;
  /**
   * Changes how many permits there are. Leases that are out stay valid; with fewer permits than are held, nobody is
   * admitted until enough came back. A waiter that wants more than there now are rejects with `RangeError`.
   */
  resize(permits: number): Awaitable<void>;
  /** Permits, free ones, waiters, at this moment. */
  statistics(): Awaitable<SemaphoreStatistics>;
}

/** What a wait for an {@link Event} returns. */
export interface EventOccurrence {
  /** How often the event was set or pulsed so far, this time included. */
  generation: number;
  /** The text that {@link Event.set} or {@link Event.pulse} was given; undefined if none. */
  data: string | undefined;
}

/** What an {@link Event} says of itself at one moment. */
export interface EventStatistics extends EventOccurrence {
  /** Whether it is set. */
  set: boolean;
  /** How many wait for it. */
  waiting: number;
}

/**
 * A flag that many wait for. Invariant: a wait that begins before, during or after a `set` returns, unless `clear` came
 * before the wait began; a `set` that is followed at once by `clear` still wakes everyone who waited.
 */
export interface Event {
  /** Sets the flag and wakes all waiters; setting again replaces the data and counts a generation. */
  set(data?: string): Awaitable<void>;
  /** Clears the flag and its data; the generation stays. */
  clear(): Awaitable<void>;
  /** Wakes who waits now, and leaves the flag as it is. Counts a generation. */
  pulse(data?: string): Awaitable<void>;
  /** Whether the flag is set. */
  isSet(): Awaitable<boolean>;
  /** Returns at once if the flag is set, else with the next set or pulse. Cancel safety: changes nothing. */
  wait(options?: WaitOptions): Promise<EventOccurrence>;
  /** The flag, its generation and data, and how many wait. */
  statistics(): Awaitable<EventStatistics>;
}

/** The order in which a {@link Queue} hands out its items. */
export type QueueKind = "fifo" | "lifo" | "priority";

/** Options of {@link Queue.put}. */
export interface PutOptions extends WaitOptions {
  /** For kind `priority`: the smallest comes out first, equals in the order they were put. Default 0. */
  priority?: number;
}

/** What {@link Queue.tryPut} found. Full is not closed. */
export type TryPutResult = { state: "ok" } | { state: "full" } | { state: "closed" };

/** What {@link Queue.tryGet} found. Empty is not closed. */
export type TryGetResult<T> = { state: "ok"; item: T } | { state: "empty" } | { state: "closed" };

/** What a {@link Queue} says of itself at one moment. */
export interface QueueStatistics {
  /** How many items wait in it. */
  size: number;
  /** How many items it takes before put waits; Infinity if there is no limit. */
  maxSize: number;
  /** How many items were taken out and not yet reported by `taskDone`, plus those inside. */
  unfinished: number;
  /** How many wait to put. */
  waitingToPut: number;
  /** How many wait to get. */
  waitingToGet: number;
  /** Whether it was closed. */
  closed: boolean;
}

/**
 * Hands items from producers to consumers. Invariant: every item that was put is gotten exactly once or still inside,
 * and never more than `maxSize` are inside.
 */
export interface Queue<T> extends AsyncIterable<T> {
  /** Puts an item, waiting while the queue is full. Throws `ClosedError` once closed. Cancel safety: the item is not put. */
  put(item: T, options?: PutOptions): Promise<void>;
  /** Puts an item if there is room and nobody waits to put. */
  tryPut(item: T, options?: { priority?: number }): Awaitable<TryPutResult>;
  /** Takes the next item, waiting while there is none. Throws `ClosedError` once closed and empty. Cancel safety: no item is lost. */
  get(options?: WaitOptions): Promise<T>;
  /** Takes the next item if there is one and nobody waits to get. */
  tryGet(): Awaitable<TryGetResult<T>>;
  /** Reports that one gotten item was dealt with. Throws `NotHeldError` if there is none to report. */
  taskDone(): Awaitable<void>;
  /** Waits until every item that was put was reported by `taskDone`. Cancel safety: changes nothing. */
  join(options?: WaitOptions): Promise<void>;
  /** No more puts, waiting ones included: they reject with `ClosedError`. Gets go on until it is empty. */
  close(): Awaitable<void>;
  /** Takes out and returns all that is inside, in the order `get` would; they count as dealt with. */
  drain(): Awaitable<T[]>;
  /** Sizes and waiters, at this moment. */
  statistics(): Awaitable<QueueStatistics>;
}
