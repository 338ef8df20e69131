/**
 * `conc sem status`: who holds permits, and who waits for them.
 *
 * @module
 */

import { parseName } from "../lib/units.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { showSituations, type Situation } from "./holders.ts";
import { openReach } from "./reach.ts";
import { knownSemaphore, semaphoreSituation } from "./sem_flags.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

export default command<StoreFlags>({
  brief: "Who holds permits, and who waits for them",
  description: `Without a name: of every semaphore of the store. Exit code: 0, or 1 if there is
none of that name.

--json prints a record of each holder (type holder: name, pid, jobPid, since,
command, weight, token), of each who waits (type waiter: name, place, pid,
since, command, weight), and one of each semaphore (type semaphore: name,
permits, available, holders, waiting). pid is conc's process or the owner's,
null with --ttl; jobPid is the command's. available is negative while more are
held than there are, after a resize.`,
  examples: [
    { line: "conc sem status", does: "All semaphores" },
    { line: "conc sem run db -n5 sleep 0.1 && conc sem status db --json", does: "One, for programs" },
  ],
  words: { usage: "[NAME]", minimum: 0, maximum: 1 },
  flags: STORE_FLAGS,
  run: runStatus,
});

async function runStatus(
  context: Context,
  flags: StoreFlags & CommonFlags,
  words: string[],
): Promise<number> {
  const wanted = words.map(parseName);
  await using reach = await openReach(context, flags);
  const names = wanted.length > 0 ? wanted : await reach.semaphoreNames();
  const situations: Situation[] = [];
  for (const name of names) {
    situations.push(await semaphoreSituation(name, await knownSemaphore(reach, name)));
  }
  await showSituations(context, { situations, flags, none: "there is no semaphore" });
  return SUCCESS;
}
