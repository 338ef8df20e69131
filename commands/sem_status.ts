/**
 * `conc sem status`: who holds permits, and who waits for them.
 *
 * @module
 */

import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { runStatus } from "./holders.ts";
import { knownSemaphore, semaphoreSituation } from "./sem_flags.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

export default command<StoreFlags>({
  brief: "Who holds permits, and who waits for them",
  description: `Without a name: of every semaphore of the store. Exit code: 0, or 1 if there is
none of that name.

--json prints a record of each holder (type holder: name, pid, jobPid, since,
command, weight, token), of each who waits (type waiter: name, place, pid,
since, command, weight), both between machines with their host, and one of each
semaphore (type semaphore: name, permits, available, holders, waiting). pid is
conc's process or the owner's, null with --ttl; jobPid is the command's. Between
machines who does not answer is not among the holders. available is negative
while more are held than there are, after a resize.`,
  examples: [
    { line: "conc sem status", does: "All semaphores" },
    { line: "conc sem run db -n5 sleep 0.1 && conc sem status db --json", does: "One, for programs" },
  ],
  words: { usage: "[NAME]", minimum: 0, maximum: 1 },
  flags: STORE_FLAGS,
  run: (context: Context, flags: StoreFlags & CommonFlags, words: string[]) =>
    runStatus(context, {
      ...{ flags, words, none: "there is no semaphore" },
      all: (reach) => reach.semaphoreNames(),
      situation: async (reach, name) => await semaphoreSituation(name, await knownSemaphore(reach, name)),
    }),
});
