/**
 * Who keeps others from writing a store, and how that is said. A process that was stopped in the middle of a write keeps all others
 * waiting: SQLite's lock of the file is the kernel's (fcntl(2)), and goes when its process goes on, or ends.
 *
 * @module
 */

import { HeldUpError, SystemError } from "../errors.ts";
import { readCommand, readProcess } from "../process/proc.ts";

/** The byte of the -shm file that a writer locks (https://sqlite.org/walformat.html, WAL_WRITE_LOCK). */
const WRITER_BYTE = "120";
const LONGEST_COMMAND = 60;

/** The time of a wait ran out. */
export function heldUp(path: string): HeldUpError {
  return new HeldUpError(`timed out as the store ${path} cannot be written: ${describeWriter(path)}`);
}

/** Nobody waits any longer, whatever time there is. */
export function inTheWay(path: string, limitMs: number): SystemError {
  return new SystemError(
    `gave up after ${limitMs / 1_000} s as the store ${path} cannot be written: ${describeWriter(path)}`,
  );
}

/** Who is in the way of those who want to write a store, and what to do about it. */
export function describeWriter(path: string): string {
  const pid = writerOf(path);
  if (pid === undefined) return "another process is in the way: end it";
  const command = readCommand(pid);
  const name = command === undefined ? `process ${pid}` : `process ${pid} (${shorten(command)})`;
  if (readProcess(pid)?.state !== "T") return `${name} is in the way: end it`;
  return `${name} is in the way, and is stopped: let it go on (kill -CONT ${pid}), or end it`;
}

/** The process that writes a store; undefined if there is none, or it cannot be known. */
export function writerOf(path: string): number | undefined {
  try {
    const { ino } = Deno.statSync(`${path}-shm`);
    for (const line of Deno.readTextFileSync("/proc/locks").split("\n")) {
      // 1: POSIX  ADVISORY  WRITE 4711 fe:00:2154802 120 120
      const [, kind, , access, pid, file = "", start] = line.trim().split(/\s+/);
      const isWriter = kind === "POSIX" && access === "WRITE" && start === WRITER_BYTE;
      if (isWriter && Number(file.split(":")[2]) === ino && isOpenIn(Number(pid), path)) return Number(pid);
    }
  } catch {
    // No /proc, or no such file.
  }
  return undefined;
}

/** Whether a process has the store open: an inode's number is that of a file on each file system. */
function isOpenIn(pid: number, path: string): boolean {
  const file = Deno.realPathSync(path);
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    try {
      if (Deno.readLinkSync(`/proc/${pid}/fd/${name}`) === file) return true;
    } catch {
      // It was closed meanwhile.
    }
  }
  return false;
}

function shorten(command: string): string {
  return command.length <= LONGEST_COMMAND ? command : `${command.slice(0, LONGEST_COMMAND - 1)}…`;
}
