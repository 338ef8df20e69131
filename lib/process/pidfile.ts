/**
 * A file that names the process which runs, so that there is no second one, and scripts know whom to signal.
 *
 * @module
 */

import { reason, SystemError, UsageError, WouldBlockError } from "../errors.ts";
import { lockFile, unlockFile } from "./libc.ts";
import { readCommand, readProcess, startedAtMs } from "./proc.ts";

/** The process that a pidfile names lives. Nothing was changed. */
export class PidfileHeldError extends WouldBlockError {}

/** The time of a file and the start of a process are compared; between the two clocks is no more than this. */
const CLOCK_TOLERANCE_MS = 1_000;
/** A file that is replaced again and again while it is opened is somebody's game. */
const ATTEMPTS = 100;

/**
 * The pidfile of this process. Invariants: of those that use this class on Linux one has the file at a time, however they come and go,
 * as it is locked for as long as its owner lives; a file is removed only by its owner.
 *
 * @example
 * ```ts
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const path = `${Deno.makeTempDirSync()}/web.pid`;
 * {
 *   using _pidfile = new Pidfile(path);
 *   assertEquals(Deno.readTextFileSync(path), `${Deno.pid}\n`);
 *   assertThrows(() => new Pidfile(path), PidfileHeldError);
 * }
 * assertThrows(() => Deno.statSync(path), Deno.errors.NotFound);
 * ```
 */
export class Pidfile implements Disposable {
  readonly #path: string;
  readonly #fd: number | undefined;

  /**
   * Writes this process's id. A file whose process is dead is replaced.
   *
   * @param path The file.
   * @throws {PidfileHeldError} If the process that it names lives.
   * @throws {UsageError} If it is something else than a pidfile.
   * @throws {SystemError} If it cannot be written.
   */
  constructor(path: string) {
    this.#path = path;
    checkKind(path);
    this.#fd = open(path);
    try {
      checkOwner(path);
      write(path);
    } catch (error) {
      if (this.#fd !== undefined) unlockFile(this.#fd);
      throw error;
    }
  }

  /** Removes it. */
  [Symbol.dispose](): void {
    try {
      if (readPid(this.#path) === Deno.pid) Deno.removeSync(this.#path);
    } catch {
      // It is gone already, or its directory may not be written to any more: that its process is dead shows then.
    }
    if (this.#fd !== undefined) unlockFile(this.#fd);
  }
}

/** Opens and locks the file that the path names in the end: an owner that left may have removed the one that we waited for. */
function open(path: string): number | undefined {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const fd = lockFile(path);
    if (fd === "held") throw held(path, readPid(path));
    // It cannot be opened, or there are no locks here: to write will say what is wrong.
    if (fd === undefined) return undefined;
    if (isSame(`/proc/self/fd/${fd}`, path)) return fd;
    unlockFile(fd);
  }
  throw new SystemError(`cannot use the pidfile '${path}' as it is replaced all the time`);
}

function isSame(one: string, other: string): boolean {
  try {
    const [a, b] = [Deno.statSync(one), Deno.statSync(other)];
    return a.ino === b.ino && a.dev === b.dev;
  } catch {
    return false;
  }
}

/** Throws if the path names something that must not be replaced. */
function checkKind(path: string): void {
  let text: string;
  try {
    if (!Deno.statSync(path).isFile) throw notOurs(path);
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    return;
  }
  if (text.trim() !== "" && !/^\s*\d+\s*$/.test(text)) throw notOurs(path);
}

/** Throws if the process that the file names lives, and is not another that got its id since. */
function checkOwner(path: string): void {
  const pid = readPid(path);
  if (pid === undefined || pid === Deno.pid) return;
  const { state = "X" } = readProcess(pid) ?? {};
  if (state === "X" || state === "Z") return;
  const writtenMs = Deno.statSync(path).mtime?.getTime() ?? 0;
  if (startedAtMs(pid)! <= writtenMs + CLOCK_TOLERANCE_MS) throw held(path, pid);
}

/** Writes first and cuts then: whoever reads meanwhile finds a process id. */
function write(path: string): void {
  const bytes = new TextEncoder().encode(`${Deno.pid}\n`);
  try {
    using file = Deno.openSync(path, { write: true, create: true });
    file.writeSync(bytes);
    file.truncateSync(bytes.length);
  } catch (error) {
    throw new SystemError(`cannot write the pidfile '${path}': ${reason(error)}`, { cause: error });
  }
}

function readPid(path: string): number | undefined {
  try {
    const text = Deno.readTextFileSync(path).trim();
    return /^\d+$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

function held(path: string, pid: number | undefined): PidfileHeldError {
  const command = pid === undefined ? undefined : readCommand(pid);
  const who = pid === undefined ? "another process" : `process ${pid}${command ? ` (${command})` : ""}`;
  return new PidfileHeldError(`${who} runs already, says the pidfile '${path}': end it first`);
}

function notOurs(path: string): UsageError {
  return new UsageError(`cannot use '${path}' as a pidfile as it is something else: name another file`);
}
