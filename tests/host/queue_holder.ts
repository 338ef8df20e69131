/**
 * A worker that receives an item and never settles it: `queue_holder.ts STORE QUEUE [job]`. It prints the item, and with `job` the pid of
 * a process that works on it.
 *
 * @module
 */

import { HostConsumer } from "../../lib/host/consumer.ts";
import { HostQueue } from "../../lib/host/queue.ts";
import { Store } from "../../lib/host/store.ts";

const [path = "", name = "", kind] = Deno.args;
const store = new Store(path);
const received = await new HostConsumer(store, new HostQueue(store, name)).next();
const { item, env } = received!;
let pid: number | undefined;
if (kind === "job") {
  const job = new Deno.Command("sleep", {
    args: ["600"],
    env,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  });
  pid = job.spawn().pid;
}
console.log(JSON.stringify({ item: new TextDecoder().decode(item), pid }));
await new Promise(() => setInterval(() => {}, 1_000));
