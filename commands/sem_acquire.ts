/**
 * `conc sem acquire`: take permits for another process, or for some time.
 *
 * @module
 */

import { UsageError } from "../lib/errors.ts";
import { identityOf } from "../lib/process/identity.ts";
import type { Identity } from "../lib/named.ts";
import { readCommand } from "../lib/process/proc.ts";
import { formatDuration, parseDuration } from "../lib/time/duration.ts";
import { parseCount, parseName } from "../lib/units.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";
import { KEEPER_FLAGS, type KeeperFlags } from "./keeper_flags.ts";
import { openReach } from "./reach.ts";
import { PERMIT_ALIASES, PERMIT_FLAGS } from "./sem_flags.ts";
import { acquiredText, type AcquireFlags, acquirePermits, type HeldFor } from "./sem_lending.ts";
import { brokerUrl, STORE_FLAGS, WAIT_FLAGS, waitLimit } from "./store_flags.ts";

type Flags = AcquireFlags & KeeperFlags;

export default command<Omit<Flags, keyof CommonFlags>>({
  brief: "Take permits, for a process or for a time, and print a token",
  description: `The permits are held until conc sem release gives them back; but no longer than
their owner lives, which is the process that called conc (a shell script, say)
or that of --owner, or than --ttl says. At a broker a process stays behind that
keeps them: they are free as well if it is killed or loses the broker, and
nobody is told.

In $(conc sem acquire NAME | …) the caller is a subshell that ends at once: name
the owner there, --owner $$.

--json prints a record of type acquired: name, token, weight, owner (null with
--ttl), ttlMs, waitedMs. If the permits were not had: see conc sem run.`,
  examples: [
    {
      line: 'token=$(conc sem acquire db -n5) && conc sem release db "$token"',
      does: "Hold a permit for a part of a script",
    },
    { line: "conc sem acquire rate -n100 --ttl 0.2s --no-wait", does: "Free again after 200ms" },
  ],
  words: { usage: "NAME", minimum: 1, maximum: 1 },
  flags: {
    ...PERMIT_FLAGS,
    owner: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      optional: true,
      placeholder: "PID",
      brief: "The process that holds them (the one that called conc)",
    },
    ttl: {
      kind: "parsed",
      parse: parseDuration,
      optional: true,
      placeholder: "D",
      brief: "They are free again after D, whoever lives",
    },
    ...WAIT_FLAGS,
    ...STORE_FLAGS,
    ...KEEPER_FLAGS,
  },
  aliases: PERMIT_ALIASES,
  run: runAcquire,
});

async function runAcquire(
  context: Context,
  flags: Flags & CommonFlags,
  [word = ""]: string[],
): Promise<number> {
  const name = parseName(word);
  if (flags.keeper) return await (await import("./sem_keeper.ts")).keep(context, name);
  const heldFor = heldForOf(flags);
  waitLimit(flags);
  const broker = brokerUrl(context, flags);
  using interrupts = new Interrupts();
  const signal = interrupts.first;
  if (broker !== undefined) {
    const { acquireByKeeper } = await import("./sem_keeper.ts");
    return await acquireByKeeper(context, { name, flags: { ...flags, store: broker }, heldFor, signal });
  }
  await using reach = await openReach(context, flags);
  const acquired = await acquirePermits(context, {
    ...{ flags, name, reach, signal },
    lend: async (semaphore, options) => ({
      token: await semaphore.lend({ ...options, ...heldFor }),
      giveBack: (token: string) => reach.beforeEnd(() => semaphore.release(token), { signal }),
    }),
  });
  if ("exitCode" in acquired) return acquired.exitCode;
  const { lease: { token, giveBack }, waitedMs } = acquired;
  try {
    signal.throwIfAborted();
    await context.stdout.write(acquiredText(flags, { name, token, heldFor, waitedMs }));
  } catch (error) {
    // Nobody got to know the token.
    await giveBack(token);
    throw error;
  }
  return SUCCESS;
}

/** Who holds the permits, or for how long, and what is said of it. */
function heldForOf({ owner: pid, ttl }: AcquireFlags): HeldFor {
  if (ttl === undefined) {
    const owner = livingProcess(pid ?? Deno.ppid);
    const command = readCommand(owner.pid);
    return { owner, ...(command !== undefined && { command }) };
  }
  if (pid !== undefined) throw new UsageError("--owner and --ttl contradict each other: leave out one");
  if (ttl === 0) throw new UsageError("cannot hold permits for no time: give --ttl more than 0");
  return { ttlMs: ttl, command: `for ${formatDuration(ttl)}` };
}

function livingProcess(pid: number): Identity {
  const identity = identityOf(pid);
  if (identity === undefined) {
    throw new UsageError(`cannot give permits to process ${pid} as there is none: name one with --owner`);
  }
  return identity;
}
