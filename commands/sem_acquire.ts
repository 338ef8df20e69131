/**
 * `conc sem acquire`: take permits for another process, or for some time.
 *
 * @module
 */

import { UsageError } from "../lib/errors.ts";
import { identityOf } from "../lib/host/owner.ts";
import type { Identity, LendOptions } from "../lib/named.ts";
import type { WaitOptions } from "../lib/primitives.ts";
import { readCommand } from "../lib/process/proc.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { formatDuration, parseDuration } from "../lib/time/duration.ts";
import { parseCount, parseName } from "../lib/units.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { acquire } from "./holding.ts";
import { Interrupts } from "./interrupt.ts";
import { openReach } from "./reach.ts";
import { PERMIT_ALIASES, PERMIT_FLAGS, type PermitFlags, semaphoreSituation } from "./sem_flags.ts";
import { STORE_FLAGS, type StoreFlags, WAIT_FLAGS, type WaitFlags } from "./store_flags.ts";

type AcquireFlags = StoreFlags & WaitFlags & PermitFlags & { owner?: number; ttl?: number };

export default command<AcquireFlags>({
  brief: "Take permits, for a process or for a time, and print a token",
  description: `The permits are held until conc sem release gives them back; but no longer than
their owner lives, which is the process that called conc (a shell script, say)
or that of --owner, or than --ttl says.

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
  },
  aliases: PERMIT_ALIASES,
  run: runAcquire,
});

async function runAcquire(
  context: Context,
  flags: AcquireFlags & CommonFlags,
  [word = ""]: string[],
): Promise<number> {
  const name = parseName(word);
  const { permits, weight, ttl, json } = flags;
  const holder = holderOf(flags);
  using interrupts = new Interrupts();
  const signal = interrupts.first;
  await using reach = await openReach(context, flags);
  const guard = async (wait: WaitOptions) => {
    const semaphore = await reach.semaphore(name, { ...wait, ...(permits !== undefined && { permits }) });
    return {
      what: `the semaphore '${name}'`,
      acquire: async (options: object) => ({
        token: await semaphore.lend({ ...options, ...holder, weight }),
        giveBack: (token: string) => reach.beforeEnd(() => semaphore.release(token), { signal }),
      }),
      situation: () => reach.whenFree(() => semaphoreSituation(name, semaphore), { timeoutMs: 0 }),
    };
  };
  const acquired = await acquire(context, { flags, signal, guard });
  if ("exitCode" in acquired) return acquired.exitCode;
  const { token, giveBack } = acquired.lease;
  try {
    signal.throwIfAborted();
    const owner = "owner" in holder ? holder.owner.pid : null;
    const times = { ttlMs: ttl ?? null, waitedMs: Math.round(acquired.waitedMs * 1_000) / 1_000 };
    await context.stdout.write(
      json ? ndjson({ type: "acquired", name, token, weight, owner, ...times }) : `${token}\n`,
    );
  } catch (error) {
    // Nobody got to know the token.
    await giveBack(token);
    throw error;
  }
  return SUCCESS;
}

/** Who holds the permits, or for how long, and what is said of it. */
function holderOf({ owner: pid, ttl }: AcquireFlags): LendOptions {
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
