/**
 * A process of the chaos test over a broker: it puts, or works, again and again, and writes down what happened, a line for each fact, before
 * and after each step, so that whenever it is killed its history is true.
 *
 * Arguments: role, URL, queue, file of the history, seed. It ends when its stdin does, after what it is in the middle of.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { ClusterQueue } from "../../lib/cluster/queue.ts";
import { ClusterStore } from "../../lib/cluster/store.ts";
import { NotHeldError, SystemError, TimeoutError } from "../../lib/errors.ts";
import { seededRandom } from "../../lib/random.ts";
import type { Fact } from "../chaos_history.ts";

const [role = "", url = "", name = "", file = "", seed = "0"] = Deno.args;
const random = seededRandom(Number(seed));
const history = Deno.openSync(file, { append: true, create: true });
const encoder = new TextEncoder();
let ended = false;
void (async () => {
  for await (const _ of Deno.stdin.readable);
  ended = true;
})();

function note(fact: Omit<Fact, "pid" | "atMs">): void {
  const atMs = performance.timeOrigin + performance.now();
  history.writeSync(encoder.encode(`${JSON.stringify({ pid: Deno.pid, atMs, ...fact })}\n`));
}

async function put(queue: ClusterQueue): Promise<void> {
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

async function work(queue: ClusterQueue): Promise<void> {
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

let store: ClusterStore | undefined;
let queue: ClusterQueue | undefined;
while (!ended) {
  try {
    store ??= await ClusterStore.open(url, { timeoutMs: 3_000 });
    queue ??= await ClusterQueue.open(store, name);
    await (role === "putter" ? put(queue) : work(queue));
  } catch (error) {
    // The broker is away, or took the item back meanwhile, or there is none: what was not noted may have happened or not.
    const isExpected = [SystemError, NotHeldError, TimeoutError].some((kind) => error instanceof kind);
    if (!isExpected) throw error;
    await delay(50);
  }
}
Deno.exit();
