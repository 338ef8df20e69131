/**
 * What the shell needs of the primitives that processes share, beyond the interfaces in `primitives.ts`: objects by name, who holds them and
 * who waits, and what is done to a queue from outside. The host reach and the cluster reach implement these, so that a command does not know
 * which of the two it talks to.
 *
 * @module
 */

import type {
  AcquireOptions,
  Awaitable,
  Event,
  EventStatistics,
  Lease,
  Lock,
  LockStatistics,
  PutOptions,
  Queue,
  QueueKind,
  QueueStatistics,
  Semaphore,
  SemaphoreStatistics,
  WaitOptions,
} from "./primitives.ts";
import { NotHeldError } from "./errors.ts";

/**
 * What a job finds in its environment: the fencing number of what it runs under. It grows with every grant, so what the job writes to can refuse
 * whoever comes with a smaller one than it has seen.
 */
export const FENCE_VARIABLE = "CONC_FENCE";

/** A lease that a job can run under. */
export interface JobLease extends Lease {
  /** Names it: who knows it can release it. */
  readonly token: string;
  /** Aborted when it was lost, and another may hold what it held. Undefined where that cannot happen while we live. */
  readonly lost?: AbortSignal;
  /** Milliseconds from the loss of the way to it until another may have it. */
  readonly graceMs?: number;
  /** Says that a job is about to run under it. Returns what the job must have in its environment. */
  guard(
    env?: { get(name: string): string | undefined },
    options?: Pick<WaitOptions, "signal">,
  ): Awaitable<Record<string, string>>;
  /** Says which process the job began with. */
  guards(pid: number, options?: Pick<WaitOptions, "signal">): Awaitable<void>;
}

/** Who holds, for people and programs. */
export interface Holder {
  /** The machine; undefined for this one. */
  host?: string;
  /** The process; undefined for a lease that only time ends. */
  pid: number | undefined;
  /** The process of the job that it guards. */
  jobPid: number | undefined;
  command: string | undefined;
  since: Date;
  weight: number;
  token: string;
}

/** Who waits, for people and programs. */
export interface Waiter {
  /** The machine; undefined for this one. */
  host?: string;
  pid: number;
  command: string | undefined;
  since: Date;
  weight: number;
}

/** What something is held for, for people who ask who holds it. */
export interface ForPeople {
  command?: string;
}

/** A process, so that another one that gets its number later is not taken for it. */
export interface Identity {
  pid: number;
  /** When it started, in clock ticks since boot; 0 where that cannot be known. */
  started: number;
  /** Its pid namespace; empty where there are none. */
  namespace: string;
}

/** Options of {@link NamedLock.acquire}. */
export interface NamedLockOptions extends WaitOptions, ForPeople {
  /** Whether others may hold it beside us who share it too. Default false. */
  shared?: boolean;
}

/** A lock that has a name. */
export interface NamedLock extends Lock {
  acquire(options?: NamedLockOptions): Promise<JobLease>;
  /** Whether it is held and how many wait, and who. Between machines who does not answer is missing among these, and counted. */
  status(): Awaitable<
    LockStatistics & {
      holders: (Holder & { shared: boolean })[];
      waiters: (Waiter & { shared: boolean })[];
    }
  >;
}

/** Options of {@link NamedSemaphore.acquire}. */
export interface NamedAcquireOptions extends AcquireOptions, ForPeople {}

/** Options of {@link NamedSemaphore.lend}: who holds the permits from then on, or for how many milliseconds they are held. */
export type LendOptions = NamedAcquireOptions & ({ owner: Identity } | { ttlMs: number });

/** Permits that this process holds for another one. */
export interface Loan {
  /** Names it: who knows it can release it. */
  readonly token: string;
  /** Settles when the permits are not held any more: they were released, or lost. */
  readonly ended: Promise<void>;
  /** Gives them back. Does nothing if they are not held any more. */
  end(): Promise<void>;
}

/** Options of {@link NamedSemaphore.keep}: `owner`: who is shown as the holder, if any. */
export type KeepOptions = NamedAcquireOptions & { owner?: Identity };

