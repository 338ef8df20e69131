/**
 * The processes that keep at a broker what commands need.
 *
 * @module
 */

import { lives } from "../cli/conc.ts";

/** Those that keep something of some name. */
export function keepers(name: string): number[] {
  return [...Deno.readDirSync("/proc")].map((entry) => Number(entry.name)).filter((pid) => {
    try {
      const words = Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0");
      return pid > 0 && words.includes("--keeper") && words.includes(name) && lives(pid);
    } catch {
      return false;
    }
  });
}

/** Kills those. */
export function killKeepers(name: string): void {
  for (const pid of keepers(name)) Deno.kill(pid, "SIGKILL");
}
