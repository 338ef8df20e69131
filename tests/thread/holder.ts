/**
 * A task of a pool that takes what it is given and never gives it back.
 *
 * @module
 */

import type { ThreadHandle } from "../../lib/thread/handle.ts";
import { ThreadLock } from "../../lib/thread/lock.ts";
import { ThreadSemaphore } from "../../lib/thread/semaphore.ts";

/** What it takes, and whether its Worker dies then, or waits for ever. */
export interface HolderTask {
  lock: ThreadHandle<"lock">;
  semaphore: ThreadHandle<"semaphore">;
  /** Set to 1 once it has both. */
  held: Int32Array;
  dies: boolean;
}

/** Takes both. */
export default async function hold({ lock, semaphore, held, dies }: HolderTask): Promise<void> {
  await ThreadLock.attach(lock).acquire();
  await ThreadSemaphore.attach(semaphore).acquire({ weight: 2 });
  Atomics.store(held, 0, 1);
  if (dies) self.close();
  await new Promise(() => {});
}
