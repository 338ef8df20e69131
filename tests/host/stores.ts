/**
 * Stores of their own for tests, and processes that own what is in them.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Identity } from "../../lib/named.ts";
import { Store, type StoreOptions } from "../../lib/host/store.ts";
import { identityOf } from "../../lib/process/identity.ts";
import { readProcess } from "../../lib/process/proc.ts";
import { inDirectory } from "../cli/conc.ts";
import { eventually } from "../conformance/waits.ts";

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

/** A process that was stopped in the middle of a write to a store: nobody else writes to it until it goes on. */
export class StoppedWriter implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
  }

  /**
   * Starts it; it is stopped when the promise resolves.
   *
   * @param path The store.
   * @param action What it is about to write; see `store_holder.ts`.
   */
  static async start(path: string, ...action: string[]): Promise<StoppedWriter> {
    const program = import.meta.resolve("./store_holder.ts");
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", "--no-check", "--no-lock", program, path, ...action],
      stdin: "null",
      stdout: "null",
    }).spawn();
    await eventually(() => assertEquals(readProcess(child.pid)?.state, "T"));
    return new StoppedWriter(child);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Lets it go on; what it wrote is written when the promise resolves. */
  async goOn(): Promise<void> {
    this.#child.kill("SIGCONT");
    assertEquals((await this.#child.status).code, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#child.status;
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
