/**
 * `conc queue delete`: throw a queue away.
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
  brief: "Throw a queue away, with all that is in it",
  description: `Its dead letters and what is worked on, too. Who waits for it is turned away.
--json prints one record of type delete: name, deleted (how many items).`,
  examples: [
    { line: "conc queue create jobs; conc queue delete jobs", does: "The queue is gone" },
    { line: "seq 5 | conc queue put jobs; conc queue delete jobs --json", does: "For programs" },
  ],
  words: { usage: "NAME", minimum: 1, maximum: 1 },
  flags: STORE_FLAGS,
  run: runDelete,
});

async function runDelete(
  context: Context,
  flags: StoreFlags & CommonFlags,
  [name = ""]: string[],
): Promise<number> {
  parseName(name);
  await using reach = await openReach(context, flags);
  const deleted = await (await knownQueue(reach, name)).delete();
  await tell(context, {
    flags,
    type: "delete",
    name,
    count: { deleted },
    text: `threw the queue away, and ${items(deleted)} with it`,
  });
  return SUCCESS;
}
