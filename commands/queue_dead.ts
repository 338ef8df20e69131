/**
 * `conc queue dead`: the dead letters of a queue.
 *
 * @module
 */

import { bytesToText, toPrintable } from "../lib/bytes.ts";
import type { DeadLetter } from "../lib/named.ts";
import { bytesEntry, type JsonRecord, ndjson } from "../lib/report/ndjson.ts";
import { shorten, table } from "../lib/report/table.ts";
import { parseName } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { knownQueue } from "./queue_flags.ts";
import { openReach } from "./reach.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

/** How much of an item and of an error stands in the table. */
const ITEM_LENGTH = 40;
const ERROR_LENGTH = 80;

export default command<StoreFlags>({
  brief: "List the dead letters: items that failed too often",
  description: `For each how often it was tried, when it was put, the item, and how it failed
last: the exit code, and the last line that the command printed to stderr. conc
queue redrive has them tried again.

--json prints a record of each, of type dead: id, item (itemBase64 if it is no
UTF-8), attempts, error, putAt.`,
  examples: [
    {
      line: "conc queue create jobs; conc queue dead jobs",
      does: "A table",
    },
    { line: "conc queue create jobs; conc queue dead jobs --json", does: "For programs" },
  ],
  words: { usage: "NAME", minimum: 1, maximum: 1 },
  flags: STORE_FLAGS,
  run: runDead,
});

async function runDead(
  context: Context,
  flags: StoreFlags & CommonFlags,
  [name = ""]: string[],
): Promise<number> {
  parseName(name);
  await using reach = await openReach(context, flags);
  const letters = await (await knownQueue(reach, name)).deadLetters();
  if (flags.json) {
    for (const letter of letters) await context.stdout.write(ndjson(letterRecord(letter)));
  } else if (letters.length > 0) {
    const columns = context.stdout.isTerminal ? context.columns() : Infinity;
    await context.stdout.write(table([HEAD, ...letters.map(row)], { columns }));
  } else if (!flags.quiet) {
    await say(context, `the queue '${name}' has no dead letters`);
  }
  return SUCCESS;
}

const HEAD = ["TRIES", "PUT AT", "ITEM", "ERROR"];

function row({ item, attempts, error, putAt }: DeadLetter<Uint8Array>): string[] {
  const text = toPrintable(bytesToText(item.subarray(0, 4 * ITEM_LENGTH)));
  return [
    String(attempts),
    putAt.toISOString(),
    shorten(text, ITEM_LENGTH),
    shorten(error ?? "-", ERROR_LENGTH),
  ];
}

function letterRecord({ id, item, attempts, error, putAt }: DeadLetter<Uint8Array>): JsonRecord {
  return {
    type: "dead",
    id,
    ...bytesEntry("item", item),
    attempts,
    error: error ?? null,
    putAt: putAt.toISOString(),
  };
}
