/**
 * `conc lock run`: run a command while holding a lock.
 *
 * @module
 */

import type { JobLease } from "../lib/named.ts";
import { parseName } from "../lib/units.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { type Guard, type GuardOptions, HOLDING_FLAGS, type HoldingFlags, runHolding } from "./holding.ts";
import { lockSituation } from "./lock_situation.ts";
import { WAIT_ALIASES, WAIT_FLAGS } from "./store_flags.ts";

type LockRunFlags = HoldingFlags & { shared: boolean };

export default command<LockRunFlags>({
  brief: "Run a command while holding a lock",
  description: `One at a time, first come first served. The command has conc's stdin, stdout
and stderr, and its exit code is conc's. A single word with white space or a
shell operator in it goes to sh -c.

The lock is free again when the command and all that it started are gone: what
it leaves in the background is ended with it. If conc is killed, the lock stays
held as long as a process of the command lives.

The command has CONC_FENCE in its environment, a number that grows with every
grant. At a broker a process beside conc, the keeper, holds the lock, which is
lost if its connection is: then the command is ended, if possible before another
has the lock, and conc exits 125; or it goes on, with --on-lost warn.

--json prints one record of type run: name, command, cause (exit, signal,
interrupted, lost), exitCode, signal, waitedMs, startedAt, durationMs, stdout,
stderr.
If the lock was not had: a record of each holder and waiter (see conc lock
status), and one of type refused: name, cause (conflict, timeout), exitCode,
waitedMs.`,
  examples: [
    { line: "conc lock run nightly --no-wait sleep 0.1", does: "Run it unless it runs already" },
    { line: "conc lock run deploy --timeout 10s 'sleep 0.1; echo deployed'", does: "Wait for 10s at most" },
    { line: "conc lock run config --shared cat three.txt", does: "Beside others who only read" },
  ],
  words: { usage: "NAME CMD…", minimum: 1, maximum: Infinity, wrapsAfter: 1 },
  flags: {
    ...WAIT_FLAGS,
    shared: {
      kind: "boolean",
      default: false,
      withNegated: false,
      brief: "Hold it beside others who share it, too",
    },
    ...HOLDING_FLAGS,
  },
  aliases: WAIT_ALIASES,
  run: runLock,
});

function runLock(
  context: Context,
  flags: LockRunFlags & CommonFlags,
  [word = "", ...typed]: string[],
): Promise<number> {
  return runHolding(context, { command: "lock", flags, name: parseName(word), typed, guard });
}

async function guard(
  { flags: { shared }, name, text, reach }: GuardOptions<LockRunFlags>,
): Promise<Guard<JobLease>> {
  const lock = await reach.lock(name);
  return {
    what: `the lock '${name}'`,
    acquire: (options) => lock.acquire({ ...options, shared, command: text }),
    situation: () => reach.whenFree(() => lockSituation(name, lock), { timeoutMs: 0 }),
  };
}
