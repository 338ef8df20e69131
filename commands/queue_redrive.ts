/**
 * `conc queue redrive`: put the dead letters back in line.
 *
 * @module
 */

import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { changeQueue, items } from "./queue_flags.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

export default command<StoreFlags>({
  brief: "Put the dead letters back in line",
  description: `They come out in the order in which they were first put, and are tried as often
as if they were new. --json prints one record of type redrive: name, redriven.`,
  examples: [
    { line: "conc queue create jobs; conc queue redrive jobs", does: "Try again what failed" },
    { line: "conc queue create jobs; conc queue redrive jobs --json", does: "For programs" },
  ],
  words: { usage: "NAME", minimum: 1, maximum: 1 },
  flags: STORE_FLAGS,
  run: (context: Context, flags: StoreFlags & CommonFlags, [name = ""]: string[]) =>
    changeQueue(context, {
      ...{ flags, name, type: "redrive", key: "redriven" },
      change: (queue) => queue.redrive(),
      text: (count) => `put ${items(count)} back in line`,
    }),
});
