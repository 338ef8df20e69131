/**
 * Stores of their own for tests, and processes that own what is in them.
 *
 * @module
 */

import { identityOf } from "../../lib/host/owner.ts";
import type { Identity } from "../../lib/named.ts";
import { Store, type StoreOptions } from "../../lib/host/store.ts";
import { inDirectory } from "../cli/conc.ts";

/** Runs a test body with a store of its own. */
export async function withStore(
  body: (store: Store, directory: string) => Promise<void> | void,
  options: StoreOptions = {},
): Promise<void> {
  await inDirectory(async (directory) => {
    using store = new Store(`${directory}/conc.db`, options);
    await body(store, directory);
  });
}

/** A process that does nothing until it is disposed of. */
export class Sleeper implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;

  constructor(env: Record<string, string> = {}) {
    this.#child = new Deno.Command("sleep", { args: ["300"], env, stdout: "null", stderr: "null" }).spawn();
  }

  get pid(): number {
    return this.#child.pid;
  }

  get identity(): Identity {
    return identityOf(this.pid)!;
  }

  /** Kills it; it is gone when this resolves. */
  async kill(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It was killed before.
    }
    await this.#child.status;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

/** Has another process wait, as if it had lined up itself. Its row in `waiters` is all there is of a waiter but its watch. */
export function lineUpAs(
  store: Store,
  { line, owner, request = 1 }: { line: string; owner: Identity; request?: number },
): number {
  return store.write(() =>
    store.run(
      "INSERT INTO waiters (line, owner, request, state, since) VALUES (?, ?, ?, 0, 0)",
      ...[line, store.owners.idOf(owner), request],
    ).id
  );
}
