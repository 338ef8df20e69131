/**
 * A reentrant lock between the async tasks of one event loop, and what an owner is there.
 *
 * Threads have an identity, async tasks have none. So an owner is a scope: the run of a function that was given to {@link runAsOwner}
 * or {@link TaskRLock.run}, and all that is started inside it, however many awaits later (`AsyncLocalStorage`). Scopes nest.
 *
 * - Who runs inside the scope that holds a lock may take it again, also from a scope that was begun inside it while it held a lock.
 * - Tasks that run in scopes of their own keep each other out, as do a task inside and a task outside the holder's scope. That they
 *   were started by one parent does not matter, nor does what else the parent called in the same turn.
 * - A task that was started inside the holder's scope and outlives it belongs to the owner still. The lock is free once the last lease
 *   was released, whoever released it.
 * - Outside any scope each acquire is an owner of its own: the lock is then a plain lock, and who takes it twice waits for itself.
 *
 * Why not from the acquire on, without a scope: an acquire could change the async context of its caller, but the context of an async
 * function is, up to its first await, that of whoever called it. Two tasks started one after the other would then be one owner.
 *
 * @module
 */

import { AsyncLocalStorage } from "node:async_hooks";
import type { Lease, RLock, RLockStatistics, WaitOptions } from "../primitives.ts";
import { TaskLease } from "./lease.ts";
import { NOT_NOW, refuse, WaitingList } from "./waiters.ts";

/** A scope. Once it is left and holds nothing, nothing refers to it. */
interface Owner {
  /** The nearest scope around it that held a lock when this one began. */
  readonly parent: Owner | undefined;
  /** How many locks it holds. */
  held: number;
}

const scope = new AsyncLocalStorage<Owner>();

/**
 * Runs a function as a new owner of {@link TaskRLock}s: what it takes, it and all that it starts may take again.
 *
 * @param fn What to run.
 * @returns What `fn` returned.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const lock = new TaskRLock();
 * await runAsOwner(async () => {
 *   using _outer = await lock.acquire();
 *   using _inner = await lock.acquire();
 *   assertEquals(lock.statistics().depth, 2);
 * });
 * assertEquals(lock.statistics().held, false);
 * ```
 */
export function runAsOwner<T>(fn: () => T): T {
  let parent = scope.getStore();
  // Without this, a task that starts its own successor inside a scope would make an endless chain.
  while (parent?.held === 0) parent = parent.parent;
  return scope.run({ parent, held: 0 }, fn);
}

/**
 * A lock whose owner may take it again; it is free once every lease of the owner was released. The module says what an owner is.
 *
 * Invariant: all leases that are out at one moment belong to one owner.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const lock = new TaskRLock();
 * const log: string[] = [];
 * function write(line: string) {
 *   return lock.run(() => log.push(line));
 * }
 * await lock.run(async () => {
 *   await write("first");
 *   await write("second");
 * });
 * assertEquals(log, ["first", "second"]);
 * ```
 */
export class TaskRLock implements RLock {
  #holder: Owner | undefined;
  #depth = 0;

  readonly #waiters = new WaitingList<Owner, Lease>({
    what: "a reentrant lock",
    grant: (owner) => this.#holder === undefined ? this.#takeFor(owner) : NOT_NOW,
  });

  readonly #lender = {
    giveBack: () => {
      this.#depth -= 1;
      if (this.#depth > 0) return;
      this.#holder!.held -= 1;
      this.#holder = undefined;
      this.#waiters.serve();
    },
  };

  /**
   * Waits until the lock is ours; returns at once if it is already. Who holds it never waits behind others.
   *
   * Cancel safety: a cancelled wait holds nothing. An abort in the same turn as the grant loses.
   *
   * @param options When to give up. Default: never.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  acquire(options?: WaitOptions): Promise<Lease> {
    const owner = currentOwner();
    if (!this.#isHeldBy(owner)) return this.#waiters.wait(owner, options);
    const refusal = options && refuse(options);
    return refusal ? Promise.reject(refusal.reason) : Promise.resolve(this.#takeAgain());
  }

  /** Takes the lock if it is ours or free, else returns undefined. */
  tryAcquire(): Lease | undefined {
    const owner = currentOwner();
    if (this.#isHeldBy(owner)) return this.#takeAgain();
    const lease = this.#waiters.take(owner);
    return lease === NOT_NOW ? undefined : lease;
  }

  /**
   * Holds the lock while a function runs, as a new owner inside the present one.
   *
   * Cancel safety: a cancelled wait does not run the function. The options end the wait, not the function.
   *
   * @param fn What to run.
   * @param options When to give up waiting. Default: never.
   * @returns What `fn` returned.
   * @throws As {@link TaskRLock.acquire}, and what `fn` throws.
   */
  run<T>(fn: () => T | PromiseLike<T>, options?: WaitOptions): Promise<T> {
    return runAsOwner(async () => {
      using _lease = await this.acquire(options);
      return await fn();
    });
  }

  /** Whether it is held, how many times by the present owner, and how many wait, at this moment. */
  statistics(): RLockStatistics {
    return { held: this.#depth > 0, depth: this.#depth, waiting: this.#waiters.length };
  }

  /** Whether the holder is this owner, or a scope around it. */
  #isHeldBy(owner: Owner): boolean {
    if (this.#holder === undefined) return false;
    for (let each: Owner | undefined = owner; each !== undefined; each = each.parent) {
      if (each === this.#holder) return true;
    }
    return false;
  }

  #takeFor(owner: Owner): Lease {
    this.#holder = owner;
    owner.held += 1;
    return this.#takeAgain();
  }

  #takeAgain(): Lease {
    this.#depth += 1;
    return new TaskLease(this.#lender, 1);
  }
}

function currentOwner(): Owner {
  return scope.getStore() ?? { parent: undefined, held: 0 };
}
