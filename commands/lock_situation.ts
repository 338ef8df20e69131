/**
 * How a lock stands.
 *
 * @module
 */

import type { NamedLock } from "../lib/named.ts";
import { SILENT, type Situation } from "./holders.ts";

/** How a lock stands at this moment. */
export async function lockSituation(name: string, lock: NamedLock): Promise<Situation> {
  const status = await lock.status();
  const holders = status.holders.map(({ weight: _, ...holder }) => holder);
  const waiters = status.waiters.map(({ weight: _, ...waiter }) => waiter);
  const { held, waiting } = status;
  const isSilent = held && holders.length === 0;
  const shared = held && !isSilent && holders.every((holder) => holder.shared);
  const state = shared
    ? `shared by ${holders.length}`
    : isSilent
    ? `held by ${SILENT}`
    : held
    ? "held"
    : "free";
  return {
    name,
    text: waiting > 0 ? `${state}, ${waiting} waiting` : state,
    record: { type: "lock", name, held, shared, holders: holders.length, waiting },
    holders,
    waiters,
    isSilent,
  };
}
