/**
 * How a process that waits learns that it need not wait any longer: each waiter has a file of its own, which whoever serves it touches
 * and which it watches (inotify(7) on Linux). So nobody is woken but those who are served.
 *
 * @module
 */

import type { Store } from "./store.ts";

/** How often a waiter looks though nobody woke it: for owners that died, and for wake-ups that a file system does not carry. */
const POLL_MS = 250;
/** The same where nothing can be watched. */
const UNWATCHED_POLL_MS = 25;

/** Wakes the waiter of an id. Who does not watch is not woken, and looks by itself. */
export function wake(store: Store, waiter: number): void {
  try {
    using file = Deno.openSync(fileOf(store, waiter), { write: true, append: true });
    file.writeSync(Uint8Array.of(0));
  } catch {
    // It is gone, or does not watch yet, and looks before it begins to.
  }
}

/** Removes what a waiter that is gone has left to be woken by. */
export function forgetWaiter(store: Store, waiter: number): void {
  try {
    Deno.removeSync(fileOf(store, waiter));
  } catch {
    // It did not watch.
  }
}

/** The wake-ups of one waiter. Invariant: who is woken after {@link Wakeup} was made does not sleep through the next {@link rest}. */
export class Wakeup implements Disposable {
  readonly #store: Store;
  readonly #waiter: number;
  readonly #pollMs: number;
  readonly #watcher: Deno.FsWatcher | undefined;
  #isWoken = false;
  #wake: () => void = () => {};

  constructor(store: Store, waiter: number) {
    this.#store = store;
    this.#waiter = waiter;
    this.#watcher = store.watches ? watch(store, waiter) : undefined;
    this.#pollMs = this.#watcher === undefined ? UNWATCHED_POLL_MS : POLL_MS;
    void this.#listen();
  }

  /**
   * Rests until somebody wakes us, it is time to look, or the signal is aborted.
   *
   * @param limitMs Milliseconds to rest at most.
   * @returns Whether somebody woke us.
   */
  async rest(limitMs: number, signal?: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, Math.min(limitMs, this.#pollMs));
    signal?.addEventListener("abort", this.#wake, { once: true });
    if (this.#isWoken || signal?.aborted) resolve();
    await promise;
    clearTimeout(timer);
    signal?.removeEventListener("abort", this.#wake);
    const wasWoken = this.#isWoken;
    this.#isWoken = false;
    return wasWoken;
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
    forgetWaiter(this.#store, this.#waiter);
  }

  async #listen(): Promise<void> {
    for await (const { kind } of this.#watcher ?? []) {
      if (kind !== "modify") continue;
      this.#isWoken = true;
      this.#wake();
    }
  }
}

function watch(store: Store, waiter: number): Deno.FsWatcher | undefined {
  const path = fileOf(store, waiter);
  try {
    Deno.mkdirSync(directoryOf(store), { recursive: true, mode: 0o700 });
    Deno.writeFileSync(path, new Uint8Array(), { mode: 0o600 });
    return Deno.watchFs(path, { recursive: false });
  } catch {
    // No inotify, or no more watches: looking now and then is slower, and as correct.
    return undefined;
  }
}

function fileOf(store: Store, waiter: number): string {
  return `${directoryOf(store)}/${waiter}`;
}

function directoryOf(store: Store): string {
  return `${store.path}-wake`;
}
