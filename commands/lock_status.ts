/**
 * `conc lock status`: who holds locks, and who waits for them.
 *
 * @module
 */

import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { runStatus } from "./holders.ts";
import { lockSituation } from "./lock_situation.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

export default command<StoreFlags>({
  brief: "Who holds locks, and who waits for them",
  description: `Without a name: of every lock that is held or waited for.

--json prints a record of each holder (type holder: name, pid, jobPid, since,
command, token, shared), of each who waits (type waiter: name, place, pid,
since, command, shared), both between machines with their host, and one of each
lock (type lock: name, held, shared, holders, waiting). pid is conc's process,
jobPid the command's. Between machines who holds a lock and does not answer is
not among the holders; held is true all the same.`,
  examples: [
    { line: "conc lock status", does: "All locks" },
    { line: "conc lock status nightly --json", does: "One lock, for programs" },
  ],
  words: { usage: "[NAME]", minimum: 0, maximum: 1 },
  flags: STORE_FLAGS,
  run: (context: Context, flags: StoreFlags & CommonFlags, words: string[]) =>
    runStatus(context, {
      ...{ flags, words, none: "no lock is held" },
      all: (reach) => reach.lockNames(),
      situation: async (reach, name) => await lockSituation(name, await reach.lock(name)),
    }),
});
