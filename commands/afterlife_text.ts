/**
 * What `conc zombie-demo` says of what it plays.
 *
 * @module
 */

import type { Adopter, AfterlifeStep } from "../lib/demo/afterlife.ts";
import type { ProcessRow } from "../lib/process/process_table.ts";
import type { JsonRecord } from "../lib/report/ndjson.ts";
import { table } from "../lib/report/table.ts";
import { formatDuration } from "../lib/time/duration.ts";

/** A step for programs. */
export function stepRecords(step: AfterlifeStep, elapsedMs: number): JsonRecord[] {
  const shown = (type: string, rows: readonly ProcessRow[]) =>
    rows.map(({ pid, ppid, state, name }) => ({ type, pid, ppid, state, name, elapsedMs }));
  switch (step.step) {
    case "parent":
      return [{ type: "parent", pid: step.pid, name: step.name, children: step.children, elapsedMs }];
    case "zombies":
      return shown("zombie", step.rows);
    case "orphans":
      return shown("orphan", step.rows);
    case "parent ended":
      return [];
    case "adopted": {
      const { ppidBefore, adopter: { name, role } = {} } = step;
      return step.rows.map(({ pid, ppid }) => (
        { type: "adopted", pid, ppidBefore, ppid, adopter: name ?? null, role: role ?? null, elapsedMs }
      ));
    }
    case "gone":
      return step.removed.map((pid) => ({ type: "removed", pid, elapsedMs }));
  }
}

/** A step for people: the first line with the time before it, the others with room. Empty if there is nothing to say. */
export function stepText(
  step: AfterlifeStep,
  { holdMs, elapsedMs }: { holdMs: number; elapsedMs: number },
): string {
  const [first, ...more] = plainText(step, holdMs).split("\n");
  if (first === "") return "";
  const lines = [
    `${formatDuration(elapsedMs).padStart(7)}  ${first}`,
    ...more.map((line) => `         ${line}`),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/** Says which processes could not be removed. */
export function leftText(left: readonly ProcessRow[]): string {
  const who = left.map(({ pid, ppid, state }) => `${pid} (${state}, child of ${ppid})`).join(", ");
  return `${counted(left.length, "process is", "processes are")} left: ${who}: see conc zombie-demo scan`;
}

function plainText(step: AfterlifeStep, holdMs: number): string {
  switch (step.step) {
    case "parent":
      return `parent ${step.pid} (${step.name}) has ${counted(step.children, "child", "children")}`;
    case "zombies": {
      const { rows } = step;
      const what = rows.length === 1 ? "1 child has ended" : `${rows.length} children have ended`;
      return lines(`${what}, and the parent does not wait:`, shownRows(rows), lookFrom(holdMs, rows));
    }
    case "orphans":
      return shownRows(step.rows);
    case "parent ended":
      return lines("the parent was ended; who adopts its zombies waits for them:", adopterText(step.adopter));
    case "adopted": {
      const { rows, ppidBefore, adopter } = step;
      const what = rows.length === 1 ? "its child goes on" : "its children go on";
      const table = shownRows(rows, ppidBefore);
      return lines(`the parent was ended, ${what}:`, table, adopterText(adopter), lookFrom(holdMs, rows));
    }
    case "gone": {
      if (step.left.length > 0) return "";
      const count = step.removed.length;
      return count === 1
        ? `gone: there is no process ${step.removed[0]}`
        : `gone: none of the ${count} is left`;
    }
  }
}

/** The lines that say something. */
function lines(...texts: string[]): string {
  return texts.filter((text) => text !== "").join("\n");
}

/** What shows them, too, as long as they are there. */
function lookFrom(holdMs: number, [first]: readonly ProcessRow[]): string {
  if (holdMs === 0 || first === undefined) return "";
  return `for ${formatDuration(holdMs)}, also elsewhere: ps -A -o pid,ppid,stat,args | grep -w ${first.ppid}`;
}

function shownRows(rows: readonly ProcessRow[], ppidBefore?: number): string {
  const isOrphan = ppidBefore !== undefined;
  const cells = rows.map(({ pid, ppid, state, name }) => [
    String(pid),
    ...(isOrphan ? [String(ppidBefore)] : []),
    ...[String(ppid), state, state === "Z" ? `${name} <defunct>` : name],
  ]);
  return table([["PID", ...(isOrphan ? ["PPID BEFORE"] : []), "PPID", "STATE", "COMMAND"], ...cells])
    .trimEnd();
}

const ROLES: Readonly<Record<Adopter["role"], string>> = {
  self: "itself a subreaper: init to all below it",
  init: "process 1, so it is init here",
  subreaper: "a subreaper: init to all below it",
};

function adopterText(adopter: Adopter | undefined): string {
  if (adopter === undefined) return "adopted by init, or by a subreaper below it";
  return `adopted by ${adopter.name} (${adopter.pid}), ${ROLES[adopter.role]}`;
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
