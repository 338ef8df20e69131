/**
 * What a child took of the machine: times and memory, as the kernel counted them, or nothing where it cannot be told apart.
 *
 * The kernel's figures of one child are there from its end until it is waited for, and Deno waits for it at once. So a thread waits beside
 * Deno, and mostly it is faster. If it was not, what all children took together has grown since by what this one took, less what is
 * known of the others; unless another ended in the same moment, of which nothing is known either.
 *
 * Invariant: a figure is the kernel's, to the microsecond, or it is not given.
 *
 * @module
 */

import { childrenUsage, type KernelUsage, watchEnd } from "./libc.ts";
import { peakBytesOf, readProcess } from "./proc.ts";

/** What a child took, with those of its children that it waited for. */
export interface Usage {
  /** Processor time in its own code. */
  userMs: number;
  /** Processor time in the kernel for it. */
  systemMs: number;
  /**
   * The most memory that one of its processes had at a time; undefined if that is less than what this process has: the kernel counts a
   * child as large as who started it until it executes its program.
   */
  maxRssBytes: number | undefined;
}

/** How far off the kernel may be, which counts pages for each processor apart. */
const COUNTING_ERROR_BYTES = 2 ** 20;
/** More threads than this would take from those that Deno has for files. */
const WATCHER_LIMIT = 16;

/** The measured children that have not settled. */
const unsettled = new Set<number>();
let watchers = 0;
/** What all children took together when it was known of each what it took; undefined if that is not known any more. */
let balance: KernelUsage | undefined;
/** What of that which was added since is known to be whose. */
let known = nothing();

/**
 * Begins to measure a child that was just started.
 *
 * @param pid Its process id.
 * @returns To be called when Deno has waited for it: gives what it took, or undefined if that cannot be told.
 */
export function measure(pid: number): () => Promise<Usage | undefined> {
  if (unsettled.size === 0) {
    balance = childrenUsage();
    known = nothing();
  }
  unsettled.add(pid);
  // Not getrusage(2): its figure is of those, too, who started this process, and may be much larger.
  const ownPeakBytes = (peakBytesOf(Deno.pid) ?? Infinity) + COUNTING_ERROR_BYTES;
  const watched = watchers < WATCHER_LIMIT ? watch(pid) : Promise.resolve(undefined);
  return async () => {
    const seen = await watched;
    unsettled.delete(pid);
    if (seen !== undefined) {
      reapedAnother(seen);
      return usage(seen, ownPeakBytes);
    }
    const before = balance;
    const now = childrenUsage();
    // Who is gone from /proc has been waited for, and may be part of the sum.
    const isAlone = [...unsettled].every((other) => readProcess(other) !== undefined);
    balance = isAlone ? now : undefined;
    const others = known;
    if (isAlone) known = nothing();
    if (!isAlone || before === undefined || now === undefined) return undefined;
    const took = {
      userMs: now.userMs - before.userMs - others.userMs,
      systemMs: now.systemMs - before.systemMs - others.systemMs,
      peakBytes: now.peakBytes,
    };
    const othersPeakBytes = Math.max(before.peakBytes, others.peakBytes);
    return usage(took, Math.max(ownPeakBytes, othersPeakBytes));
  };
}

/** Enters what a process took that was waited for. */
export function reapedAnother({ userMs, systemMs, peakBytes }: KernelUsage): void {
  known = {
    userMs: known.userMs + userMs,
    systemMs: known.systemMs + systemMs,
    peakBytes: Math.max(known.peakBytes, peakBytes),
  };
}

/** Says that a child was waited for of which it is not known what it took. */
export function reapedUnmeasured(): void {
  balance = undefined;
}

function nothing(): KernelUsage {
  return { userMs: 0, systemMs: 0, peakBytes: 0 };
}

async function watch(pid: number): Promise<KernelUsage | undefined> {
  watchers += 1;
  try {
    return await watchEnd(pid);
  } finally {
    watchers -= 1;
  }
}

/** A peak that is not above what counts in any case says nothing. */
function usage({ userMs, systemMs, peakBytes }: KernelUsage, floorBytes: number): Usage {
  const rounded = (ms: number) => Math.round(ms * 1_000) / 1_000;
  return {
    userMs: rounded(userMs),
    systemMs: rounded(systemMs),
    maxRssBytes: peakBytes > floorBytes ? peakBytes : undefined,
  };
}
