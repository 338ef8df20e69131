/**
 * A process that holds a permit until it is killed, or its stdin ends: `holder.ts URL NAME lock|semaphore`. Prints its fencing number.
 *
 * @module
 */

import { ClusterLock } from "../../lib/cluster/lock.ts";
import { ClusterSemaphore } from "../../lib/cluster/semaphore.ts";
import { ClusterStore } from "../../lib/cluster/store.ts";

const [url = "", name = "", kind = "lock"] = Deno.args;
const store = await ClusterStore.open(url);
const object = kind === "lock"
  ? await ClusterLock.open(store, name)
  : await ClusterSemaphore.open(store, name);
const lease = await object.acquire();
console.log(lease.fence);
await new Response(Deno.stdin.readable).bytes();
lease.release();
await store.close();
