/**
 * Programs that misbehave, each in one way, and what of them lives.
 *
 * @module
 */

import { fromFileUrl } from "@std/path/from-file-url";

const FIXTURES = fromFileUrl(new URL("../fixtures/process/", import.meta.url));

/** The path of a program in `tests/fixtures/process`. */
export function fixture(name: string): string {
  return `${FIXTURES}${name}.sh`;
}

let marks = 0;

/** Digits that no other run has: a fixture shows them in the command line of all that it starts. */
export function mark(): string {
  return `${Deno.pid}${String(++marks).padStart(4, "0")}`;
}

/** The living processes whose command line holds a mark, without those that run conc. */
export function marked(mark: string): { pid: number; command: string }[] {
  const found: { pid: number; command: string }[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const command = Deno.readTextFileSync(`/proc/${name}/cmdline`).replaceAll("\0", " ").trim();
      // A zombie has no command line.
      if (command.includes(mark) && !/ spawn |^\S*\b(timeout|tini) /.test(command)) {
        found.push({ pid: Number(name), command });
      }
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}

/** Ends what a peer left. */
export function killMarked(mark: string): void {
  for (const { pid } of marked(mark)) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
}
