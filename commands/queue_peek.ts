/**
 * `conc queue peek`: look at the next items.
 *
 * @module
 */

import { parseCount, parseName } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS, WOULD_BLOCK } from "./exit_code.ts";
import { itemLine, knownQueue, NULL_ALIASES, NULL_FLAGS, type NullFlags } from "./queue_flags.ts";
import { openReach } from "./reach.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

type PeekFlags = StoreFlags & NullFlags & { count: number };

export default command<PeekFlags>({
  brief: "Print the next items, which stay",
  description: `In the order in which they would be gotten. What is delayed, worked on or a dead
letter is not among them. Exit code: 0, 75 if there is none, 1 if there is no
such queue.

--json prints a record of each item, of type item: item (itemBase64 if it is no
UTF-8).`,
  examples: [
    { line: "conc queue put jobs one; conc queue peek jobs", does: "What comes next" },
    {
      line: "seq 5 | conc queue put jobs; conc queue peek jobs -n 3 --json",
      does: "The next three, for programs",
    },
  ],
  words: { usage: "NAME", minimum: 1, maximum: 1 },
  flags: {
    count: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      default: "1",
      placeholder: "N",
      brief: "Print up to N items",
    },
    ...NULL_FLAGS,
    ...STORE_FLAGS,
  },
  aliases: { n: "count", ...NULL_ALIASES },
  run: runPeek,
});

async function runPeek(
  context: Context,
  flags: PeekFlags & CommonFlags,
  [name = ""]: string[],
): Promise<number> {
  parseName(name);
  await using reach = await openReach(context, flags);
  const queue = await knownQueue(reach, name);
  const next = await reach.whenFree(() => queue.peek(flags.count));
  for (const item of next) await context.stdout.write(itemLine(item, { flags }));
  if (next.length > 0) return SUCCESS;
  if (!flags.quiet) await say(context, `nothing is ready in the queue '${name}'`);
  return WOULD_BLOCK;
}
