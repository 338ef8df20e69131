/**
 * `conc sem run`: run a command while holding permits of a semaphore.
 *
 * @module
 */

import type { JobLease } from "../lib/named.ts";
import { parseName } from "../lib/units.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { type Guard, type GuardOptions, HOLDING_FLAGS, type HoldingFlags, runHolding } from "./holding.ts";
import { PERMIT_ALIASES, PERMIT_FLAGS, type PermitFlags, semaphoreSituation } from "./sem_flags.ts";
import { WAIT_FLAGS } from "./store_flags.ts";

type SemRunFlags = HoldingFlags & PermitFlags;

export default command<SemRunFlags>({
  brief: "Run a command while holding permits",
  description: `At most so many at a time as there are permits, first come first served. The
number of permits belongs to the name: while it is in use, all who give -n must
agree. The command has conc's stdin, stdout and stderr, and its exit code is
conc's. A single word with white space or a shell operator in it goes to sh -c.

The permits are free again when the command and all that it started are gone:
what it leaves in the background is ended with it. If conc is killed, they stay
held as long as a process of the command lives.

The command has CONC_FENCE in its environment, a number that grows with every
grant. At a broker a process beside conc, the keeper, holds the permits, which
are lost if its connection is: then the command is ended, if possible before
another has them, and conc exits 125; or it goes on, with --on-lost warn.

--json prints one record of type run: name, command, cause (exit, signal,
interrupted, lost), exitCode, signal, waitedMs, startedAt, durationMs, stdout,
stderr.
If the permits were not had: a record of each holder and waiter (see conc sem
status), and one of type refused: name, cause (conflict, timeout), exitCode,
waitedMs.`,
  examples: [
    { line: "conc sem run db -n5 sleep 0.1", does: "At most five at a time" },
    { line: "conc sem run db -n5 -w2 --timeout 10s sleep 0.1", does: "One that counts twice" },
    { line: "conc sem run dumps --no-wait 'sleep 0.1; exit 3'", does: "A script, or exit 75", exitCode: 3 },
  ],
  words: { usage: "NAME CMD…", minimum: 1, maximum: Infinity, wrapsAfter: 1 },
  flags: { ...PERMIT_FLAGS, ...WAIT_FLAGS, ...HOLDING_FLAGS },
  aliases: PERMIT_ALIASES,
  run: runSemaphore,
});

function runSemaphore(
  context: Context,
  flags: SemRunFlags & CommonFlags,
  [word = "", ...typed]: string[],
): Promise<number> {
  return runHolding(context, { command: "sem", flags, name: parseName(word), typed, guard });
}

async function guard(
  { flags: { permits, weight }, name, text, reach, ...wait }: GuardOptions<SemRunFlags>,
): Promise<Guard<JobLease>> {
  const semaphore = await reach.semaphore(name, { ...wait, ...(permits !== undefined && { permits }) });
  return {
    what: `the semaphore '${name}'`,
    acquire: (options) => semaphore.acquire({ ...options, weight, command: text }),
    situation: () => reach.whenFree(() => semaphoreSituation(name, semaphore), { timeoutMs: 0 }),
  };
}
