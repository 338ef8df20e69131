/**
 * conc, the library: the primitives of concurrent programming, each with one interface and one behaviour at every reach.
 *
 * - Interfaces, and which primitive to use when: `Lock`, `RLock`, `Semaphore`, `Event`, `Queue`.
 * - Task reach, one event loop: `TaskLock`, `TaskRLock`, `TaskSemaphore`, `TaskEvent`, `TaskQueue`, `TaskPool`, `gather`.
 * - Thread reach, Workers of one process: `ThreadPool`.
 * - Errors, each of which stands for one situation that a caller may want to handle apart.
 *
 * @example
 * ```ts
 * import { TaskSemaphore } from "@conc/conc";
 * import { assertEquals } from "@std/assert";
 *
 * const semaphore = new TaskSemaphore(5);
 * {
 *   using _permit = await semaphore.acquire({ timeoutMs: 1_000 });
 *   assertEquals(semaphore.statistics().available, 4);
 * }
 * assertEquals(semaphore.statistics().available, 5);
 * ```
 *
 * @module
 */

export * from "./lib/errors.ts";
export type * from "./lib/primitives.ts";
export * from "./lib/task/event.ts";
export * from "./lib/task/gather.ts";
export * from "./lib/task/lock.ts";
export * from "./lib/task/pool.ts";
export * from "./lib/task/queue.ts";
export * from "./lib/task/rlock.ts";
export * from "./lib/task/semaphore.ts";
export * from "./lib/thread/pool.ts";
