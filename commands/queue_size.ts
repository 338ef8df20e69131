/**
 * `conc queue size`: how many items wait.
 *
 * @module
 */

import { ndjson } from "../lib/report/ndjson.ts";
import { parseName } from "../lib/units.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { knownQueue } from "./queue_flags.ts";
import { queueRecord } from "./queue_list.ts";
import { openReach } from "./reach.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

export default command<StoreFlags>({
  brief: "Print how many items wait",
  description: `Items that are delayed count, those that are worked on and dead letters do not.
--json prints the record that conc queue list prints of each queue.`,
  examples: [
    { line: "seq 5 | conc queue put jobs; conc queue size jobs", does: "A number" },
    { line: "seq 5 | conc queue put jobs; conc queue size jobs --json", does: "All numbers, for programs" },
  ],
  words: { usage: "NAME", minimum: 1, maximum: 1 },
  flags: STORE_FLAGS,
  run: runSize,
});

async function runSize(
  context: Context,
  flags: StoreFlags & CommonFlags,
  [name = ""]: string[],
): Promise<number> {
  parseName(name);
  await using reach = await openReach(context, flags);
  const queue = await knownQueue(reach, name);
  const status = await reach.whenFree(() => queue.status());
  await context.stdout.write(flags.json ? ndjson(queueRecord(status)) : `${status.size}\n`);
  return SUCCESS;
}
