/**
 * All processes of this machine, with what people want to know of them: from /proc on Linux, elsewhere from ps(1).
 *
 * @module
 */

import { reason, SystemError } from "../errors.ts";
import { listProcesses, readProcess } from "./proc.ts";

/** One process. */
export interface ProcessRow {
  pid: number;
  /** The parent's process id; 0 if there is none in this pid namespace. */
  ppid: number;
  /** What it does, as ps shows it: `R` runs, `S` sleeps, `D` (or `U`) sleeps and no signal wakes it, `T` is stopped, `Z` has ended. */
  state: string;
  /** Whether it has more than one thread. A `Z` that has is no zombie: its first thread has ended, others go on. */
  isThreaded: boolean;
  /** Milliseconds since it started; ps counts whole seconds. Undefined if that is not told. */
  ageMs: number | undefined;
  /** What it is called; Linux keeps 15 bytes of it. */
  name: string;
}

/** Where a table comes from. */
export type TableSource = "proc" | "ps";

/** What this system has. */
export const TABLE_SOURCE: TableSource = Deno.build.os === "linux" ? "proc" : "ps";

/** A clock tick of /proc, in milliseconds: USER_HZ is 100 wherever Linux runs Deno. */
const TICK_MS = 10;

/**
 * Every process that can be seen at this moment, in the order of their ids.
 *
 * @param source Default {@link TABLE_SOURCE}. Linux has both.
 * @throws {SystemError} If the source is not there, or /proc is that of another pid namespace.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 *
 * const table = await readProcessTable();
 * assert(table.some(({ pid, ppid }) => pid === Deno.pid && ppid === Deno.ppid));
 * ```
 */
export async function readProcessTable(source: TableSource = TABLE_SOURCE): Promise<ProcessRow[]> {
  const rows = source === "proc" ? readProc() : await (await import("./ps.ts")).askPs();
  return rows.sort((a, b) => a.pid - b.pid);
}

/**
 * Whether other users' processes are hidden from this one: /proc is mounted with hidepid (proc(5)), so that not even process 1, which is
 * always there, can be read.
 */
export function hidesProcesses(): boolean {
  return Deno.build.os === "linux" && readProcess(1) === undefined;
}

function readProc(): ProcessRow[] {
  if (readProcSelf() !== String(Deno.pid)) {
    throw new SystemError(
      "cannot read /proc as it is that of another pid namespace: mount one, as with unshare --mount-proc",
    );
  }
  const upMs = readUptimeMs();
  return listProcesses().map(({ pid, ppid, state, threads, startTicks, name }) => ({
    pid,
    ppid,
    state,
    isThreaded: threads > 1,
    ageMs: upMs === undefined ? undefined : Math.max(0, upMs - startTicks * TICK_MS),
    name,
  }));
}

/** The process id of this process, as /proc knows it. */
function readProcSelf(): string {
  try {
    return Deno.readLinkSync("/proc/self");
  } catch (error) {
    throw new SystemError(`cannot read /proc: ${reason(error)}: mount it, as with mount -t proc proc /proc`, {
      cause: error,
    });
  }
}

/** How long the machine has been up; undefined if /proc was mounted with nothing but processes (`subset=pid`). */
function readUptimeMs(): number | undefined {
  try {
    return Math.round(Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]) * 1_000);
  } catch {
    return undefined;
  }
}
