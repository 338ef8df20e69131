/**
 * A pool of Workers: a function runs in several threads at once, over inputs that are sent to it.
 *
 * @module
 */

import { ClosedError, SystemError, TimeoutError, UsageError, WorkerDiedError } from "../errors.ts";
import type { WaitOptions } from "../primitives.ts";
import { follow, offAbort, onAbort } from "../abort.ts";
import { checkCount } from "../task/check.ts";
import { Feed } from "../task/feed.ts";
import type { MapOptions, ShutdownOptions } from "../task/pool.ts";
import { NOT_NOW, refuse, WaitingList } from "../task/waiters.ts";
import { Timer } from "../time/timer.ts";
import type { Breakable } from "./handle.ts";
import { MemoryWatch } from "./pool_memory.ts";
import { PoolBacklog, ThreadTask } from "./pool_task.ts";
import { PoolThread } from "./pool_thread.ts";
import type { Failure, ThreadFunction } from "./pool_worker.ts";

export type { ThreadFunction, ThreadTaskContext } from "./pool_worker.ts";

/** Options of {@link ThreadPool}. */
export interface ThreadPoolOptions {
  /** How many Workers there are at most. Default: the number of processors. */
  size?: number;
  /** Milliseconds until a Worker that has nothing to do is ended; a new one is started when there is work. Default 10,000. */
  idleMs?: number;
  /** Whether an input is an array, whose elements are the arguments of the function. Default false. */
  spread?: boolean;
  /**
   * How many bytes of memory a Worker may take, before it is ended and its task fails. Estimated, and only on Linux; a Worker that V8
   * lets run into the limit of its heap takes the program down. Default: 3 GiB, of the 4 GiB of a heap.
   */
  memoryBytes?: number;
  /**
   * Locks and other primitives that its Workers use: what a Worker held that died, or was ended because of a task of its, is taken from it
   * as soon as its thread has ended, and after a second at the latest.
   */
  guards?: readonly Breakable[];
  /** Told of each Worker that died, or was ended because of a task of its: what it held is held by nobody now. */
  onWorkerDeath?: (death: WorkerDeath) => void;
}

/** The end of a Worker that was not asked for. */
export interface WorkerDeath {
  /** The number that its tasks knew it by. */
  worker: number;
  /** What primitives between threads know it by: its `threadId`. */
  threadId: number;
  /** Why: a `WorkerDiedError`, or what its task was cancelled with. */
  reason: unknown;
}

/** Options of {@link ThreadPool.submit}. `signal` and `timeoutMs` count from the submit on, the wait for a Worker included. */
export interface ThreadSubmitOptions<O> extends WaitOptions {
  /** What is moved to the Worker instead of being copied, such as the ArrayBuffers of the input. */
  transfer?: Transferable[];
  /** Called with the outcome. An error of its own is an unhandled rejection. */
  onDone?: (outcome: PromiseSettledResult<O>) => void;
}

/** What a pool says of itself at one moment. */
export interface ThreadPoolStatistics {
  /** How many Workers there are at most. */
  size: number;
  /** How many Workers there are. */
  workers: number;
  /** How many tasks run, as far as that is known: one in each Worker that has any. */
  running: number;
  /** How many tasks wait for their turn, also those that a Worker was given but has not begun. */
  waiting: number;
  /** How many have returned. */
  succeeded: number;
  /** How many have failed or were cancelled. */
  failed: number;
  /** Whether it takes no more tasks. */
  closed: boolean;
}

/** How long the tasks of one message should take together: short beside what a person notices, long beside a message. */
const BATCH_MS = 1;
const MAX_BATCH = 256;
/** A task that takes longer than this is not sent before its Worker is free. */
const AHEAD_LIMIT_MS = 20;
const MEMORY_BYTES = 3 * 2 ** 30;
/** How much of that a Worker may take that was ended, for it may take its time to end. */
const LAST_CHANCE = 1.2;
/** How often it is looked whether a Worker takes too much memory. */
const MEMORY_POLL_MS = 100;
/** A task under which so many Workers died, without running at that moment, is not tried again. */
const MAX_LOSSES = 3;

