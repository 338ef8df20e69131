/**
 * What `conc sem acquire` and the process that keeps permits at a broker share.
 *
 * @module
 */

import type { Identity, NamedSemaphore, Reach } from "../lib/named.ts";
import type { WaitOptions } from "../lib/primitives.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import type { Context } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import { acquire, type Acquired } from "./holding.ts";
import { type PermitFlags, semaphoreSituation } from "./sem_flags.ts";
import type { StoreFlags, WaitFlags } from "./store_flags.ts";

/** The flags of `conc sem acquire`. */
export type AcquireFlags = CommonFlags & StoreFlags & WaitFlags & PermitFlags & {
  owner?: number;
  ttl?: number;
};

/** Who holds the permits, or for how long, and what is said of it. */
export type HeldFor = ({ owner: Identity } | { ttlMs: number }) & { command?: string };

/**
 * Waits for permits as the flags say.
 *
 * @param options `lend`: takes them from a semaphore, once it is there.
 * @returns As {@link acquire} does.
 */
export function acquirePermits<L>(
  context: Context,
  { flags, name, reach, signal, lend }: {
    flags: AcquireFlags;
    name: string;
    reach: Reach;
    signal: AbortSignal;
    lend: (semaphore: NamedSemaphore, options: WaitOptions & { weight: number }) => Promise<L>;
  },
): Promise<Acquired<L>> {
  const { permits, weight } = flags;
  const guard = async (wait: WaitOptions) => {
    const semaphore = await reach.semaphore(name, { ...wait, ...(permits !== undefined && { permits }) });
    return {
      what: `the semaphore '${name}'`,
      acquire: (options: WaitOptions) => lend(semaphore, { ...options, weight }),
      situation: () => reach.whenFree(() => semaphoreSituation(name, semaphore), { timeoutMs: 0 }),
    };
  };
  return acquire(context, { flags, signal, guard });
}

/** What is printed of permits that were had. */
export function acquiredText(
  flags: AcquireFlags,
  { name, token, heldFor, waitedMs }: { name: string; token: string; heldFor: HeldFor; waitedMs: number },
): string {
  if (!flags.json) return `${token}\n`;
  const owner = "owner" in heldFor ? heldFor.owner.pid : null;
  const times = { ttlMs: flags.ttl ?? null, waitedMs: Math.round(waitedMs * 1_000) / 1_000 };
  return ndjson({ type: "acquired", name, token, weight: flags.weight, owner, ...times });
}
