/**
 * How many process ids are taken, and how many there are. A zombie takes one, which is all that it takes; so does each thread.
 *
 * @module
 */

/** See {@link readPidUsage}. */
export interface PidUsage {
  /** How many are taken, by processes and their threads. */
  used: number;
  /** How many there may be (`kernel.pid_max`). */
  limit: number;
}

/** The process ids of this machine; undefined where /proc does not tell. */
export function readPidUsage(): PidUsage | undefined {
  try {
    // "0.25 0.21 0.61 1/119 22727": of 119 processes and threads one runs (proc(5)).
    const used = Number(/ \d+\/(\d+) /.exec(Deno.readTextFileSync("/proc/loadavg"))?.[1]);
    const limit = Number(Deno.readTextFileSync("/proc/sys/kernel/pid_max"));
    return used > 0 && limit > 0 ? { used, limit } : undefined;
  } catch {
    return undefined;
  }
}