/**
 * Runs one function in up to `size` Workers. Inputs and results are structured clones; functions, and with them closures, cannot be
 * sent, which is why the pool is given the function: an export of a module, or its source.
 *
 * Workers are started when there is work, are kept warm, and pull: a Worker is sent more when it has ended what it has. Tasks that take
 * less than a millisecond are sent and answered many at a time.
 *
 * Invariants: a task settles exactly once. It runs again only if its Worker died before its result came, so it never runs after it has
 * settled. A task that throws, whose result cannot be cloned, or under which its Worker dies fails alone; what else its Worker was
 * given is run elsewhere. No Worker is idle while a task waits.
 *
 * A Worker keeps the program running: dispose of the pool, or let `idleMs` pass.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ThreadPool<number, number>({ source: "n => n ** 2" }, { size: 2 });
 * assertEquals(await pool.submit(7), 49);
 *
 * const squares: number[] = [];
 * for await (const square of pool.map([1, 2, 3])) squares.push(square);
 * assertEquals(squares, [1, 4, 9]);
 * ```
 */
export class ThreadPool<I, O> implements AsyncDisposable {
  readonly #fn: { module: string; export: string } | { source: string };
  readonly #size: number;
  readonly #idleMs: number;
  readonly #spread: boolean;
  readonly #guards: readonly Breakable[];
  readonly #onWorkerDeath: ((death: WorkerDeath) => void) | undefined;
  /** Aborted when the pool is cancelled. */
  readonly #controller = new AbortController();
  readonly #threads = new Set<PoolThread>();
  /** Tasks that no Worker was given. */
  readonly #backlog = new PoolBacklog();
  /** How many tasks have not settled. */
  #unsettled = 0;
  /** How long a task takes, estimated to be rather too long than too short; undefined until one has ended. */
  #taskMs: number | undefined;
  #started = 0;
  #succeeded = 0;
  #failed = 0;
  #closed = false;
  #isLoaded = false;
  /** Why the function cannot be run. */
  #unusable: UsageError | undefined;
  #isScheduled = false;
  #idleTimer: Timer | undefined;
  readonly #memory: MemoryWatch;
  #memoryTimer: ReturnType<typeof setInterval> | undefined;

