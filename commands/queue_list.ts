/**
 * `conc queue list`: the queues of a store.
 *
 * @module
 */

import type { NamedQueueStatus } from "../lib/named.ts";
import { type JsonRecord, ndjson } from "../lib/report/ndjson.ts";
import { table } from "../lib/report/table.ts";
import { type Context, say } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { openReach } from "./reach.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

export default command<StoreFlags>({
  brief: "List the queues of the store",
  description: `SIZE is how many items wait, DELAYED how many of them are not due yet, LEASED
how many are worked on, DEAD how many are dead letters, LIMIT how many may wait,
PUTTERS and GETTERS how many wait to put and to get.

--json prints a record of each queue, of type queue: name, kind, maxSize (null
if there is no limit), size, delayed, leased, dead, unfinished (size and leased,
and what was gotten within the library and not reported), waitingToPut,
waitingToGet, closed.`,
  examples: [
    { line: "conc queue put jobs one two; conc queue list", does: "A table" },
    { line: "conc queue put jobs one two; conc queue list --json", does: "For programs" },
  ],
  words: { usage: "", minimum: 0, maximum: 0 },
  flags: STORE_FLAGS,
  run: runList,
});

/** What programs are told of a queue. */
export function queueRecord({ name, maxSize, ...rest }: NamedQueueStatus): JsonRecord {
  return { type: "queue", name, maxSize: maxSize === Infinity ? null : maxSize, ...rest };
}

async function runList(context: Context, flags: StoreFlags & CommonFlags): Promise<number> {
  await using reach = await openReach(context, flags);
  const queues = await reach.queues();
  if (flags.json) {
    await context.stdout.write(queues.map((status) => ndjson(queueRecord(status))).join(""));
  } else if (queues.length > 0) {
    await context.stdout.write(table([HEAD, ...queues.map(row)], { columns: tableColumns(context) }));
  } else if (!flags.quiet) {
    await say(context, "there is no queue yet: conc queue put makes one");
  }
  return SUCCESS;
}

const HEAD = ["NAME", "KIND", "SIZE", "DELAYED", "LEASED", "DEAD", "LIMIT", "PUTTERS", "GETTERS"];

function row(status: NamedQueueStatus): string[] {
  const { name, kind, size, delayed, leased, dead, maxSize, waitingToPut, waitingToGet } = status;
  const limit = maxSize === Infinity ? "-" : maxSize;
  return [name, kind, ...[size, delayed, leased, dead, limit, waitingToPut, waitingToGet].map(String)];
}

/** What a program reads is not cut off. */
function tableColumns(context: Context): number {
  return context.stdout.isTerminal ? context.columns() : Infinity;
}
