/**
 * What ps(1) says of processes, where there is no /proc. Asked in the one way that every ps understands: `-A`, and `-o` once for each
 * column, with an empty heading (POSIX ps; `stat` is not in it, but in procps, in the BSDs and in macOS).
 *
 * @module
 */

import { bytesToText, concatBytes } from "../bytes.ts";
import { SpawnError, SystemError } from "../errors.ts";
import { capture, type StreamName } from "./capture.ts";
import type { ProcessRow } from "./process_table.ts";
import { type Child, spawn } from "./spawn.ts";

const COLUMNS = ["pid", "ppid", "stat", "etime", "comm"];
const LINE = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(\S+)\s*(.*)$/;

/**
 * Every process that ps shows, but the ps that was asked.
 *
 * @throws {SystemError} If there is no ps, or it fails.
 */
export async function askPs(): Promise<ProcessRow[]> {
  const words = ["ps", "-A", ...COLUMNS.flatMap((column) => ["-o", `${column}=`])];
  const child = start(words);
  const pieces: Record<StreamName, Uint8Array[]> = { stdout: [], stderr: [] };
  const { exitCode } = await capture(child, (stream, bytes) => void pieces[stream].push(bytes.slice()));
  const text = (stream: StreamName) => bytesToText(concatBytes(pieces[stream]));
  if (exitCode !== 0) {
    const [line] = text("stderr").split("\n");
    throw new SystemError(`cannot list the processes as ps failed: ${line}: see what 'ps -A -o stat=' says`);
  }
  return parsePs(text("stdout")).filter(({ pid }) => pid !== child.pid);
}

/**
 * Reads what ps printed: pid, ppid, stat, etime and comm on each line. Lines of another form are left out.
 *
 * @param text The lines.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parsePs("  4711  4710 Z+   01:05 sh <defunct>\n"), [
 *   { pid: 4711, ppid: 4710, state: "Z", isThreaded: false, ageMs: 65_000, name: "sh" },
 * ]);
 * ```
 */
export function parsePs(text: string): ProcessRow[] {
  return text.split("\n").flatMap((line) => {
    const [match, pid, ppid, stat = "", etime = "", comm = ""] = LINE.exec(line) ?? [];
    if (match === undefined) return [];
    return [{
      pid: Number(pid),
      ppid: Number(ppid),
      state: stat[0]!,
      isThreaded: stat.includes("l"),
      ageMs: parseEtime(etime),
      name: nameOf(comm.trimEnd()),
    }];
  });
}

/** `[[dd-]hh:]mm:ss` in milliseconds (POSIX ps); undefined for anything else, such as the `-` of some zombies. */
function parseEtime(text: string): number | undefined {
  const match = /^(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)$/.exec(text);
  if (match === null) return undefined;
  const [days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0));
  return (((days! * 24 + hours!) * 60 + minutes!) * 60 + seconds!) * 1_000;
}

/** Without what ps puts around the name of a zombie, and without the folders that macOS puts before it. */
function nameOf(comm: string): string {
  const bare = comm.replace(/ ?<defunct>$/, "").replace(/^\((.*)\)$/, "$1");
  return bare.startsWith("/") ? bare.slice(bare.lastIndexOf("/") + 1) : bare;
}

function start(words: readonly string[]): Child {
  try {
    return spawn(words, { stdout: "piped", stderr: "piped", env: { LC_ALL: "C" } });
  } catch (error) {
    if (!(error instanceof SpawnError)) throw error;
    throw new SystemError(`cannot list the processes: ${error.message}`, { cause: error });
  }
}
