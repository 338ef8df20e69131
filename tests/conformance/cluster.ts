/**
 * The primitives of the cluster reach, for this process and for those that are parties.
 *
 * @module
 */

import { ClusterReach } from "../../lib/cluster/reach.ts";
import { ClusterStore } from "../../lib/cluster/store.ts";
import type { Awaitable, Event, Lock, Queue, QueueKind, Semaphore } from "../../lib/primitives.ts";

/** Where it is tested, and what a broker cannot do. */
export const CLUSTER = {
  /** The broker; undefined if there is none. */
  url: Deno.env.get("CONC_TEST_AMQP"),
  /** A random program takes tens of milliseconds here, and each run of the tests tries others. */
  programsMs: 5_000,
  /** By how the titles of tests begin. */
  lacks: {
    "Queue of kind lifo": "brokers hand out what came first first",
    "Queue.drain() of kind lifo": "brokers hand out what came first first",
    "Queue of kind priority takes any number": "brokers have a few levels",
  },
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
  if (kind === "queue") return texts(await reach.queue(name, options));
  return kind === "semaphore" ? await reach.semaphore(name, options) : await reach[kind](name);
}

/** A queue of texts over one of bytes. */
function texts(queue: Queue<Uint8Array>): Queue<string> {
  const encode = (text: string) => new TextEncoder().encode(text);
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const then = async <T, R>(value: Awaitable<T>, map: (value: T) => R) => map(await value);
  return {
    put: (item, options) => queue.put(encode(item), options),
    tryPut: (item, options) => queue.tryPut(encode(item), options),
    get: (options) => then(queue.get(options), decode),
    tryGet: () =>
      then(queue.tryGet(), (got) => got.state === "ok" ? { ...got, item: decode(got.item) } : got),
    taskDone: () => queue.taskDone(),
    join: (options) => queue.join(options),
    close: () => queue.close(),
    drain: () => then(queue.drain(), (items) => items.map(decode)),
    statistics: () => queue.statistics(),
    async *[Symbol.asyncIterator]() {
      for await (const item of queue) yield decode(item);
    },
  };
}
