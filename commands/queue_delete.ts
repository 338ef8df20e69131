/**
 * `conc queue delete`: throw a queue away.
 *
 * @module
 */

import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { changeQueue, items } from "./queue_flags.ts";
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
  run: (context: Context, flags: StoreFlags & CommonFlags, [name = ""]: string[]) =>
    changeQueue(context, {
      ...{ flags, name, type: "delete", key: "deleted" },
      change: (queue) => queue.delete(),
      text: (count) => `threw the queue away, and ${items(count)} with it`,
    }),
});
