/**
 * `conc queue purge`: throw away the items that wait.
 *
 * @module
 */

import { parseName } from "../lib/units.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { items, knownQueue, tell } from "./queue_flags.ts";
import { openReach } from "./reach.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

export default command<StoreFlags>({
  brief: "Throw away the items that wait",
  description: `What is delayed, too. What is worked on and the dead letters stay. --json prints
one record of type purge: name, purged.`,
  examples: [
    { line: "seq 5 | conc queue put jobs; conc queue purge jobs", does: "Five items less" },
    { line: "seq 5 | conc queue put jobs; conc queue purge jobs --json", does: "For programs" },
  ],
  words: { usage: "NAME", minimum: 1, maximum: 1 },
  flags: STORE_FLAGS,
  run: runPurge,
});

async function runPurge(
  context: Context,
  flags: StoreFlags & CommonFlags,
  [name = ""]: string[],
): Promise<number> {
  parseName(name);
  await using reach = await openReach(context, flags);
  const purged = await (await knownQueue(reach, name)).purge();
  await tell(context, { flags, type: "purge", name, count: { purged }, text: `threw ${items(purged)} away` });
  return SUCCESS;
}
