/**
 * A process of the chaos test: it uses one primitive again and again and writes down what happened to it, a line for each fact, before
 * and after each step, so that whenever it is killed its history is true.
 *
 * Arguments: role, store, file of the history, seed. It ends when its stdin does, after what it is in the middle of.
 *
 * @module
 */

import { HostQueue } from "../../lib/host/queue.ts";
import { HostSemaphore } from "../../lib/host/semaphore.ts";
import { HostLock } from "../../lib/host/lock.ts";
import { Store } from "../../lib/host/store.ts";
import { TimeoutError } from "../../lib/errors.ts";
import { seededRandom } from "../../lib/random.ts";
import { CHAOS_PERMITS, openHistory } from "../chaos_history.ts";

const [role = "", path = "", file = "", seed = "0"] = Deno.args;
const random = seededRandom(Number(seed));
const store = new Store(path);
const note = openHistory(file);
const encoder = new TextEncoder();
const decoder = new TextDecoder();
let ended = false;
void (async () => {
  for await (const _ of Deno.stdin.readable);
  ended = true;
})();

function pause(maxMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, random() * maxMs));
}

const ROLES: Record<string, () => Promise<void>> = {
  async holder() {
    const semaphore = new HostSemaphore(store, "chaos", { permits: CHAOS_PERMITS });
    const weight = 1 + Math.floor(random() * CHAOS_PERMITS);
    await hold({ object: "semaphore", weight }, (timeoutMs) => semaphore.acquire({ weight, timeoutMs }));
  },
  async locker() {
    const lock = new HostLock(store, "chaos");
    const shared = random() < 0.5;
    const weight = shared ? 1 : CHAOS_PERMITS;
    await hold({ object: "lock", weight }, (timeoutMs) => lock.acquire({ shared, timeoutMs }));
  },
  async putter() {
    const queue = new HostQueue(store, "chaos", { maxSize: 20 });
    const item = crypto.randomUUID();
    note({ step: "putting", item });
    try {
      await queue.put(encoder.encode(item), { timeoutMs: 20 });
      note({ step: "put", item });
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      note({ step: "not put", item });
    }
  },
  async worker() {
    const queue = new HostQueue(store, "chaos", { maxSize: 20 });
    try {
      const { item, token } = await queue.receive({ timeoutMs: 50 });
      const name = decoder.decode(item);
      note({ step: "received", item: name });
      await pause(5);
      if (random() < 0.2) return queue.giveBack(token, { delayMs: random() * 20 });
      queue.ack(token);
      note({ step: "acked", item: name });
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
    }
  },
};

async function hold(
  fact: { object: "semaphore" | "lock"; weight: number },
  acquire: (timeoutMs: number) => Promise<Disposable>,
): Promise<void> {
  try {
    using _lease = await acquire(random() < 0.3 ? random() * 5 : 60_000);
    note({ step: "holds", ...fact });
    await pause(10);
    note({ step: "releases", ...fact });
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
  }
  await pause(3);
}

while (!ended) await ROLES[role]!();
Deno.exit();
