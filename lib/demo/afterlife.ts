/**
 * What becomes of a child that ends before its parent, and of one whose parent ends first.
 *
 * @module
 */

import { adoptsOrphans } from "../process/descendants.ts";
import { type ProcessRow, readProcessTable } from "../process/process_table.ts";
import type { Family } from "./family.ts";

/** Who takes the children of a parent that has ended. */
export interface Adopter {
  pid: number;
  /** What it is called. */
  name: string;
  /** How it came to that: it is this process, it is init, or it is another that has asked for the orphans below it (prctl(2)). */
  role: "self" | "init" | "subreaper";
}

/** What happened; rows are as the kernel showed them. */
export type AfterlifeStep =
  | { step: "parent"; pid: number; name: string; children: number }
  | { step: "zombies"; rows: ProcessRow[] }
  | { step: "orphans"; rows: ProcessRow[] }
  /** The parent of zombies was ended. Who adopts them is not seen where they are gone at once; then it is undefined. */
  | { step: "parent ended"; pid: number; adopter: Adopter | undefined }
  | { step: "adopted"; rows: ProcessRow[]; ppidBefore: number; adopter: Adopter | undefined }
  | { step: "gone"; removed: number[]; left: ProcessRow[] };

/** Options of {@link playZombies} and {@link playOrphans}. */
export interface AfterlifeOptions {
  /** Called with each step, which is awaited. */
  tell: (step: AfterlifeStep) => Promise<void>;
  /** Called while there is something to look at, which stays until it resolves. The signal says that it is gone already. */
  hold: (signal: AbortSignal) => Promise<unknown>;
}

/**
 * The children end, and are zombies; then the parent ends, and they are gone. Invariant: none is left when it returns true.
 *
 * @returns Whether none is left.
 */
export async function playZombies(family: Family, { tell, hold }: AfterlifeOptions): Promise<boolean> {
  await tell(parentStep(family));
  await family.endChildren();
  await tell({ step: "zombies", rows: await family.rows() });
  await holdWithParent(family, hold);
  await family.endParent();
  const adopter = adoptsOrphans() ? adopterOf(Deno.pid, []) : undefined;
  await tell({ step: "parent ended", pid: family.pid, adopter });
  return await endAll(family, tell);
}

/**
 * The parent ends, and its children go on with another; then they end. Invariant: none is left when it returns true.
 *
 * @returns Whether none is left.
 */
export async function playOrphans(family: Family, { tell, hold }: AfterlifeOptions): Promise<boolean> {
  await tell(parentStep(family));
  await tell({ step: "orphans", rows: await family.rows() });
  await family.endParent();
  const all = await readProcessTable();
  const rows = all.filter(({ pid }) => family.children.includes(pid));
  const [first] = rows;
  const adopter = first === undefined ? undefined : adopterOf(first.ppid, all);
  await tell({ step: "adopted", rows, ppidBefore: family.pid, adopter });
  await hold(new AbortController().signal);
  return await endAll(family, tell);
}

function parentStep({ pid, name, children }: Family): AfterlifeStep {
  return { step: "parent", pid, name, children: children.length };
}

/** Somebody who looks at the zombies may end their parent: then there is nothing more to look at. */
async function holdWithParent(family: Family, hold: AfterlifeOptions["hold"]): Promise<void> {
  const over = new AbortController();
  void family.parentEnded.then(() => over.abort());
  try {
    await hold(over.signal);
  } catch (error) {
    if (!over.signal.aborted) throw error;
  }
}

async function endAll(family: Family, tell: AfterlifeOptions["tell"]): Promise<boolean> {
  const left = await family.gone();
  const removed = family.children.filter((pid) => left.every((row) => row.pid !== pid));
  await tell({ step: "gone", removed, left });
  return left.length === 0;
}

function adopterOf(pid: number, rows: readonly ProcessRow[]): Adopter {
  if (pid === Deno.pid) return { pid, name: "conc", role: pid === 1 ? "init" : "self" };
  const name = rows.find((row) => row.pid === pid)?.name ?? "?";
  return { pid, name, role: pid <= 1 ? "init" : "subreaper" };
}
