/**
 * A pool of async tasks in one event loop: so many functions run at once, the others wait for their turn.
 *
 * @module
 */

import { ClosedError, TimeoutError } from "../errors.ts";
import type { WaitOptions } from "../primitives.ts";
import { Timer } from "../time/timer.ts";
import { follow, offAbort, onAbort } from "../abort.ts";
import { checkCount } from "./check.ts";
import { Feed } from "./feed.ts";
import { NOT_NOW, refuse, WaitingList } from "./waiters.ts";

/** A task of a pool: it should end soon after its signal is aborted. */
export type PoolTask<T> = (signal: AbortSignal) => T | PromiseLike<T>;

/** Options of {@link TaskPool.submit}. `signal` and `timeoutMs` count from the submit on, the wait for a turn included. */
export interface SubmitOptions<T> extends WaitOptions {
  /** Called with the outcome. An error of its own is an unhandled rejection. */
  onDone?: (outcome: PromiseSettledResult<T>) => void;
}

/** Options of {@link TaskPool.map}. */
export interface MapOptions {
  /** Whether results come in the order of the inputs, or as they are completed. Default true. */
  ordered?: boolean;
  /** How many inputs are pulled before their results are taken. Default: twice the concurrency. */
  ahead?: number;
  /** Ends the iteration, which then throws its reason. */
  signal?: AbortSignal;
}

/** Options of {@link TaskPool.shutdown}. */
export interface ShutdownOptions extends WaitOptions {
  /** Whether to wait until all tasks have ended. Default true. */
  wait?: boolean;
}

/** What a pool says of itself at one moment. */
export interface TaskPoolStatistics {
  /** How many may run at once. */
  concurrency: number;
  /** How many run. */
  running: number;
  /** How many wait for their turn. */
  waiting: number;
  /** How many have returned. */
  succeeded: number;
  /** How many have thrown. */
  failed: number;
  /** Whether it takes no more tasks. */
  closed: boolean;
}

interface Task {
  fn: PoolTask<unknown>;
  signal: AbortSignal;
}

/**
 * Runs functions, `concurrency` of them at once, in the order they were submitted.
 *
 * Invariants: never more than `concurrency` functions run, counting those whose caller has given up; a task that was cancelled before
 * its turn never runs; no turn is left unused while a task waits.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new TaskPool(4);
 * assertEquals(await pool.submit(() => 6 * 7), 42);
 *
 * const squares: number[] = [];
 * for await (const square of pool.map([1, 2, 3], (n) => n ** 2)) squares.push(square);
 * assertEquals(squares, [1, 4, 9]);
 * ```
 */
export class TaskPool implements AsyncDisposable {
  readonly #concurrency: number;
  readonly #controller = new AbortController();
  #running = 0;
  #succeeded = 0;
  #failed = 0;
  #closed = false;

