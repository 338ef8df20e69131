/**
 * One Worker of a {@link ThreadPool}, as the pool sees it: which tasks it was given, which of them it has begun, and what it reported.
 *
 * @module
 */

import type { ThreadTask } from "./pool_task.ts";
import {
  CELL,
  type Failure,
  type TaskMessage,
  WORKER_URL,
  workerCode,
  type WorkerMessage,
  type WorkerStart,
} from "./pool_worker.ts";
import { drawThreadId } from "./thread_id.ts";

/** What a thread tells its pool. */
export interface ThreadEvents {
  /** It has loaded the function. */
  ready(): void;
  /** The function cannot be loaded, and why. */
  unusable(problem: string): void;
  /** A task has ended. */
  succeeded(task: ThreadTask, value: unknown): void;
  /** A task has thrown. */
  failed(task: ThreadTask, failure: Failure): void;
  /** All results of a message were told: it may have room for more. */
  reported(report: { count: number; busyMs: number }): void;
  /** It does not run any more. */
  died(failure: Failure): void;
}

const GONE_LIMIT_MS = 1_000;
const GONE_POLL_MS = 5;

/** How many tasks a thread can hold. */
export const CAPACITY = 1_024;

/**
 * A Worker and its tasks. Invariants: a task is in at most one thread; it leaves the thread when it is reported, taken back, or when
 * the thread ends, and after one of these the thread never tells of it again.
 */
export class PoolThread {
  /** Its number in the pool. */
  readonly id: number;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #events: ThreadEvents;
  readonly #cells = new Int32Array(new SharedArrayBuffer(4 * CAPACITY));
  /** The tasks by their number modulo the capacity; undefined for those that were taken back. */
  readonly #tasks = new Array<ThreadTask | undefined>(CAPACITY).fill(undefined);
  /** The number of the next task, and of the first that was not reported. */
  #next = 0;
  #reported = 0;
  /** What primitives between threads know it by. */
  readonly threadId: number = drawThreadId();
  /** What the system calls its thread; undefined where that is not known. */
  systemId: number | undefined;
  /** Whether it has loaded the function. */
  isReady = false;
  /** Whether it was ended, or has died. */
  isEnded = false;
  /** Since when it has nothing to do, on the monotonic clock. */
  idleSinceMs = 0;

