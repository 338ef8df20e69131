/**
 * A process that receives an item and keeps it until it is killed: `queue_worker.ts URL NAME`. Prints the item.
 *
 * @module
 */

import { ClusterQueue } from "../../lib/cluster/queue.ts";
import { ClusterStore } from "../../lib/cluster/store.ts";

const [url = "", name = ""] = Deno.args;
const queue = await ClusterQueue.open(await ClusterStore.open(url), name);
const { item } = await queue.receive();
console.log(new TextDecoder().decode(item));
await new Response(Deno.stdin.readable).bytes();
