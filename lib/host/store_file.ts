/**
 * The file of a store: where it is, how it is made, and what may be wrong with it.
 *
 * @module
 */

import { reason, SystemError, UsageError } from "../errors.ts";

/**
 * Where the store is that nobody named: below `XDG_STATE_HOME`, or `~/.local/state`. A relative path in the variable does not count (XDG
 * Base Directory Specification): two who stand in different directories would not share a store.
 *
 * @throws {UsageError} If neither it nor HOME is set.
 */
export function defaultStorePath(env: { get(name: string): string | undefined }): string {
  const home = env.get("HOME");
  const named = env.get("XDG_STATE_HOME");
  const state = named?.startsWith("/") ? named : home ? `${home}/.local/state` : undefined;
  if (state === undefined) {
    throw new UsageError("cannot find the store as HOME is not set: name a file with --store or CONC_STORE");
  }
  return `${state}/conc/conc.db`;
}

/** Makes the file, which SQLite's own files then take after, if it is not there. */
export function createFile(path: string): void {
  try {
    const info = Deno.statSync(path);
    if (info.isDirectory) {
      throw new SystemError(`cannot use ${path} as a store as it is a directory: name a file`);
    }
    return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw error instanceof SystemError ? error : storeError(error, path);
    }
  }
  try {
    const directory = path.slice(0, Math.max(0, path.lastIndexOf("/"))) || (path.startsWith("/") ? "/" : ".");
    Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
    Deno.openSync(path, { write: true, create: true, mode: 0o600 }).close();
  } catch (error) {
    throw storeError(error, path);
  }
}

/** What is wrong with a store, in our words. */
export function storeError(error: unknown, path: string): SystemError {
  const text = reason(error);
  const known: [RegExp, string][] = [
    [/file is not a database/, "it is no database: name another file"],
    [/malformed/, "it is damaged: move it away, a new one is made"],
    [
      /readonly database|read-only/i,
      "it cannot be written: check its owner, its permissions and the file system",
    ],
    [/disk is full|No space left/, "the disk is full: make room"],
    [
      /unable to open|permission denied/i,
      "it cannot be opened: check the permissions of it and its directory",
    ],
    [/not a directory/i, "a part of its path is no directory: name another file"],
    [/is a directory/i, "it is a directory: name a file"],
    [/no such file|name too long/i, `${text}: name another file`],
    [/disk I\/O error/, "the disk does not read or write it: check the disk, and whether it is full"],
  ];
  const problem = known.find(([pattern]) => pattern.test(text))?.[1] ?? text;
  return new SystemError(`cannot use the store ${path}: ${problem}`, { cause: error });
}
