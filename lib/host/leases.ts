/**
 * What processes hold: rows that anyone can see, and that come back when their owner is gone.
 *
 * @module
 */

import { BrokenLeaseError, NotHeldError } from "../errors.ts";
import { FENCE_VARIABLE, type JobLease } from "../named.ts";
import type { WaitOptions } from "../primitives.ts";
import { guardVariables } from "../process/guarded.ts";
import { identityOf } from "../process/identity.ts";
import type { Store } from "./store.ts";

/** What is to be held. */
export interface NewLease {
  /** Of what: `KIND:NAME`. */
  object: string;
  /** By whom: an id of {@link Owners}; null for one that only time ends. */
  owner: number | null;
  weight: number;
  /** When it ends by itself, in milliseconds of uptime. */
  expires?: number | null;
  /** What it is held for, for people. */
  command?: string | null;
  /** Whether it guards a job, which carries its token. Default false. */
  guarded?: boolean;
}

/** Enters a lease; returns its token. Only within a write. */
export function addLease(
  store: Store,
  { object, owner, weight, expires = null, command = null, guarded = false }: NewLease,
): string {
  const token = makeToken();
  store.run(
    `INSERT INTO leases (object, owner, weight, depth, token, since, expires, command, job)
     VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?)`,
    ...[object, owner, weight, token, Date.now(), expires, command, guarded ? 1 : 0],
  );
  return token;
}

/** Takes a lease out. If it was that of a queue's item, the item is ready again. Only within a write. */
export function dropLease(store: Store, id: number): void {
  const lease = store.get<{ object: string; token: string }>(
    "SELECT object, token FROM leases WHERE id = ?",
    id,
  );
  store.run("DELETE FROM leases WHERE id = ?", id);
  if (lease === undefined || !lease.object.startsWith("queue:")) return;
  const item = store.get<{ id: number; queue: number }>(
    "SELECT id, queue FROM items WHERE lease = ?",
    lease.token,
  );
  if (item === undefined) return;
  store.run("UPDATE items SET state = 0, lease = NULL WHERE id = ?", item.id);
  store.run("UPDATE queues SET size = size + 1, leased = leased - 1 WHERE id = ?", item.queue);
}

/** The leases of an object. */
export function leasesOf(
  store: Store,
  object: string,
): { id: number; owner: number | null; depth: number; token: string }[] {
  return store.all("SELECT id, owner, depth, token FROM leases WHERE object = ? ORDER BY id", object);
}

/** A lease of this process. Invariant: what was granted goes back at most once. */
export class HostLease implements JobLease {
  /** Names it: who knows it can release it. */
  readonly token: string;
  readonly #store: Store;
  readonly #giveBack: (token: string) => boolean;
  #held = true;

  /** @param options `giveBack`: takes it back; says whether it was still held. */
  constructor(store: Store, { token, giveBack }: { token: string; giveBack: (token: string) => boolean }) {
    this.#store = store;
    this.token = token;
    this.#giveBack = giveBack;
  }

  /**
   * Says that a job is about to run under it: from now on it is held as long as a process of the job lives, also without this one.
   *
   * @param env The environment that the job is to have besides.
   * @param options When to give up. Default: never.
   * @returns What the job must have in its environment.
   */
  async guard(
    env: { get(name: string): string | undefined } = Deno.env,
    { signal }: Pick<WaitOptions, "signal"> = {},
  ): Promise<Record<string, string>> {
    const fence = await this.#store.writeWhenFree(
      () => {
        this.#store.run("UPDATE leases SET job = 1 WHERE token = ?", this.token);
        return this.#store.get<{ id: number }>("SELECT id FROM leases WHERE token = ?", this.token)?.id;
      },
      { timeoutMs: Infinity, ...(signal && { signal }) },
    );
    return {
      ...guardVariables(this.token, env),
      ...(fence !== undefined && { [FENCE_VARIABLE]: String(fence) }),
    };
  }

  /** Says which process the job began with. */
  async guards(pid: number, { signal }: Pick<WaitOptions, "signal"> = {}): Promise<void> {
    const started = identityOf(pid)?.started ?? null;
    await this.#store.writeWhenFree(
      () =>
        this.#store.run(
          "UPDATE leases SET jobPid = ?, jobStarted = ? WHERE token = ?",
          pid,
          started,
          this.token,
        ),
      { timeoutMs: Infinity, ...(signal && { signal }) },
    );
  }

  /** Gives back what is held. Throws `NotHeldError` if it was given back already, `BrokenLeaseError` if it was taken away. */
  release(): void {
    if (!this.#held) {
      throw new NotHeldError("cannot release a lease as it must be held: it was released already");
    }
    this.#held = false;
    if (!this.#giveBack(this.token)) {
      throw new BrokenLeaseError("cannot release a lease as it was taken away: its owner was taken for dead");
    }
  }

  [Symbol.dispose](): void {
    if (this.#held) this.release();
  }
}

/** 64 bits by chance, as 16 hexadecimal digits. */
function makeToken(): string {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}