  /** What is granted is the run itself, begun: a promise, which is what the wait then resolves to. */
  readonly #turns = new WaitingList<Task, Promise<unknown>>({
    what: "a turn in a pool",
    grant: (task) => this.#running < this.#concurrency ? this.#run(task) : NOT_NOW,
  });

  readonly #idle = new WaitingList<void, void>({
    what: "the tasks of a pool to end",
    grant: () => this.#running === 0 ? undefined : NOT_NOW,
  });

  /**
   * @param concurrency How many functions may run at once.
   * @throws {RangeError} If `concurrency` is no whole number above 0.
   */
  constructor(concurrency: number) {
    checkCount("make a pool", { name: "concurrency", value: concurrency });
    this.#concurrency = concurrency;
  }

  /**
   * Runs a function as soon as it is its turn; at once, before this returns, if a turn is free.
   *
   * Cancel safety: a task that is cancelled before its turn never runs. One that runs is told by its signal, and keeps its turn until
   * it has ended; the promise does not wait for that.
   *
   * @param fn What to run. Its signal is aborted when the task or the pool is cancelled.
   * @param options When to give up (default: never), and what to call with the outcome.
   * @returns What `fn` returned.
   * @throws What `fn` threw.
   * @throws {ClosedError} If the pool is closed, or cancelled before the task's turn.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  submit<T>(fn: PoolTask<T>, options?: SubmitOptions<T>): Promise<T> {
    if (options !== undefined) return this.#submitWith(fn, options);
    if (this.#closed) return Promise.reject(poolClosed());
    const task = { fn, signal: this.#controller.signal };
    const isFree = this.#running < this.#concurrency && this.#turns.length === 0;
    return (isFree ? this.#run(task) : this.#turns.wait(task)) as Promise<T>;
  }

  /**
   * Runs a function for each input and yields what it returned. Inputs are pulled as results are taken, so they may be endless. The
   * pool's turns are shared with whatever else it runs.
   *
   * Cancel safety: when the iteration ends early, by `break`, an error or the signal, tasks that run are told by their signal and
   * awaited, tasks that wait are dropped, and the source is closed, unless it is just being waited for.
   *
   * @param source The inputs.
   * @param fn What to run for each.
   * @param options The order of the results, how far to pull ahead, and when to give up.
   * @throws What the source or `fn` threw, in place of the result.
   * @throws {ClosedError} If the pool is closed.
   * @throws {RangeError} If `ahead` is no whole number above 0.
   * @throws The reason of the signal, if it is aborted.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   *
   * function* naturals() {
   *   for (let n = 1; true; n++) yield n;
   * }
   * await using pool = new TaskPool(2);
   * for await (const square of pool.map(naturals(), (n) => n ** 2)) {
   *   if (square > 100) {
   *     assertEquals(square, 121);
   *     break;
   *   }
   * }
   * ```
   */
  async *map<I, O>(
    source: Iterable<I> | AsyncIterable<I>,
    fn: (input: I, signal: AbortSignal) => O | PromiseLike<O>,
    { ordered = true, ahead = 2 * this.#concurrency, signal }: MapOptions = {},
  ): AsyncGenerator<O, void, undefined> {
    checkCount("map", { name: "ahead", value: ahead });
    const stop = new AbortController();
    const unfollow = follow(stop, [this.#controller.signal, signal]);
    const feed = new Feed({
      source,
      ordered,
      ahead,
      signal: stop.signal,
      start: (input: I) => {
        if (this.#closed) return Promise.reject(poolClosed());
        return this.#runInTurn((signal) => fn(input, signal), stop.signal);
      },
    });
    try {
      yield* feed.results();
    } finally {
      unfollow();
      stop.abort();
      await feed.ended();
    }
  }

  /**
   * Takes no more tasks; those that were submitted still run.
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
    return wait ? this.#idle.wait(undefined, options) : Promise.resolve();
  }

  /**
   * Takes no more tasks and cancels those there are: who waits never runs, who runs is told by its signal.
   *
   * @param reason The reason of the signals, and what the promises of waiting tasks reject with. Default: a `ClosedError`.
   * @returns Resolves when the last function has ended.
   */
  cancel(reason: unknown = new ClosedError("the pool was cancelled")): Promise<void> {
    this.#closed = true;
    this.#turns.close(() => reason);
    this.#controller.abort(reason);
    return this.#idle.wait();
  }

  /** Shuts down and waits for all tasks. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /** What runs, waits and has ended, at this moment. */
  statistics(): TaskPoolStatistics {
    return {
      concurrency: this.#concurrency,
      running: this.#running,
      waiting: this.#turns.length,
      succeeded: this.#succeeded,
      failed: this.#failed,
      closed: this.#closed,
    };
  }

  #submitWith<T>(fn: PoolTask<T>, { onDone, ...limits }: SubmitOptions<T>): Promise<T> {
    const isLimited = limits.signal !== undefined || limits.timeoutMs !== undefined;
    const promise = isLimited ? this.#submitLimited(fn, limits) : this.submit(fn);
    if (onDone !== undefined) {
      promise.then(
        (value) => onDone({ status: "fulfilled", value }),
        (reason) => onDone({ status: "rejected", reason }),
      );
    }
    return promise;
  }

  async #submitLimited<T>(fn: PoolTask<T>, { signal, timeoutMs = Infinity }: WaitOptions): Promise<T> {
    const refusal = refuse({ ...(signal && { signal }), timeoutMs });
    if (refusal !== undefined) throw refusal.reason;
    if (this.#closed) throw poolClosed();
    const { promise: cancelled, reject } = Promise.withResolvers<never>();
    const controller = new AbortController();
    const cancel = (reason: unknown) => {
      controller.abort(reason);
      reject(reason);
    };
    const unfollow = follow(controller, [this.#controller.signal]);
    if (signal !== undefined) onAbort(signal, cancel);
    const timer = timeoutMs === Infinity
      ? undefined
      : new Timer(timeoutMs, () => cancel(new TimeoutError(`the task took longer than ${timeoutMs} ms`)));
    const ended = this.#runInTurn(fn, controller.signal);
    const release = () => {
      timer?.cancel();
      unfollow();
      if (signal !== undefined) offAbort(signal, cancel);
    };
    ended.then(release, release);
    return await Promise.race([ended, cancelled]);
  }

  /** Runs a function when it is its turn, unless its signal is aborted by then. */
  #runInTurn<T>(fn: PoolTask<T>, signal: AbortSignal): Promise<T> {
    return this.#turns.wait({ fn, signal }, { signal }) as Promise<T>;
  }

  async #run({ fn, signal }: Task): Promise<unknown> {
    this.#running += 1;
    try {
      const value = await fn(signal);
      this.#succeeded += 1;
      return value;
    } catch (error) {
      this.#failed += 1;
      throw error;
    } finally {
      this.#running -= 1;
      this.#turns.serve();
      this.#idle.serve();
    }
  }
}

function poolClosed(): ClosedError {
  return new ClosedError("cannot submit a task as the pool must be open: it was shut down");
}
