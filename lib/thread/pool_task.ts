/**
 * The tasks of a {@link ThreadPool}, and those of them that no Worker was given yet.
 *
 * @module
 */

import type { PoolThread } from "./pool_thread.ts";

/** One task. */
export class ThreadTask {
  /** Undefined once it is settled: who holds the task does not hold the input. */
  input: unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
  /** What is moved with the input. */
  transfer: Transferable[] | undefined = undefined;
  /** When it is cancelled, on the monotonic clock. */
  deadlineMs = Infinity;
  /** The Worker that has it, and under which number; undefined while it waits in the pool. */
  thread: PoolThread | undefined = undefined;
  number = 0;
  /** How many Workers that had it died while they ran none of their tasks: it may have been this one. */
  losses = 0;
  isSettled = false;
  /** Takes its timer and its listener away. */
  leave: (() => void) | undefined = undefined;
  /** Its neighbours in the backlog. */
  previous: ThreadTask | undefined = undefined;
  next: ThreadTask | undefined = undefined;

  constructor(
    input: unknown,
    { resolve, reject }: { resolve: (value: unknown) => void; reject: (reason: unknown) => void },
  ) {
    this.input = input;
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** Tasks that wait, in their order. They are doubly linked, so any one of them leaves in O(1). */
export class PoolBacklog {
  #head: ThreadTask | undefined;
  #tail: ThreadTask | undefined;
  #length = 0;

  /** How many there are. */
  get length(): number {
    return this.#length;
  }

  /** Adds a task at the end. */
  push(task: ThreadTask): void {
    task.previous = this.#tail;
    if (this.#tail === undefined) this.#head = task;
    else this.#tail.next = task;
    this.#tail = task;
    this.#length += 1;
  }

  /** Puts tasks that were taken before all others, in their order. */
  putBack(tasks: readonly ThreadTask[]): void {
    for (const task of tasks.toReversed()) {
      task.next = this.#head;
      if (this.#head === undefined) this.#tail = task;
      else this.#head.previous = task;
      this.#head = task;
      this.#length += 1;
    }
  }

  /**
   * Takes tasks from the front.
   *
   * @param limit How many at most.
   * @param options `alone`: whether the first may be one with a transfer, which then is the only one.
   */
  take(limit: number, { alone }: { alone: boolean }): ThreadTask[] {
    const taken: ThreadTask[] = [];
    for (let task = this.#head; task !== undefined && taken.length < limit; task = this.#head) {
      const isAlone = task.transfer !== undefined;
      if (isAlone && (taken.length > 0 || !alone)) break;
      this.delete(task);
      taken.push(task);
      if (isAlone) break;
    }
    return taken;
  }

  /** Takes all. */
  takeAll(): ThreadTask[] {
    const taken: ThreadTask[] = [];
    for (let task = this.#head; task !== undefined; task = this.#head) {
      this.delete(task);
      taken.push(task);
    }
    return taken;
  }

  /** Takes one out, wherever it stands. */
  delete(task: ThreadTask): void {
    const { previous, next } = task;
    if (previous === undefined) this.#head = next;
    else previous.next = next;
    if (next === undefined) this.#tail = previous;
    else next.previous = previous;
    task.previous = task.next = undefined;
    this.#length -= 1;
  }
}
