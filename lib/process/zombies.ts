/**
 * The zombies of this machine: processes that have ended, and whose parents have not waited for them.
 *
 * @module
 */

import { type Clock, SYSTEM_CLOCK, waitUntil } from "../time/clock.ts";
import { type PidUsage, readPidUsage } from "./pid_usage.ts";
import {
  hidesProcesses,
  type ProcessRow,
  readProcessTable,
  TABLE_SOURCE,
  type TableSource,
} from "./process_table.ts";
import { explainParent, type Explanation, type ParentFacts, parentFacts } from "./zombie_parent.ts";

/** A process that has ended. */
export interface Zombie extends Pick<ProcessRow, "pid" | "ppid" | "state" | "name" | "ageMs"> {
  /** Milliseconds since it was first seen as a zombie. No system tells when it ended. */
  seenMs: number;
}

/** Who does not wait. */
export interface ZombieParent extends ParentFacts, Explanation {
  /** How many zombies it has. */
  zombies: number;
}

/** What one scan found. */
export interface ZombieScan {
  /** In the order of their parents, and of their process ids. */
  zombies: Zombie[];
  /** Those of their parents that can be seen: most zombies first. */
  parents: ZombieParent[];
  /** Processes that look like zombies and live: the first thread has ended, others go on. */
  halfEnded: ProcessRow[];
  /** How many processes were seen. */
  processes: number;
  /** Process ids, taken and possible; undefined where that is not told. */
  pids: PidUsage | undefined;
  /** Whether other users' processes cannot be seen. */
  hidden: boolean;
}

/** Options of {@link ZombieScanner}. */
export interface ZombieScannerOptions {
  /** Where the processes are listed. Default: /proc on Linux, elsewhere ps. */
  source?: TableSource;
  /** Milliseconds that a process must have been a zombie, at least. Default 100. */
  confirmMs?: number;
  /** Default: that of this machine. */
  clock?: Clock;
}

const CONFIRM_MS = 100;

/**
 * Looks for zombies, again and again if wanted, and remembers since when it has seen each.
 *
 * Invariant: what it reports was a zombie at two looks that are `confirmMs` apart. Every process is one for the moment between its end
 * and its parent's wait; that is how it should be.
 */
export class ZombieScanner {
  readonly #source: TableSource;
  readonly #confirmMs: number;
  readonly #clock: Clock;
  /** When a zombie was first seen, by its own and its parent's process id. */
  #seenAtMs = new Map<string, number>();

  constructor(
    { source = TABLE_SOURCE, confirmMs = CONFIRM_MS, clock = SYSTEM_CLOCK }: ZombieScannerOptions = {},
  ) {
    this.#source = source;
    this.#confirmMs = confirmMs;
    this.#clock = clock;
  }

  /**
   * Looks once; if there is a zombie that was not there the last time, a second time.
   *
   * Cancel safety: what was remembered stays as it was.
   *
   * @param options `signal` ends it.
   * @throws {SystemError} If the processes cannot be listed.
   *
   * @example
   * ```ts
   * import { assert } from "@std/assert";
   *
   * const { processes, zombies, parents } = await new ZombieScanner().scan();
   * assert(processes > 0 && parents.length <= zombies.length);
   * ```
   */
  async scan({ signal }: { signal?: AbortSignal } = {}): Promise<ZombieScan> {
    let table = await readProcessTable(this.#source);
    const clock = this.#clock;
    const firstMs = clock.monotonic();
    const first = table.filter(isZombie).map(keyOf);
    if (first.some((key) => !this.#seenAtMs.has(key))) {
      await waitUntil(firstMs + this.#confirmMs, { clock, ...(signal && { signal }) });
      table = await readProcessTable(this.#source);
    }
    const seenAtMs = new Map(first.map((key) => [key, this.#seenAtMs.get(key) ?? firstMs]));
    const confirmed = table.filter((row) => isZombie(row) && seenAtMs.has(keyOf(row)));
    this.#seenAtMs = new Map(confirmed.map((row) => [keyOf(row), seenAtMs.get(keyOf(row))!]));
    const nowMs = clock.monotonic();
    const zombies = confirmed.map((row) => ({ ...row, seenMs: nowMs - seenAtMs.get(keyOf(row))! }))
      .sort((a, b) => a.ppid - b.ppid || a.pid - b.pid);
    return {
      zombies,
      parents: parentsOf(zombies, table),
      halfEnded: table.filter((row) => row.state === "Z" && row.isThreaded),
      processes: table.length,
      pids: readPidUsage(),
      hidden: hidesProcesses(),
    };
  }
}

function isZombie({ state, isThreaded }: ProcessRow): boolean {
  return state === "Z" && !isThreaded;
}

function keyOf({ pid, ppid }: ProcessRow): string {
  return `${pid} of ${ppid}`;
}

function parentsOf(zombies: readonly Zombie[], table: readonly ProcessRow[]): ZombieParent[] {
  const counts = Map.groupBy(zombies, ({ ppid }) => ppid);
  return table.filter(({ pid }) => counts.has(pid)).map((row) => {
    const facts = parentFacts(row);
    return { ...facts, ...explainParent(facts), zombies: counts.get(row.pid)!.length };
  }).sort((a, b) => b.zombies - a.zombies || a.pid - b.pid);
}
