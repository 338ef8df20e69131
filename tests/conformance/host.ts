/**
 * The primitives of the host reach, for this process and for those that are parties.
 *
 * @module
 */

import { HostEvent } from "../../lib/host/event.ts";
import { HostLock } from "../../lib/host/lock.ts";
import { HostQueue } from "../../lib/host/queue.ts";
import { HostSemaphore } from "../../lib/host/semaphore.ts";
import { Store } from "../../lib/host/store.ts";
import type { QueueKind } from "../../lib/primitives.ts";

/** Which primitive, where, and with what. */
export interface HostSubject {
  kind: "lock" | "semaphore" | "event" | "queue";
  path: string;
  name: string;
  options: { permits?: number; kind?: QueueKind; maxSize?: number };
}

const stores = new Map<string, Store>();
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Items of a queue are bytes; the suites put texts. */
const TEXTS = {
  encode: (text: string) => encoder.encode(text),
  decode: (bytes: Uint8Array) => decoder.decode(bytes),
};

/** A store that is opened once, and whose process shows life from now on: what the tests count does not include that. */
export function openStore(path: string): Store {
  let store = stores.get(path);
  if (store === undefined) {
    const opened = store = new Store(path);
    stores.set(path, opened);
    opened.write(() => opened.owners.idOf());
  }
  return store;
}

/** A primitive of a store. */
export function openSubject(
  { kind, path, name, options }: HostSubject,
): HostLock | HostSemaphore | HostEvent | HostQueue<string> {
  const store = openStore(path);
  if (kind === "lock") return new HostLock(store, name);
  if (kind === "semaphore") return new HostSemaphore(store, name, options);
  if (kind === "event") return new HostEvent(store, name);
  return new HostQueue(store, name, { ...options, codec: TEXTS });
}
