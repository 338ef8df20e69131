/**
 * The primitives of the cluster reach, for this process and for those that are parties.
 *
 * @module
 */

import { ClusterReach } from "../../lib/cluster/reach.ts";
import { ClusterStore } from "../../lib/cluster/store.ts";
import type { Event, Lock, Queue, QueueKind, Semaphore } from "../../lib/primitives.ts";

/** Where it is tested, and what a broker cannot do. */
export const CLUSTER = {
  /** The broker; undefined if there is none. */
  url: Deno.env.get("CONC_TEST_AMQP"),
  /** By how the titles of tests begin. */
  lacks: { Queue: "not at a broker" },
} as const;

/** Which primitive, where, and with what. */
export interface ClusterSubject {
  kind: "lock" | "semaphore" | "event" | "queue";
  url: string;
  name: string;
  options: { permits?: number; kind?: QueueKind; maxSize?: number };
}

let store: Promise<ClusterStore> | undefined;

/** A primitive at a broker. All share one connection, which stays as long as this process. */
export async function openObject(
  { kind, url, name, options }: ClusterSubject,
): Promise<Lock | Semaphore | Event | Queue<unknown>> {
  store ??= ClusterStore.open(url);
  const reach = new ClusterReach(await store);
  if (kind === "queue") return await reach.queue(name, options);
  return kind === "semaphore" ? await reach.semaphore(name, options) : await reach[kind](name);
}
