/**
 * Learning at once that a file may have changed: its directory is watched (inotify(7) on Linux), so that it need not be there yet.
 *
 * `Deno.watchFs` opens and closes each file that was written to, and on Unix a process that closes a file loses all its locks on it
 * (fcntl(2)). So a directory that has an SQLite database in it which this process has open must not be watched: the database would break.
 *
 * @module
 */

/** How often to look though nothing was reported: for what a file system, or a link, does not report. */
const POLL_MS = 250;
/** The same where nothing can be watched, such as a directory that is not there yet. */
const UNWATCHED_POLL_MS = 50;

/** Options of {@link FileChanges}. */
export interface FileChangesOptions {
  /** A directory that is not watched, as this process has locks on files in it; there it looks now and then. */
  avoid?: string | undefined;
}

/** The changes of one file. Invariant: a change after this was made ends the present or the next {@link rest} early. */
export class FileChanges implements Disposable {
  readonly #directory: string;
  readonly #name: string;
  readonly #avoid: string | undefined;
  #watcher: Deno.FsWatcher | undefined;
  #isChanged = false;
  #wake: () => void = () => {};

  /**
   * @param path The file, which need not be there.
   * @param options What not to watch.
   */
  constructor(path: string, { avoid }: FileChangesOptions = {}) {
    this.#directory = directoryOf(path);
    this.#name = path.slice(path.lastIndexOf("/") + 1);
    this.#avoid = avoid;
    this.#watch();
  }

  /**
   * Rests until the file may have changed, or it is time to look.
   *
   * Cancel safety: changes nothing.
   *
   * @param limitMs Milliseconds to rest at most.
   * @param signal Ends the rest.
   * @throws The reason of the signal, if it is aborted.
   */
  async rest(limitMs: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    // What happened before a watch began was not reported.
    if (this.#watcher === undefined && this.#watch()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const pollMs = this.#watcher === undefined ? UNWATCHED_POLL_MS : POLL_MS;
    const timer = setTimeout(resolve, Math.min(limitMs, pollMs));
    signal?.addEventListener("abort", this.#wake, { once: true });
    if (this.#isChanged) resolve();
    await promise;
    clearTimeout(timer);
    signal?.removeEventListener("abort", this.#wake);
    this.#isChanged = false;
    signal?.throwIfAborted();
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
  }

  /** Begins to watch, and says whether that is possible. */
  #watch(): boolean {
    try {
      if (this.#avoid !== undefined && isSame(this.#directory, this.#avoid)) return false;
      this.#watcher = Deno.watchFs(this.#directory, { recursive: false });
    } catch {
      // It is not there, or there are no more watches: looking now and then is slower, and as correct.
      return false;
    }
    void this.#listen(this.#watcher);
    return true;
  }

  async #listen(watcher: Deno.FsWatcher): Promise<void> {
    for await (const { kind, paths } of watcher) {
      // Our own looks are accesses.
      if (kind === "access" || !paths.some((path) => path.endsWith(`/${this.#name}`))) continue;
      this.#isChanged = true;
      this.#wake();
    }
  }
}

/** The directory that a path is in. */
export function directoryOf(path: string): string {
  const at = path.lastIndexOf("/");
  return at < 0 ? "." : path.slice(0, at) || "/";
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Deno.statSync(one), Deno.statSync(other)];
  return a.ino === b.ino && a.dev === b.dev;
}
