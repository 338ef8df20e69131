/**
 * Who holds and who waits: processes, told apart for good, and whether they live. Liveness is looked up, not guessed from how long
 * nothing was heard; only of processes in another pid namespace nothing else can be known.
 *
 * @module
 */

import type { Identity } from "../named.ts";
import { type GuardedJob, jobLives } from "../process/guarded.ts";
import { livesAs, pidNamespace, thisProcess } from "../process/identity.ts";
import { uptimeMs } from "./clock.ts";
import { dropLease } from "./leases.ts";
import type { Store } from "./store.ts";
import { forgetWaiter } from "./wakeup.ts";

/** How often a process shows those in other pid namespaces that it lives. */
const BEAT_MS = 5_000;
/** How long it is believed. */
const BEAT_LIMIT_MS = 20_000;

interface OwnerRow extends Identity {
  beat: number;
}

interface JobRow {
  token: string;
  job: number;
  jobPid: number | null;
  jobStarted: number | null;
}

/**
 * The owners of a store. Invariant: an owner's row is there while it holds or waits, and after that until another comes; once it is found dead all that it had is given back
 * in one transaction, but for leases whose job still runs.
 */
export class Owners implements Disposable {
  readonly #store: Store;
  readonly #closed = new AbortController();
  #isBeating = false;
  #beat: ReturnType<typeof setInterval> | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The id of a process, by default this one; makes its row if there is none. Only within a write. */
  idOf(process: Identity = thisProcess()): number {
    const { pid, started, namespace } = process;
    this.#beat ??= startBeat(() => void this.#showLife());
    const known = this.#store.get<{ id: number }>(
      "SELECT id FROM owners WHERE pid = ? AND started = ? AND namespace = ?",
      pid,
      started,
      namespace,
    );
    if (known !== undefined) return known.id;
    // Whoever comes sweeps up: most processes come once, and leave with nothing, or die before they know what became of their wait.
    this.#buryDead("SELECT DISTINCT owner FROM waiters WHERE state != 0");
    this.#store.run(
      `DELETE FROM owners WHERE NOT EXISTS (SELECT 1 FROM leases WHERE owner = owners.id)
       AND NOT EXISTS (SELECT 1 FROM waiters WHERE owner = owners.id)`,
    );
    return this.#store.run(
      "INSERT INTO owners (pid, started, namespace, beat) VALUES (?, ?, ?, ?)",
      pid,
      started,
      namespace,
      uptimeMs(),
    ).id;
  }

  /** Whether an id is that of this process. */
  isThisProcess(owner: number): boolean {
    const { pid, started, namespace } = thisProcess();
    const sql = "SELECT 1 FROM owners WHERE id = ? AND pid = ? AND started = ? AND namespace = ?";
    return this.#store.get(sql, owner, pid, started, namespace) !== undefined;
  }

  /** Whether the process of an id lives. */
  lives(owner: number): boolean {
    const row = this.#store.get<OwnerRow>(
      "SELECT pid, started, namespace, beat FROM owners WHERE id = ?",
      owner,
    );
    if (row === undefined) return false;
    if (row.namespace !== pidNamespace()) return uptimeMs() - row.beat < BEAT_LIMIT_MS;
    return livesAs(row);
  }

  /** Whether a lease is still held: it has not expired, and its owner or the job that it guards lives. */
  holds(lease: number): boolean {
    const row = this.#store.get<JobRow & { owner: number | null; expires: number | null }>(
      "SELECT owner, expires, token, job, jobPid, jobStarted FROM leases WHERE id = ?",
      lease,
    );
    if (row === undefined) return false;
    if (row.expires !== null && row.expires <= uptimeMs()) return false;
    return row.owner === null || this.lives(row.owner) || (row.job !== 0 && jobLives(jobOf(row)));
  }

  /** Gives back what a dead owner had: its place in every line, its items, and the leases whose job has ended too. */
  bury(owner: number): void {
    const store = this.#store;
    store.write(() => {
      const waiters = store.all<{ id: number }>("DELETE FROM waiters WHERE owner = ? RETURNING id", owner);
      for (const { id } of waiters) store.afterCommit(() => forgetWaiter(store, id));
      for (const { id } of store.all<{ id: number }>("SELECT id FROM leases WHERE owner = ?", owner)) {
        if (!this.holds(id)) dropLease(store, id);
      }
      store.run(
        "DELETE FROM owners WHERE id = ? AND NOT EXISTS (SELECT 1 FROM leases WHERE owner = ?)",
        owner,
        owner,
      );
    });
  }

  /** Buries who waits and is dead, in each line that a pattern of SQL's GLOB names. */
  buryWaiting(lines: string): void {
    this.#buryDead("SELECT DISTINCT owner FROM waiters WHERE line GLOB ?", lines);
  }

  /** Stops showing life. */
  [Symbol.dispose](): void {
    clearInterval(this.#beat);
    this.#beat = undefined;
    this.#closed.abort();
  }

  #buryDead(sql: string, ...values: string[]): void {
    for (const { owner } of this.#store.all<{ owner: number }>(sql, ...values)) {
      if (!this.lives(owner)) this.bury(owner);
    }
  }

  async #showLife(): Promise<void> {
    if (this.#isBeating) return;
    this.#isBeating = true;
    const { signal } = this.#closed;
    const { pid, started, namespace } = thisProcess();
    try {
      await this.#store.writeWhenFree(
        () =>
          this.#store.run(
            "UPDATE owners SET beat = ? WHERE pid = ? AND started = ? AND namespace = ?",
            uptimeMs(),
            pid,
            started,
            namespace,
          ),
        { signal, timeoutMs: Infinity, persistent: false },
      );
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#isBeating = false;
    }
  }
}

function jobOf({ token, jobPid, jobStarted }: JobRow): GuardedJob {
  return { token, first: jobPid === null ? undefined : { pid: jobPid, started: jobStarted ?? 0 } };
}

function startBeat(show: () => void): ReturnType<typeof setInterval> {
  const beat = setInterval(show, BEAT_MS);
  Deno.unrefTimer(beat);
  return beat;
}