  readonly #idle = new WaitingList<void, void>({
    what: "the tasks of a pool to end",
    grant: () => this.#unsettled === 0 ? undefined : NOT_NOW,
  });

  readonly #loaded = new WaitingList<void, void>({
    what: "a Worker to load its function",
    grant: () => this.#isLoaded ? undefined : NOT_NOW,
  });

  /**
   * @param fn What to run: it gets an input and a {@link ThreadTaskContext}. It may return a promise.
   * @param options How many Workers, how long they are kept, and how inputs are passed.
   * @throws {RangeError} If `size` is no whole number above 0, or `idleMs` is negative or NaN.
   */
  constructor(fn: ThreadFunction, options: ThreadPoolOptions = {}) {
    const { size = navigator.hardwareConcurrency, idleMs = 10_000, spread = false } = options;
    const { memoryBytes = MEMORY_BYTES, guards = [], onWorkerDeath } = options;
    checkCount("make a pool", { name: "size", value: size });
    checkCount("make a pool", { name: "memoryBytes", value: memoryBytes });
    if (!(idleMs >= 0)) {
      throw new RangeError(
        `cannot make a pool as 'idleMs' must be a number of milliseconds, 0 or more: received ${idleMs}`,
      );
    }
    this.#fn = "source" in fn
      ? { source: fn.source }
      : { module: String(fn.module), export: fn.export ?? "default" };
    this.#size = size;
    this.#idleMs = idleMs;
    this.#spread = spread;
    this.#memory = new MemoryWatch(memoryBytes);
    this.#guards = guards;
    this.#onWorkerDeath = onWorkerDeath;
  }

  /**
   * Starts a Worker if there is none, and waits until one has loaded the function. Not needed before {@link ThreadPool.submit}, which
   * fails in the same way.
   *
   * Cancel safety: changes nothing.
   *
   * @param options When to give up waiting. Default: never.
   * @throws {ClosedError} If the pool is closed.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws {UsageError} If the function cannot be loaded.
   * @throws The reason of the signal, if it is aborted.
   */
  ready(options?: WaitOptions): Promise<void> {
    if (this.#closed) return Promise.reject(poolClosed());
    if (this.#unusable === undefined && this.#threads.size === 0) this.#start();
    return this.#loaded.wait(undefined, options);
  }

  /**
   * Runs the function with an input, as soon as a Worker is free.
   *
   * Cancel safety: a task that is cancelled before its turn never runs. One that runs cannot be told: its Worker is ended, and what
   * else the Worker was given is run elsewhere. Deno 2.9 does not stop a Worker that is in a loop which never ends (denoland/deno#35657);
   * it takes its processor time, and keeps the program from ending by itself, unless the task has a `timeoutMs`.
   *
   * @param input What the function gets. Not to be changed before the task has settled, for it may be sent more than once.
   * @param options When to give up (default: never), what to move, and what to call with the outcome.
   * @returns What the function returned.
   * @throws What the function threw: an Error with the name, message and stack that it had there, or a clone of any other value.
   * @throws {ClosedError} If the pool is closed, or cancelled before the task has ended.
   * @throws {DOMException} If the input or the result cannot be cloned.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If a Worker cannot be kept from taking all memory.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws {UsageError} If the function cannot be loaded.
   * @throws {WorkerDiedError} If the Worker died while it ran the task.
   * @throws The reason of the signal, if it is aborted.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   *
   * const source = "(bytes, { transfer }) => (transfer(bytes.buffer), bytes.fill(7))";
   * await using pool = new ThreadPool<Uint8Array, Uint8Array>({ source }, { size: 1 });
   * const bytes = new Uint8Array(1024);
   * const filled = await pool.submit(bytes, { transfer: [bytes.buffer] });
   * assertEquals([bytes.length, filled.length, filled[0]], [0, 1024, 7]);
   * ```
   */
  submit(input: I, options?: ThreadSubmitOptions<O>): Promise<O> {
    const refusal = options && refuse(options);
    if (refusal !== undefined) return Promise.reject(refusal.reason);
    if (this.#closed) return Promise.reject(poolClosed());
    if (this.#unusable !== undefined) return Promise.reject(this.#unusable);
    const { promise, resolve, reject } = Promise.withResolvers<O>();
    const task = new ThreadTask(input, { resolve: resolve as (value: unknown) => void, reject });
    this.#unsettled += 1;
    this.#backlog.push(task);
    this.#schedule();
    if (options !== undefined) this.#limit(task, options);
    const onDone = options?.onDone;
    if (onDone !== undefined) {
      promise.then(
        (value) => onDone({ status: "fulfilled", value }),
        (reason) => onDone({ status: "rejected", reason }),
      );
    }
    return promise;
  }

  /**
   * Runs the function for each input and yields what it returned. Inputs are pulled as results are taken, so they may be endless. The
   * Workers are shared with whatever else the pool runs.
   *
   * Cancel safety: when the iteration ends early, by `break`, an error or the signal, tasks that wait are dropped, the Workers of
   * those that run are ended, and the source is closed, unless it is just being waited for.
   *
   * @param source The inputs.
   * @param options The order of the results, how far to pull ahead (default: 256 inputs for each Worker), and when to give up.
   * @throws What the source or the function threw, in place of the result.
   * @throws {ClosedError} If the pool is closed.
   * @throws {RangeError} If `ahead` is no whole number above 0.
   * @throws The reason of the signal, if it is aborted.
   */
  async *map(
    source: Iterable<I> | AsyncIterable<I>,
    { ordered = true, ahead = MAX_BATCH * this.#size, signal }: MapOptions = {},
  ): AsyncGenerator<O, void, undefined> {
    checkCount("map", { name: "ahead", value: ahead });
    const stop = new AbortController();
    const unfollow = follow(stop, [this.#controller.signal, signal]);
    const start = (input: I) => this.submit(input, { signal: stop.signal });
    const feed = new Feed({ source, ordered, ahead, signal: stop.signal, start });
    try {
      yield* feed.results();
    } finally {
      unfollow();
      stop.abort();
      await feed.ended();
    }
  }

  /**
   * Takes no more tasks; those that were submitted still run. The Workers are ended after the last one.
   *
   * Cancel safety: a cancelled wait leaves the pool shut down, and its tasks running.
   *
   * @param options Whether to wait for the tasks (default: yes), and when to give up waiting (default: never).
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  shutdown({ wait = true, ...options }: ShutdownOptions = {}): Promise<void> {
    this.#closed = true;
    this.#rest();
    return wait ? this.#idle.wait(undefined, options) : Promise.resolve();
  }

  /**
   * Takes no more tasks and cancels those there are: who waits never runs, and the Workers of those that run are ended.
   *
   * @param reason What the promises of the tasks reject with. Default: a `ClosedError`.
   */
  cancel(reason: unknown = new ClosedError("the pool was cancelled")): Promise<void> {
    this.#closed = true;
    this.#controller.abort(reason);
    this.#failAll(reason);
    return this.#idle.wait();
  }

  /** Shuts down and waits for all tasks. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /** Workers, and what runs, waits and has ended, at this moment. */
  statistics(): ThreadPoolStatistics {
    const unsettled = this.#unsettled;
    const busy = [...this.#threads].filter(({ load }) => load > 0).length;
    const running = Math.min(busy, unsettled);
    return {
      size: this.#size,
      workers: this.#threads.size,
      running,
      waiting: unsettled - running,
      succeeded: this.#succeeded,
      failed: this.#failed,
      closed: this.#closed,
    };
  }

  #limit(task: ThreadTask, { signal, timeoutMs = Infinity, transfer }: ThreadSubmitOptions<O>): void {
    task.transfer = transfer;
    if (signal === undefined && timeoutMs === Infinity) return;
    task.deadlineMs = performance.now() + timeoutMs;
    const cancel = (reason: unknown) => this.#cancelTask(task, reason);
    const timer = timeoutMs === Infinity
      ? undefined
      : new Timer(timeoutMs, () => cancel(new TimeoutError(`the task took longer than ${timeoutMs} ms`)));
    if (signal !== undefined) onAbort(signal, cancel);
    task.leave = () => {
      timer?.cancel();
      if (signal !== undefined) offAbort(signal, cancel);
    };
  }

  #cancelTask(task: ThreadTask, reason: unknown): void {
    const { thread } = task;
    // One that runs can only be ended with its Worker; one that has ended there is reported to nobody.
    if (thread !== undefined && !thread.takeBack(task) && thread.isRunning(task)) {
      return this.#bury(thread, reason, { culprit: task });
    }
    if (thread === undefined) this.#backlog.delete(task);
    this.#fail(task, reason);
  }

  /** Gives work to the Workers, once for all that is submitted in this turn, so that tasks share messages. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#serve();
    });
  }

  #serve(): void {
    const threads = [...this.#threads];
    const free = threads.filter(({ load }) => load === 0).length;
    const toStart = Math.min(this.#size - threads.length, this.#backlog.length - free);
    for (let count = 0; count < toStart; count++) this.#start();
    for (const thread of threads) if (thread.isReady && thread.load === 0) this.#give(thread);
    // A task that waits behind another is there only for a Worker that would otherwise wait for a message.
    const allBusy = toStart <= 0 && threads.length === this.#size && threads.every(({ load }) => load > 0);
    if (!allBusy) return;
    for (const thread of threads) if (this.#isWanting(thread)) this.#give(thread);
  }

  /** Whether a Worker that is busy should have tasks for afterwards: if they fill a message, for it asks when it has ended what it has. */
  #isWanting({ load, isExclusive }: PoolThread): boolean {
    if (this.#taskMs === undefined || this.#taskMs > AHEAD_LIMIT_MS || isExclusive) return false;
    const batch = this.#batchSize();
    return load <= batch && this.#backlog.length >= batch;
  }

  /** How many tasks share a message. */
  #batchSize(): number {
    if (this.#taskMs === undefined) return 1;
    return Math.max(1, Math.min(MAX_BATCH, Math.floor(BATCH_MS / this.#taskMs)));
  }

  /** Gives a Worker tasks, if there are any. */
  #give(thread: PoolThread): void {
    if (this.#backlog.length === 0 && thread.load === 0) this.#takeBack();
    const share = Math.ceil(this.#backlog.length / this.#size);
    const tasks = this.#backlog.take(Math.min(this.#batchSize(), share), { alone: thread.load === 0 });
    if (tasks.length === 0) return;
    const unsent = thread.send(tasks);
    for (const { task, error } of unsent) this.#fail(task, error);
    // In their place the Worker can have others.
    if (unsent.length > 0) this.#schedule();
  }

  /** Takes back half of what a Worker has not begun, of the one with the most: another one has nothing to do. */
  #takeBack(): void {
    for (const thread of [...this.#threads].sort((a, b) => b.load - a.load)) {
      if (thread.load < 2) return;
      const taken = thread.takeBackHalf();
      if (taken.length === 0) continue;
      return this.#backlog.putBack(taken);
    }
  }

  #start(): void {
    const thread = new PoolThread({
      id: ++this.#started,
      fn: this.#fn,
      spread: this.#spread,
      events: {
        ready: () => {
          this.#isLoaded = true;
          this.#loaded.serve();
          this.#goOn(thread);
        },
        unusable: (problem) => this.#abandon(problem),
        succeeded: (task, value) => this.#succeed(task, value),
        failed: (task, failure) => this.#fail(task, errorOf(failure)),
        reported: ({ count, busyMs }) => {
          if (count > 0) this.#learn(busyMs / count);
          this.#goOn(thread);
        },
        died: (failure) => {
          const cause = errorOf(failure);
          const text = cause instanceof Error ? cause.message : String(cause);
          if (!thread.isReady) return this.#abandon(`the Worker died: ${text}`);
          this.#bury(thread, new WorkerDiedError(`the Worker died: ${text}`, { cause }));
        },
      },
    });
    this.#threads.add(thread);
    this.#memoryTimer ??= setInterval(() => this.#checkMemory(), MEMORY_POLL_MS);
  }

  /**
   * Ends the Worker that takes too much memory, if there is one. If that does not stop it, all tasks fail: this is the last chance to
   * tell anybody.
   */
  #checkMemory(): void {
    const known = [...this.#threads].filter(({ systemId }) => systemId !== undefined);
    const found = this.#memory.look(known.map(({ systemId }) => systemId!));
    if (found === undefined) return;
    const { limitBytes } = this.#memory;
    const thread = known.find(({ systemId }) => systemId === found.thread);
    if (thread !== undefined) {
      const gibibytes = (limitBytes / 2 ** 30).toPrecision(2);
      this.#bury(thread, new WorkerDiedError(`the Worker took more than ${gibibytes} GiB of memory`));
    } else if (found.thread !== Deno.pid && found.bytes > LAST_CHANCE * limitBytes) {
      this.#failAll(
        new SystemError("a Worker that was ended goes on and takes more memory: give its task a timeout"),
      );
    }
  }

  /** A Worker has room. */
  #goOn(thread: PoolThread): void {
    if (thread.isEnded) return;
    this.#serve();
    if (thread.load > 0 || this.#idleMs === Infinity) return;
    thread.idleSinceMs = performance.now();
    this.#idleTimer ??= new Timer(this.#idleMs, () => this.#shrink());
  }

  /** Ends the Workers that have had nothing to do for long enough. */
  #shrink(): void {
    this.#idleTimer = undefined;
    const idle = [...this.#threads].filter(({ isReady, load }) => isReady && load === 0);
    const untilMs = idle.map(({ idleSinceMs }) => idleSinceMs + this.#idleMs - performance.now());
    for (const [index, thread] of idle.entries()) if (untilMs[index]! <= 0) this.#end(thread);
    const nextMs = Math.min(...untilMs.filter((ms) => ms > 0));
    if (nextMs < Infinity) this.#idleTimer = new Timer(nextMs, () => this.#shrink());
  }

  /** Takes in how long tasks took. What took longer counts at once: then short tasks must not wait behind long ones. */
  #learn(taskMs: number): void {
    const known = this.#taskMs;
    this.#taskMs = known === undefined || taskMs > known ? taskMs : 0.75 * known + 0.25 * taskMs;
  }

  #succeed(task: ThreadTask, value: unknown): void {
    if (!this.#settle(task)) return;
    this.#succeeded += 1;
    task.resolve(value);
    this.#rest();
  }

  #fail(task: ThreadTask, reason: unknown): void {
    if (!this.#settle(task)) return;
    this.#failed += 1;
    task.reject(reason);
    this.#rest();
  }

  /** Whether a task was still to be settled: it is not any more. */
  #settle(task: ThreadTask): boolean {
    if (task.isSettled) return false;
    task.isSettled = true;
    task.input = undefined;
    task.leave?.();
    this.#unsettled -= 1;
    return true;
  }

  /** When all tasks have settled: who waits for that is told, and a pool that is closed ends its Workers. */
  #rest(): void {
    if (this.#unsettled > 0) return;
    if (this.#closed) this.#endAll();
    this.#idle.serve();
  }

  /**
   * Ends a Worker that died, or whose task, the `culprit`, was cancelled. What ran there fails with it, and its other tasks are run
   * again.
   */
  #bury(thread: PoolThread, reason: unknown, { culprit }: { culprit?: ThreadTask } = {}): void {
    const left = this.#end(thread).filter(({ task }) => !task.isSettled);
    const isUnexplained = culprit === undefined && !left.some(({ wasRunning }) => wasRunning);
    const again: ThreadTask[] = [];
    for (const { task, wasRunning } of left) {
      if (isUnexplained) task.losses += 1;
      const isLost = wasRunning || task === culprit || task.losses === MAX_LOSSES ||
        task.transfer !== undefined;
      if (isLost) this.#fail(task, reason);
      else again.push(task);
    }
    this.#backlog.putBack(again);
    this.#schedule();
    void this.#breakLeases(thread);
    this.#onWorkerDeath?.({ worker: thread.id, threadId: thread.threadId, reason });
  }

  async #breakLeases(thread: PoolThread): Promise<void> {
    if (this.#guards.length === 0) return;
    await thread.gone();
    for (const guard of this.#guards) guard.breakLeases(thread.threadId);
  }

  /** The function cannot be run, by this Worker or any other. */
  #abandon(problem: string): void {
    const what = "source" in this.#fn
      ? `the function '${firstLine(this.#fn.source)}'`
      : `'${this.#fn.export}' of module '${this.#fn.module}'`;
    const error = new UsageError(`cannot run ${what}: ${firstLine(problem)}`);
    this.#unusable = error;
    this.#loaded.close(() => error);
    this.#failAll(error);
  }

  #failAll(reason: unknown): void {
    const left = [...this.#endAll(), ...this.#backlog.takeAll()];
    for (const task of left) this.#fail(task, reason);
    this.#rest();
  }

  /** Ends all Workers; returns the tasks that they had. */
  #endAll(): ThreadTask[] {
    this.#idleTimer?.cancel();
    this.#idleTimer = undefined;
    if (this.#unusable === undefined) this.#loaded.close(poolClosed);
    return [...this.#threads].flatMap((thread) => this.#end(thread)).map(({ task }) => task);
  }

  #end(thread: PoolThread): ReturnType<PoolThread["end"]> {
    this.#threads.delete(thread);
    if (this.#threads.size === 0) {
      clearInterval(this.#memoryTimer);
      this.#memoryTimer = undefined;
    }
    return thread.end();
  }
}

function poolClosed(): ClosedError {
  return new ClosedError("cannot submit a task as the pool must be open: it was shut down");
}

/** What was thrown in a Worker: an Error with the name, message and stack that it had there, or another value. */
function errorOf(failure: Failure): unknown {
  if ("thrown" in failure) return failure.thrown;
  const { name, message, stack } = failure;
  const type = BUILT_IN_ERRORS.find((type) => type.name === name) ?? Error;
  const error = new type(message);
  if (error.name !== name) {
    Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  }
  Object.defineProperty(error, "stack", { value: stack, configurable: true, writable: true });
  return error;
}

const BUILT_IN_ERRORS = [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];

function firstLine(text: string): string {
  return text.trim().replace(/\n[^]*$/, " …");
}
