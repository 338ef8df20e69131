/**
 * What the subcommands of `conc sem` share.
 *
 * @module
 */

import type { FlagParametersForType } from "@stricli/core";
import { ConcError } from "../lib/errors.ts";
import { HostSemaphore } from "../lib/host/semaphore.ts";
import type { Store } from "../lib/host/store.ts";
import type { WaitOptions } from "../lib/primitives.ts";
import { parseCount } from "../lib/units.ts";
import type { Situation } from "./holders.ts";
import { WAIT_ALIASES } from "./store_flags.ts";

/** Flags of everything that takes permits. */
export type PermitFlags = { permits?: number; weight: number };

/** The declarations of {@link PermitFlags}. */
export const PERMIT_FLAGS: FlagParametersForType<PermitFlags, never> = {
  permits: {
    kind: "parsed",
    parse: (text: string) => parseCount(text, 1),
    optional: true,
    placeholder: "PERMITS",
    brief: "How many permits there are (as many as it has; a new one has 1)",
  },
  weight: {
    kind: "parsed",
    parse: (text: string) => parseCount(text, 1),
    default: "1",
    placeholder: "WEIGHT",
    brief: "How many of them to take",
  },
};

/** Letters for {@link PERMIT_FLAGS} and the flags of waiting. */
export const PERMIT_ALIASES = { n: "permits", w: "weight", ...WAIT_ALIASES } as const;

/** There is no semaphore of that name. */
class UnknownSemaphoreError extends ConcError {}

/**
 * The semaphore of a name, which must be there.
 *
 * @throws {ConcError} If there is none.
 */
export function knownSemaphore(store: Store, name: string): HostSemaphore {
  if (HostSemaphore.names(store).includes(name)) return new HostSemaphore(store, name);
  throw new UnknownSemaphoreError(`there is no semaphore '${name}': conc sem status lists them`);
}

/**
 * The semaphore of a name, made if it is not there.
 *
 * @param options Its name, how many permits it is to have, and when to give up if the store cannot be written.
 * @throws {UsageError} If it is in use with another number of permits.
 */
export async function openSemaphore(
  store: Store,
  { name, permits, ...wait }: WaitOptions & { name: string; permits: number | undefined },
): Promise<HostSemaphore> {
  const options = permits === undefined ? {} : { permits };
  return await store.writeWhenFree(() => new HostSemaphore(store, name, options), wait);
}

/** How a semaphore stands at this moment. */
export function semaphoreSituation(name: string, semaphore: HostSemaphore): Situation {
  const { holders, waiters, permits, available, waiting } = semaphore.status();
  const free = Math.max(0, available);
  return {
    name,
    text: `${permits} ${permits === 1 ? "permit" : "permits"}, ${free} free, ${waiting} waiting`,
    record: { type: "semaphore", name, permits, available, holders: holders.length, waiting },
    holders,
    waiters,
  };
}
