/**
 * What `conc zombie-demo scan` says of what it found.
 *
 * @module
 */

import type { ProcessRow } from "../lib/process/process_table.ts";
import type { ZombieParent, ZombieScan } from "../lib/process/zombies.ts";
import type { JsonRecord } from "../lib/report/ndjson.ts";
import { shorten, table } from "../lib/report/table.ts";
import { formatDuration } from "../lib/time/duration.ts";
import { formatInZone, localZone } from "../lib/time/zone.ts";

/** How a scan is written for people. */
export interface ScanTextOptions {
  /** How wide a line may be. */
  columns: number;
  /** When it was made, if that is to be said. */
  at?: Date;
  /** Whether nothing is said when nothing was found. */
  isQuiet: boolean;
  /** How many zombies are listed. Default: all. */
  most?: number;
}

/** A scan for programs. */
export function scanRecords(scan: ZombieScan, at: Date): JsonRecord[] {
  const { zombies, parents, halfEnded, processes, pids, hidden } = scan;
  const row = ({ pid, ppid, state, name, ageMs }: Omit<ProcessRow, "isThreaded">) => (
    { pid, ppid, state, name, ageMs: ageMs ?? null }
  );
  return [
    ...zombies.map((each) => ({ type: "zombie", ...row(each), seenMs: Math.round(each.seenMs) })),
    ...parents.map((each) => ({ type: "parent", ...row(each), ...parentRecord(each) })),
    ...halfEnded.map((each) => ({ type: "halfEnded", ...row(each) })),
    {
      ...{ type: "scan", at: at.toISOString(), zombies: zombies.length, parents: parents.length, processes },
      ...{ pidsUsed: pids?.used ?? null, pidsLimit: pids?.limit ?? null, hidden },
    },
  ];
}

function parentRecord(parent: ZombieParent): Record<string, unknown> {
  const { command, uid, tracerPid, childSignal, isInit, owner, zombies, cause, why, advice } = parent;
  return {
    command,
    uid: uid ?? null,
    tracerPid: tracerPid ?? null,
    childSignal: childSignal ?? null,
    isInit,
    service: owner.service ?? null,
    container: owner.container ?? null,
    ...{ zombies, cause, why, advice },
  };
}

/** A scan for people: the zombies, their parents, what only looks like a zombie, and how many there are. */
export function scanText(
  scan: ZombieScan,
  { columns, at, isQuiet, most = Infinity }: ScanTextOptions,
): string {
  const { zombies, parents, halfEnded, hidden } = scan;
  if (isQuiet && zombies.length + halfEnded.length === 0) return "";
  const shown = zombies.slice(0, most);
  const hiddenParents = zombies.filter(({ ppid }) => parents.every(({ pid }) => pid !== ppid));
  const blocks = [
    ...(at === undefined ? [] : [`${formatInZone(at.getTime(), localZone())}\n`]),
    ...(shown.length === 0 ? [] : [zombieTable(shown, columns)]),
    ...(shown.length === zombies.length ? [] : [`… and ${zombies.length - shown.length} more\n`]),
    ...parents.map(parentText),
    ...(hiddenParents.length === 0 ? [] : [hiddenParentText(hiddenParents)]),
    ...halfEnded.map(({ pid, name }) =>
      `${pid} (${name}) shows as Z, but lives: its first thread has ended, others go on\n`
    ),
    ...(hidden ? ["other users' processes are hidden here (hidepid): scan as root to see them\n"] : []),
    countText(scan),
  ];
  return blocks.map((block) => cut(block, columns)).join("");
}

function zombieTable(zombies: ZombieScan["zombies"], columns: number): string {
  return table([
    ["PID", "PPID", "STATE", "STARTED", "SEEN", "COMMAND"],
    ...zombies.map(({ pid, ppid, state, name, ageMs, seenMs }) => [
      ...[String(pid), String(ppid), state, ago(ageMs), ago(seenMs), `${name} <defunct>`],
    ]),
  ], { columns }) + "\n";
}

function parentText({ pid, command, zombies, ageMs, why, advice }: ZombieParent): string {
  const started = ageMs === undefined ? "" : `, started ${ago(ageMs)}`;
  const lines = advice.map(({ command, does }) => [`  ${command}`, does]);
  return `parent ${pid} has ${
    zombies === 1 ? "1 zombie" : `${zombies} zombies`
  }${started}: ${command}\n  ${why}\n` +
    (lines.length === 0 ? "" : table(lines)) + "\n";
}

/** Zombies whose parent is outside: of another pid namespace, or of another user while those are hidden. */
function hiddenParentText(zombies: ZombieScan["zombies"]): string {
  const pids = zombies.map(({ pid }) => pid).join(", ");
  return `the parent of ${pids} cannot be seen from here: scan as root, outside of the container\n\n`;
}

function countText({ zombies, parents, processes, pids }: ZombieScan): string {
  const found = zombies.length === 0
    ? "no zombie"
    : `${zombies.length === 1 ? "1 zombie" : `${zombies.length} zombies`} of ${
      parents.length === 1 ? "1 parent" : `${parents.length} parents`
    }`;
  const ids = pids === undefined ? "" : `; ${pids.used} of ${pids.limit} process ids are taken`;
  return `${found} among ${processes === 1 ? "1 process" : `${processes} processes`}${ids}\n`;
}

function ago(ms: number | undefined): string {
  return ms === undefined ? "-" : `${formatDuration(ms < 1_000 ? ms : Math.floor(ms / 1_000) * 1_000)} ago`;
}

/** No line of it is longer than the screen is wide. */
function cut(text: string, columns: number): string {
  return text.split("\n").map((line) => shorten(line, columns)).join("\n");
}
