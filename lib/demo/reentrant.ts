/**
 * A lock that its owner takes three times, while somebody else waits for it.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";
import type { Lease, Lock } from "../primitives.ts";
import { eventually } from "./eventually.ts";
import type { Tell } from "./tell.ts";

const TIMES = 3;

/** What each of the two needs. */
export interface ReentrantOptions {
  lock: Lock;
  tell: Tell;
  /** How long the owner waits for the lock that it has. */
  timeoutMs: number;
  signal: AbortSignal;
}

/**
 * Plays both parts in one event loop: the owner takes the lock three times; the other gets it after the third release.
 *
 * @param asOwner Runs a function as an owner of its own.
 * @returns Whether the owner could take it again.
 */
export async function takeAgain(
  options: ReentrantOptions,
  asOwner: <T>(fn: () => Promise<T>) => Promise<T>,
): Promise<boolean> {
  const held = Promise.withResolvers<void>();
  const owner = asOwner(() => takeThreeTimes(options, held.resolve)).catch((error) => {
    held.reject(error);
    throw error;
  });
  const other = held.promise.then(() => asOwner(() => takeOnce(options)));
  const [isReentrant] = await Promise.all([owner, other]);
  return isReentrant;
}

/** The other's part. */
export async function takeOnce({ lock, tell, signal }: ReentrantOptions): Promise<void> {
  await tell({ who: "other", step: "waits for it" });
  using _lease = await lock.acquire({ signal });
  await tell({ who: "other", step: "holds it", depth: 1 });
}

/**
 * The owner's part.
 *
 * @param onHeld Called once it holds the lock: then the other may come.
 * @returns Whether it could take the lock again.
 */
export async function takeThreeTimes(
  { lock, tell, timeoutMs, signal }: ReentrantOptions,
  onHeld: () => void,
): Promise<boolean> {
  const leases: Lease[] = [];
  const take = async () => {
    leases.push(await lock.acquire({ timeoutMs, signal }));
    await tell({ who: "owner", step: "holds it", depth: leases.length });
  };
  await take();
  onHeld();
  await eventually(async () => (await lock.statistics()).waiting > 0, signal);
  try {
    while (leases.length < TIMES) await take();
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    await tell({ who: "owner", step: "waited for itself in vain", detail: "the lock is not reentrant" });
  }
  const isReentrant = leases.length === TIMES;
  for (let lease = leases.pop(); lease !== undefined; lease = leases.pop()) {
    await tell({ who: "owner", step: "releases it", depth: leases.length });
    lease.release();
  }
  return isReentrant;
}
