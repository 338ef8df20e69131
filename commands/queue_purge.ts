/**
 * `conc queue purge`: throw away the items that wait.
 *
 * @module
 */

import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { changeQueue, items } from "./queue_flags.ts";
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
  run: (context: Context, flags: StoreFlags & CommonFlags, [name = ""]: string[]) =>
    changeQueue(context, {
      ...{ flags, name, type: "purge", key: "purged" },
      change: (queue) => queue.purge(),
      text: (count) => `threw ${items(count)} away`,
    }),
});
