/**
 * A writer that is stopped in the middle of a write: `store_holder.ts STORE [release SEMAPHORE TOKEN | get QUEUE]`. It does that, and
 * stops itself before it is written; once it goes on, it is.
 *
 * @module
 */

import { HostQueue } from "../../lib/host/queue.ts";
import { HostSemaphore } from "../../lib/host/semaphore.ts";
import { Store } from "../../lib/host/store.ts";

const [path = "", action, name = "", token = ""] = Deno.args;
const store = new Store(path);
store.write(() => {
  if (action === "release") new HostSemaphore(store, name).release(token);
  if (action === "get") new HostQueue(store, name).tryGet();
  Deno.kill(Deno.pid, "SIGSTOP");
});
