/**
 * A process of the chaos test over a broker: it uses one primitive again and again and writes down what happened, a line for each fact, before
 * and after each step, so that whenever it is killed its history is true.
 *
 * Arguments: role, URL, name of the queue, semaphore and lock, file of the history, seed. It ends when its stdin does, after what it is in the middle of.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { ClusterLease } from "../../lib/cluster/lease.ts";
import { ClusterLock } from "../../lib/cluster/lock.ts";
import { ClusterQueue } from "../../lib/cluster/queue.ts";
import { ClusterSemaphore } from "../../lib/cluster/semaphore.ts";
import { ClusterStore } from "../../lib/cluster/store.ts";
import { NotHeldError, SystemError, TimeoutError } from "../../lib/errors.ts";
import { seededRandom } from "../../lib/random.ts";
import { CHAOS_PERMITS, openHistory } from "../chaos_history.ts";

const [role = "", url = "", name = "", file = "", seed = "0"] = Deno.args;
const random = seededRandom(Number(seed));
const note = openHistory(file);
const encoder = new TextEncoder();
let ended = false;
void (async () => {
  for await (const _ of Deno.stdin.readable);
  ended = true;
})();

async function put(store: ClusterStore): Promise<void> {
  queue ??= await ClusterQueue.open(store, name);
  const item = crypto.randomUUID();
  note({ step: "putting", item });
  try {
    await queue.put(encoder.encode(item), { timeoutMs: 20_000 });
    note({ step: "put", item });
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    note({ step: "not put", item });
  }
  await delay(random() * 20);
}

async function work(store: ClusterStore): Promise<void> {
  queue ??= await ClusterQueue.open(store, name);
  const { item, token } = await queue.receive({ timeoutMs: 200 });
  const text = new TextDecoder().decode(item);
  note({ step: "received", item: text });
  await delay(random() * 10);
  if (random() < 0.2) {
    note({ step: "giving back", item: text });
    await queue.giveBack(token, { delayMs: 10 + Math.floor(random() * 3) * 10 });
    note({ step: "given back", item: text });
  } else {
    await queue.ack(token);
    note({ step: "acked", item: text });
  }
}

async function holdPermits(store: ClusterStore): Promise<void> {
  semaphore ??= await ClusterSemaphore.open(store, name, { permits: CHAOS_PERMITS });
  const weight = 1 + Math.floor(random() * CHAOS_PERMITS);
  await hold({ object: "semaphore", weight }, await semaphore.acquire({ weight, timeoutMs: limitMs() }));
}

async function holdLock(store: ClusterStore): Promise<void> {
  lock ??= await ClusterLock.open(store, name);
  const shared = random() < 0.5;
  const weight = shared ? 1 : CHAOS_PERMITS;
  await hold({ object: "lock", weight }, await lock.acquire({ shared, timeoutMs: limitMs() }));
}

/** What is lost is not held any more from when we are told. */
async function hold(
  fact: { object: "semaphore" | "lock"; weight: number },
  lease: ClusterLease,
): Promise<void> {
  const end = new AbortController();
  const lose = () => {
    note({ step: "releases", ...fact });
    end.abort();
  };
  if (lease.lost.aborted) return;
  note({ step: "holds", ...fact });
  lease.lost.addEventListener("abort", lose, { once: true });
  await delay(random() * 30, { signal: end.signal }).catch(() => {});
  if (lease.lost.aborted) return;
  lease.lost.removeEventListener("abort", lose);
  note({ step: "releases", ...fact });
  lease.release();
  await delay(random() * 10);
}

function limitMs(): number {
  return random() < 0.3 ? random() * 20 : 60_000;
}

let store: ClusterStore | undefined;
let queue: ClusterQueue | undefined;
let semaphore: ClusterSemaphore | undefined;
let lock: ClusterLock | undefined;
const ROLES: Record<string, (store: ClusterStore) => Promise<void>> = {
  ...{ putter: put, worker: work, holder: holdPermits, locker: holdLock },
};

while (!ended) {
  try {
    store ??= await ClusterStore.open(url, { timeoutMs: 3_000 });
    await ROLES[role]!(store);
  } catch (error) {
    // The broker is away, or took the item back meanwhile, or there is none: what was not noted may have happened or not.
    const isExpected = [SystemError, NotHeldError, TimeoutError].some((kind) => error instanceof kind);
    if (!isExpected) throw error;
    await delay(50);
  }
}
Deno.exit();
