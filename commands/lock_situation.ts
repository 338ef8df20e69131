/**
 * How a lock stands.
 *
 * @module
 */

import type { NamedLock } from "../lib/named.ts";
import type { Situation } from "./holders.ts";

/** How a lock stands at this moment. */
export async function lockSituation(name: string, lock: NamedLock): Promise<Situation> {
  const status = await lock.status();
  const holders = status.holders.map(({ weight: _, ...holder }) => holder);
  const waiters = status.waiters.map(({ weight: _, ...waiter }) => waiter);
  const held = holders.length > 0;
  const shared = held && holders.every((holder) => holder.shared);
  const state = shared ? `shared by ${holders.length}` : held ? "held" : "free";
  return {
    name,
    text: waiters.length > 0 ? `${state}, ${waiters.length} waiting` : state,
    record: { type: "lock", name, held, shared, holders: holders.length, waiting: waiters.length },
    holders,
    waiters,
  };
}