/** A semaphore that has a name. */
export interface NamedSemaphore extends Semaphore {
  acquire(options?: NamedAcquireOptions): Promise<JobLease>;
  /** Waits for permits, and hands them to another process, or lets time end the lease. Returns the token that `release` takes. */
  lend(options: LendOptions): Promise<string>;
  /** Waits for permits, and holds them for another process until the loan ends. Undefined where the store holds what is lent. */
  keep?(options?: KeepOptions): Promise<Loan>;
  /** Gives back permits by their token. Throws `NotHeldError` if no lease of this semaphore has it. */
  release(token: string): Awaitable<void>;
  /** Permits, who holds them and who waits. Between machines who does not answer is missing among these, and counted. */
  status(): Awaitable<SemaphoreStatistics & { holders: Holder[]; waiters: Waiter[] }>;
}

/** What {@link NamedSemaphore.release} throws for a token that names no lease of a semaphore. */
export function noSuchLease(name: string, token: string): NotHeldError {
  return new NotHeldError(
    `cannot release '${token}' as the semaphore '${name}' has no such lease: it was released already, or has ended`,
  );
}

/** What is done to an event. */
export type EventChange = { action: "set" | "pulse"; data?: string } | { action: "clear" };

/** An event of a store. */
export interface NamedEventStatus extends EventStatistics {
  name: string;
  /** When it was set, cleared or pulsed last. */
  since: Date;
}

/** An event that has a name. */
export interface NamedEvent extends Event {
  /** Changes it. Returns how it stands right then. */
  change(change: EventChange): Awaitable<EventStatistics>;
}

/** How an item is put. */
export interface ItemOptions {
  /** For kind `priority`: the smallest comes out first, equals in the order they were put. Default 0. */
  priority?: number;
  /** Milliseconds until it can be gotten. Default 0. */
  delayMs?: number;
  /** While an item with this key is in the queue, another one is not put. */
  dedup?: string;
}

/** How many items are put, and when to give up; that matters where they are not put at once. */
export type PutManyOptions = WaitOptions & Omit<ItemOptions, "dedup"> & {
  dedup?: (item: Uint8Array) => string;
};

/** What became of many items. */
export interface PutManyResult {
  /** How many were dealt with, from the first on. */
  taken: number;
  /** How many of them were there already. */
  duplicates: number;
}

/** How an item is given back. */
export interface GiveBackOptions {
  /** Milliseconds until it is ready again. Default 0. */
  delayMs?: number;
  /** Whether it is to be a dead letter instead. Default false. */
  dead?: boolean;
  /** Why, for people. */
  error?: string;
  /** Whether this was an attempt. Default true; false for work that was cut off for no fault of the item. */
  counts?: boolean;
}

/** An item that was received, and is to be acknowledged. */
export interface Delivery<T> {
  item: T;
  /** Names the lease that it is under. */
  token: string;
  /** How often it was received, this time included. */
  attempts: number;
}

/** What a store says of one queue. */
export interface NamedQueueStatus extends QueueStatistics {
  name: string;
  kind: QueueKind;
  /** How many items are there that are not due yet; they count in `size`. */
  delayed: number;
  /** How many were received and not acknowledged. */
  leased: number;
  /** How many are dead letters. */
  dead: number;
  /** Whether somebody does not answer who may have received items, which are missing in `leased` and `unfinished` then. */
  isSilent?: boolean;
}

/** An item that failed too often. */
export interface DeadLetter<T> {
  id: number;
  item: T;
  attempts: number;
  /** What it failed with last, for people. */
  error: string | undefined;
  /** When it was put. */
  putAt: Date;
}

/** Options of {@link Reach.queue}. When to give up matters where it cannot be made at once. */
export interface NamedQueueOptions extends WaitOptions {
  /** The order of the items. Default: what it has, or `fifo` if it is new. */
  kind?: QueueKind;
  /** How many items it takes before put waits; Infinity for no limit. Default: what it has, or no limit if it is new. */
  maxSize?: number;
  /** How items are to be put: what the store cannot do is refused before the queue is made. */
  items?: Omit<ItemOptions, "dedup"> & { dedup?: unknown };
}

