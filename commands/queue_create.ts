/**
 * `conc queue create`: make a queue.
 *
 * @module
 */

import type { QueueKind } from "../lib/primitives.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { parseCount, parseName } from "../lib/units.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { queueRecord } from "./queue_list.ts";
import { openReach } from "./reach.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

type CreateFlags = StoreFlags & { kind?: QueueKind; maxsize?: number };

export default command<CreateFlags>({
  brief: "Make a queue of a kind and a size",
  description: `Needed only for what conc queue put does not make: it makes a fifo without a
limit. A queue that is there already must be of this kind and size, else exit
code 2. --json prints the record that conc queue list prints of each queue.`,
  examples: [
    { line: "conc queue create urgent --kind priority", does: "The smallest number first" },
    { line: "conc queue create few --maxsize 3; conc queue list", does: "Who puts a fourth item waits" },
  ],
  words: { usage: "NAME", minimum: 1, maximum: 1 },
  flags: {
    kind: {
      kind: "enum",
      values: ["fifo", "lifo", "priority"],
      optional: true,
      brief: "First in first out; last in first out; or the smallest priority first (fifo)",
    },
    maxsize: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      optional: true,
      placeholder: "N",
      brief: "How many items may wait; who puts more waits (no limit)",
    },
    ...STORE_FLAGS,
  },
  run: runCreate,
});

async function runCreate(
  context: Context,
  flags: CreateFlags & CommonFlags,
  [name = ""]: string[],
): Promise<number> {
  parseName(name);
  const { kind, maxsize: maxSize } = flags;
  await using reach = await openReach(context, flags);
  const queue = await reach.queue(name, {
    ...(kind !== undefined && { kind }),
    ...(maxSize !== undefined && { maxSize }),
  });
  if (flags.json) await context.stdout.write(ndjson(queueRecord(await queue.status())));
  return SUCCESS;
}
