/**
 * `conc queue redrive`: put the dead letters back in line.
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
  brief: "Put the dead letters back in line",
  description: `They come out in the order in which they were first put, and are tried as often
as if they were new. --json prints one record of type redrive: name, redriven.`,
  examples: [
    { line: "conc queue create jobs; conc queue redrive jobs", does: "Try again what failed" },
    { line: "conc queue create jobs; conc queue redrive jobs --json", does: "For programs" },
  ],
  words: { usage: "NAME", minimum: 1, maximum: 1 },
  flags: STORE_FLAGS,
  run: runRedrive,
});

async function runRedrive(
  context: Context,
  flags: StoreFlags & CommonFlags,
  [name = ""]: string[],
): Promise<number> {
  parseName(name);
  await using reach = await openReach(context, flags);
  const redriven = await (await knownQueue(reach, name)).redrive();
  await tell(context, {
    flags,
    type: "redrive",
    name,
    count: { redriven },
    text: `put ${items(redriven)} back in line`,
  });
  return SUCCESS;
}
