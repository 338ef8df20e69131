/**
 * `conc sem resize`: change how many permits there are.
 *
 * @module
 */

import { ndjson } from "../lib/report/ndjson.ts";
import { parseCount, parseName } from "../lib/units.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { openReach } from "./reach.ts";
import { semaphoreSituation } from "./sem_flags.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

export default command<StoreFlags>({
  brief: "Change how many permits there are",
  description: `Who holds permits keeps them; with fewer than are held, nobody is let in until
enough came back. Who waits for more than there are now is turned away. A
semaphore that is not there yet is made.

--json prints a record of type semaphore: name, permits, available, holders,
waiting.`,
  examples: [
    { line: "conc sem resize db 3", does: "Three permits from now on" },
    { line: "conc sem resize db 1 --json", does: "For programs" },
  ],
  words: { usage: "NAME PERMITS", minimum: 2, maximum: 2 },
  flags: STORE_FLAGS,
  run: runResize,
});

async function runResize(
  context: Context,
  flags: StoreFlags & CommonFlags,
  [word = "", count = ""]: string[],
): Promise<number> {
  const name = parseName(word);
  const permits = parseCount(count, 1);
  await using reach = await openReach(context, flags);
  const semaphore = await reach.semaphore(name);
  await reach.whenFree(() => semaphore.resize(permits));
  if (flags.json) await context.stdout.write(ndjson((await semaphoreSituation(name, semaphore)).record));
  return SUCCESS;
}
