/**
 * A Worker that takes part in a contest for one primitive. It answers each task with what came of it.
 *
 * @module
 */

import { BrokenLeaseError } from "../../lib/errors.ts";
import type { ThreadHandle } from "../../lib/thread/handle.ts";
import { ThreadLock } from "../../lib/thread/lock.ts";
import { ThreadQueue } from "../../lib/thread/queue.ts";
import { ThreadRLock } from "../../lib/thread/rlock.ts";
import { ThreadSemaphore } from "../../lib/thread/semaphore.ts";
import { threadId } from "../../lib/thread/thread_id.ts";

/** What a contender is to do. */
export type Task =
  | { type: "add"; lock: ThreadHandle; counter: Int32Array; times: number; how: "async" | "sync" | "try" }
  | { type: "crowd"; semaphore: ThreadHandle<"semaphore">; inside: Int32Array; times: number }
  | { type: "hold"; lock: ThreadHandle }
  | { type: "relay"; from: ThreadHandle<"queue">; to: ThreadHandle<"queue">; how: "async" | "sync" }
  | { type: "reenter"; lock: ThreadHandle<"rlock">; times: number };

const worker = globalThis as unknown as {
  postMessage(answer: unknown): void;
  onmessage: (event: MessageEvent<Task>) => void;
};

worker.onmessage = ({ data }) =>
  void run(data).then(
    (value) => worker.postMessage({ value }),
    (error) => worker.postMessage({ error: error instanceof BrokenLeaseError ? "broken" : String(error) }),
  );

async function run(task: Task): Promise<unknown> {
  switch (task.type) {
    case "add":
      for (let round = 0; round < task.times; round++) await addOne(attachLock(task.lock), task);
      return task.times;
    case "crowd":
      return await crowd(ThreadSemaphore.attach(task.semaphore), task);
    case "hold": {
      await attachLock(task.lock).acquire();
      return threadId;
    }
    case "relay":
      return await relay(ThreadQueue.attach(task.from), ThreadQueue.attach(task.to), task.how);
    case "reenter": {
      const lock = ThreadRLock.attach(task.lock);
      for (let round = 0; round < task.times; round++) await lock.acquire();
      return lock.statistics();
    }
  }
}

function attachLock(handle: ThreadHandle): ThreadLock | ThreadRLock {
  return handle.kind === "rlock"
    ? ThreadRLock.attach(handle as ThreadHandle<"rlock">)
    : ThreadLock.attach(handle as ThreadHandle<"lock">);
}

/** Reads, and writes back one more: without the lock updates would be lost. */
async function addOne(
  lock: ThreadLock | ThreadRLock,
  { counter, how }: { counter: Int32Array; how: "async" | "sync" | "try" },
): Promise<void> {
  let lease = how === "sync" ? lock.acquireSync() : how === "async" ? await lock.acquire() : undefined;
  while (lease === undefined) lease = lock.tryAcquire();
  const before = counter[0]!;
  for (let spin = 0; spin < 20; spin++) Atomics.load(counter, 1);
  counter[0] = before + 1;
  lease.release();
}

/** How many were inside at most, in all threads, as this one saw it. */
async function crowd(
  semaphore: ThreadSemaphore,
  { inside, times }: { inside: Int32Array; times: number },
): Promise<number> {
  let most = 0;
  for (let round = 0; round < times; round++) {
    const weight = 1 + round % 3;
    using _lease = round % 2 === 0 ? await semaphore.acquire({ weight }) : semaphore.acquireSync({ weight });
    most = Math.max(most, Atomics.add(inside, 0, weight) + weight);
    for (let spin = 0; spin < 20; spin++) Atomics.load(inside, 1);
    Atomics.sub(inside, 0, weight);
  }
  return most;
}

/** Hands items on until there are no more. */
async function relay(
  from: ThreadQueue<unknown>,
  to: ThreadQueue<unknown>,
  how: "async" | "sync",
): Promise<number> {
  let count = 0;
  for await (const item of from) {
    if (how === "sync") to.putSync(item);
    else await to.put(item);
    from.taskDone();
    count += 1;
  }
  return count;
}