/** A queue of bytes that has a name. */
export interface NamedQueue extends Queue<Uint8Array> {
  put(item: Uint8Array, options?: PutOptions & ItemOptions): Promise<void>;
  /** Puts the first of many items for which there is room. Returns how many were dealt with, and how many of them were there already. */
  putMany(items: readonly Uint8Array[], options?: PutManyOptions): Awaitable<PutManyResult>;
  /** Takes the next item under a lease, waiting while there is none. */
  receive(options?: WaitOptions): Promise<Delivery<Uint8Array>>;
  /** Takes what is ready, up to so many items, or the first that has so many bytes together with those before. */
  receiveMany(count: number, options?: { maxBytes?: number }): Awaitable<Delivery<Uint8Array>[]>;
  /** Items that were received are dealt with: they leave the queue. */
  ack(...tokens: string[]): Awaitable<void>;
  /** Gives an item back, or makes it a dead letter. */
  giveBack(token: string, options?: GiveBackOptions): Awaitable<void>;
  /** The next items, which stay. */
  peek(count?: number): Awaitable<Uint8Array[]>;
  /** Throws away what waits. Returns how many items. */
  purge(): Awaitable<number>;
  /** Throws it away with all that is in it. Returns how many items. */
  delete(): Awaitable<number>;
  deadLetters(): Awaitable<DeadLetter<Uint8Array>[]>;
  /** Puts the dead letters back in line. Returns how many. */
  redrive(): Awaitable<number>;
  status(): Awaitable<NamedQueueStatus>;
}

/** Options of {@link Reach.consumer}. */
export interface ConsumerOptions extends ForPeople {
  /** Milliseconds that an item may be without a sign of life of ours. Default: as long as this process or the item's job lives. */
  leaseMs?: number;
  /** How many items are worked on at once. Default 1. */
  concurrency?: number;
  /** Ends once every item is dealt with, by whomever, instead of waiting for more. Default false. */
  untilEmpty?: boolean;
  /** Stops it: no more items. */
  signal?: AbortSignal;
}

/** An item to work on. */
export interface Received extends Delivery<Uint8Array> {
  /** What a job that works on it must have in its environment. */
  env: Record<string, string>;
}

/** Receives items one by one, and is told of each what became of it. */
export interface Consumer extends Disposable {
  /** The next item; undefined when none will come. */
  next(): Promise<Received | undefined>;
  /** The item is dealt with. */
  done(token: string): void;
  /** The item is to be received again, or to be a dead letter. */
  giveBack(token: string, options: GiveBackOptions): void;
  /** Told of an item that was taken away, and why if that is known: who works on it is to stop. */
  onLost: (token: string, reason?: Error) => void;
  /** Milliseconds from then until another may have it, where that is known. */
  readonly graceMs?: number | undefined;
  /** No more items; what was said of others is kept for good. */
  close(): Awaitable<void>;
}

/** Options of {@link Reach.whenFree}. Without `timeoutMs` it takes as long as the reach thinks fit; what takes longer is an error. */
export interface WhenFreeOptions extends WaitOptions {
  /** Whether it must survive a power cut. Default false. */
  durable?: boolean;
}

/** Everything that has a name, at one reach and in one place. */
export interface Reach extends AsyncDisposable {
  lock(name: string): Promise<NamedLock>;
  /** Names of the locks that are held or waited for. */
  lockNames(): Promise<string[]>;
  /** A semaphore, made if it is not there. Throws `UsageError` if it is in use with another number of permits. */
  semaphore(name: string, options?: WaitOptions & { permits?: number }): Promise<NamedSemaphore>;
  semaphoreNames(): Promise<string[]>;
  event(name: string): Promise<NamedEvent>;
  events(): Promise<NamedEventStatus[]>;
  /** A queue, made if it is not there. Throws `UsageError` if it is there with another kind or size. */
  queue(name: string, options?: NamedQueueOptions): Promise<NamedQueue>;
  hasQueue(name: string): Promise<boolean>;
  queues(): Promise<NamedQueueStatus[]>;
  /** Receives the items of a queue to work on. */
  consumer(name: string, options?: ConsumerOptions): Promise<Consumer>;
  /**
   * Does something to what has a name as soon as that is possible, without keeping the event loop waiting; see {@link WhenFreeOptions} for
   * when it gives up. What `action` does before it first awaits is done as a whole or not at all. It is told to end by
   * its signal, where there is one.
   */
  whenFree<T>(action: (signal?: AbortSignal) => Awaitable<T>, options?: WhenFreeOptions): Promise<T>;
  /** The same, however long that takes, and a while longer once the signal is aborted: for what should not be lost at the end. */
  beforeEnd<T>(action: () => Awaitable<T>, options: { signal: AbortSignal }): Promise<T>;
}