  constructor(
    { id, events, ...start }: { id: number; events: ThreadEvents } & Pick<WorkerStart, "fn" | "spread">,
  ) {
    this.id = id;
    this.#events = events;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.onmessage = ({ data }: MessageEvent<WorkerMessage>) => this.#receive(data);
    port1.onmessageerror = () => this.#die("what it sent cannot be read");
    this.#worker = new Worker(WORKER_URL, { type: "module", name: `conc ${id}` });
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#die(event.message);
    };
    const message: WorkerStart = {
      ...start,
      port: port2,
      cells: this.#cells,
      worker: id,
      threadId: this.threadId,
    };
    this.#worker.postMessage(workerCode());
    this.#worker.postMessage(message, [port2]);
  }

  /** How many tasks it was given and has not reported, counting those that were taken back and that it has still to pass over. */
  get load(): number {
    return this.#next - this.#reported;
  }

  /** Whether it has a task whose input was moved to it, and which cannot be run anywhere else: nothing is put at its side. */
  get isExclusive(): boolean {
    return this.load === 1 && this.#tasks[this.#reported % CAPACITY]?.transfer !== undefined;
  }

  /**
   * Gives it tasks: no more than it has room for, and those with a transfer one by one.
   *
   * @returns Those whose input cannot be sent, each with the reason.
   */
  send(tasks: readonly ThreadTask[]): { task: ThreadTask; error: unknown }[] {
    try {
      this.#post(tasks);
      return [];
    } catch (error) {
      const [task] = tasks;
      if (tasks.length === 1) return [{ task: task!, error }];
      return tasks.flatMap((task) => this.send([task]));
    }
  }

  #post(tasks: readonly ThreadTask[]): void {
    const message: TaskMessage = [this.#next, tasks.map(({ input }) => input)];
    if (tasks.some(({ deadlineMs }) => deadlineMs < Infinity)) {
      const nowMs = performance.now();
      message.push(tasks.map(({ deadlineMs }) => Math.max(0, deadlineMs - nowMs)));
    }
    const transfer = tasks.length === 1 ? tasks[0]!.transfer : undefined;
    this.#port.postMessage(message, transfer ?? []);
    for (const task of tasks) {
      task.thread = this;
      task.number = this.#next;
      this.#tasks[this.#next % CAPACITY] = task;
      this.#next += 1;
    }
  }

  /** Whether a task runs at this moment: it has begun, and has not ended. */
  isRunning({ number }: ThreadTask): boolean {
    return Atomics.load(this.#cells, number % CAPACITY) === CELL.running;
  }

  /** Takes a task back. Returns false if it has begun, or has ended. */
  takeBack(task: ThreadTask): boolean {
    const index = task.number % CAPACITY;
    const found = Atomics.compareExchange(this.#cells, index, CELL.waiting, CELL.cancelled);
    if (found !== CELL.waiting) return false;
    this.#tasks[index] = undefined;
    task.thread = undefined;
    return true;
  }

  /** Takes back the later half of the tasks that have not begun, in their order. */
  takeBackHalf(): ThreadTask[] {
    const taken: ThreadTask[] = [];
    const limit = Math.ceil((this.load - 1) / 2);
    for (let number = this.#next - 1; number >= this.#reported && taken.length < limit; number--) {
      const task = this.#tasks[number % CAPACITY];
      if (task !== undefined && this.takeBack(task)) taken.push(task);
    }
    return taken.reverse();
  }

  /**
   * Ends the Worker, whatever it does.
   *
   * @returns The tasks that it has not reported, in their order, and whether each was running.
   */
  end(): { task: ThreadTask; wasRunning: boolean }[] {
    this.isEnded = true;
    const left: { task: ThreadTask; wasRunning: boolean }[] = [];
    for (let number = this.#reported; number < this.#next; number++) {
      const task = this.#tasks[number % CAPACITY];
      if (task === undefined) continue;
      left.push({ task, wasRunning: this.isRunning(task) });
      task.thread = undefined;
    }
    this.#tasks.fill(undefined);
    this.#worker.terminate();
    this.#port.close();
    return left;
  }

  /** Resolves when its thread has ended, after {@link end}; at the latest after a second, for one in an endless loop may not end. */
  async gone(): Promise<void> {
    const endMs = performance.now() + GONE_LIMIT_MS;
    while (performance.now() < endMs && this.#isThere()) {
      await new Promise((resolve) => setTimeout(resolve, GONE_POLL_MS));
    }
  }

  /** Whether the system still has its thread; where that cannot be known, it has. */
  #isThere(): boolean {
    if (this.systemId === undefined) return true;
    try {
      Deno.statSync(`/proc/self/task/${this.systemId}`);
      return true;
    } catch (error) {
      return !(error instanceof Deno.errors.NotFound);
    }
  }

  #die(message: string): void {
    if (!this.isEnded) this.#events.died({ name: "Error", message, stack: "" });
  }

  #receive(message: WorkerMessage): void {
    if (this.isEnded) return;
    if (message.type === "results") return this.#report(message);
    if (message.type === "died") return this.#events.died(message.failure);
    if (message.type === "unusable") return this.#events.unusable(message.problem);
    this.systemId = message.thread;
    this.isReady = true;
    this.#events.ready();
  }

  #report({ first, values, busyMs }: { first: number; values: unknown[]; busyMs: number }): void {
    let count = 0;
    for (let at = 0; at < values.length; at++) {
      const index = (first + at) % CAPACITY;
      const task = this.#tasks[index];
      const state = Atomics.exchange(this.#cells, index, CELL.waiting);
      this.#reported += 1;
      if (task === undefined) continue;
      count += 1;
      this.#tasks[index] = undefined;
      task.thread = undefined;
      if (state === CELL.failed) this.#events.failed(task, values[at] as Failure);
      else this.#events.succeeded(task, values[at]);
    }
    this.#events.reported({ count, busyMs });
  }
}
