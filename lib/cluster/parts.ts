/**
 * Who holds an object, and who waits for it, as they say it themselves.
 *
 * @module
 */

import type { Holder, Waiter } from "../named.ts";

/** Who holds, or waits. */
export interface Part {
  /** Which of the two. Who is first in line collects what it waits for, and waits. */
  state: "holds" | "waits";
  /** How many permits; of a lock 1 if it is shared, else 0. */
  weight: number;
  /** How many permits who waits has collected so far; undefined for who is not first in line. */
  collected?: number;
  host: string;
  pid: number | undefined;
  jobPid: number | undefined;
  command: string | undefined;
  /** Milliseconds since the epoch. */
  since: number;
  /** Names the lease; empty for who waits. */
  token: string;
}

/** A part that a process of this machine is about to play. */
export function partOf(played: Pick<Part, "state" | "weight" | "command" | "pid">): Part {
  return {
    ...played,
    host: Deno.hostname(),
    jobPid: undefined,
    since: Date.now(),
    token: "",
  };
}

/** A part turns from waiting into holding. */
export function hold(part: Part): Part {
  delete part.collected;
  part.state = "holds";
  part.since = Date.now();
  part.token = crypto.randomUUID().replaceAll("-", "").slice(0, 16);
  return part;
}

/** Whether a text may be the token of a lease. */
export function isToken(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}

/** Those who hold, the longest first, and those who wait, in the order of the line as their clocks say. */
export function holdersAndWaiters(
  parts: readonly Part[],
): { holders: (Holder & { host: string })[]; waiters: (Waiter & { host: string })[] } {
  const inOrder = parts.toSorted((one, other) => one.since - other.since);
  const shown = ({ host, pid, command, since, weight }: Part) => ({
    ...{ host, command, weight },
    pid,
    since: new Date(since),
  });
  return {
    holders: inOrder.filter(({ state }) => state === "holds").map((part) => ({
      ...shown(part),
      ...{ jobPid: part.jobPid, token: part.token },
    })),
    waiters: inOrder.filter(({ state }) => state === "waits").map((part) => ({
      ...shown(part),
      pid: part.pid!,
    })),
  };
}
