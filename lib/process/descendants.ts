/**
 * Which processes are ours. On Linux this process is a subreaper: whatever its descendants leave behind, in whatever process
 * group or session, becomes its child, so that `/proc` shows every descendant. Elsewhere each child leads a process group
 * of its own, which stands for all of them; who leaves the group is not found.
 *
 * Invariant: a process is waited for by exactly one side. Deno waits for the children that it started ({@link own}); we wait,
 * pid by pid, for those that we adopted.
 *
 * @module
 */

import { answers } from "./identity.ts";
import { becomeSubreaper, reap } from "./libc.ts";
import { listChildren, listProcesses, mayHaveChildren, type ProcessEntry, readEnvironment } from "./proc.ts";
import { reapedAnother } from "./usage.ts";

/** A process, or a group of them, that can be signalled. */
export interface Target {
  /** Names it for good: a process id that is used again gives another key. */
  key: string;
  /** The process id; of a group, its leader's. */
  pid: number;
  /** The process group. */
  pgid: number;
  /** Whether it is stopped, so that it sees a signal only once it is continued. */
  stopped: boolean;
  /** What `Deno.kill` takes: negative for a group. */
  killId: number;
}

/** The variable that marks every descendant of one child, also when its parents are gone. */
export const MARK = "CONC_MARK";

/**
 * The variable that marks a process, the leader of a session of its own, that is not to end with those that it descends from: it knows itself when to.
 */
export const APART = "CONC_APART";

/** How long an adopted zombie stays at most. */
const ADOPTION_INTERVAL_MS = 1_000;

const children = new Set<number>();
const groups = new Set<number>();
let adopts: boolean | undefined;
let listens = false;
let adoptionTimer: ReturnType<typeof setTimeout> | undefined;
let lookedAtMs = 0;

/** Whether this process adopts its descendants' orphans. Asked first, it becomes the one who does. */
export function adoptsOrphans(): boolean {
  adopts ??= becomeSubreaper();
  return adopts;
}

/**
 * Listens for the end of children. To be called before one is started: if whoever started this process ignores SIGCHLD, so does this process,
 * and until it listens the kernel reaps what ends, before Deno can ask how it ended (sigaction(2), SIG_IGN).
 */
export function expectChild(): void {
  if (!adoptsOrphans() || listens) return;
  Deno.addSignalListener("SIGCHLD", expectZombies);
  listens = true;
}

/** Says that no child came of what was expected. */
export function expectNoChild(): void {
  if (children.size > 0 || !listens) return;
  Deno.removeSignalListener("SIGCHLD", expectZombies);
  listens = false;
}

/** Enters a child that Deno started and waits for. */
export function own(pid: number): void {
  children.add(pid);
  if (!adoptsOrphans()) groups.add(pid);
}

/** Enters a child that Deno started and waits for, and that is not to end with the others ({@link APART}). */
export function ownApart(pid: number): void {
  children.add(pid);
}

/** Takes out a child that Deno has waited for. */
export function disown(pid: number): void {
  children.delete(pid);
  if (children.size > 0 || !listens) return;
  expectNoChild();
  clearTimeout(adoptionTimer);
  adoptionTimer = undefined;
  // Children that come one by one, each gone before the timer is due, leave orphans too.
  if (performance.now() - lookedAtMs >= ADOPTION_INTERVAL_MS) reapAdopted();
}

/** A child has ended, ours or one that we adopted. While none does, nothing is looked at: to supervise what is idle costs nothing. */
function expectZombies(): void {
  if (adoptionTimer !== undefined) return;
  adoptionTimer = setTimeout(() => {
    adoptionTimer = undefined;
    reapAdopted();
  }, ADOPTION_INTERVAL_MS);
  Deno.unrefTimer(adoptionTimer);
}

/** Whether a child that has ended may have left something running: a look that costs little. */
export function mayHaveLeft(pid: number): boolean {
  if (!adoptsOrphans()) return livingGroups([pid]).length > 0;
  return listChildren()?.some((child) => !children.has(child)) ?? true;
}

/** Whether this process has descendants, zombies included: a look that costs little. */
export function hasDescendants(): boolean {
  return adoptsOrphans() ? mayHaveChildren() : groups.size > 0;
}

/** All living descendants of this process, but for those that are apart. */
export function allDescendants(): Target[] {
  if (!adoptsOrphans()) return livingGroups([...groups]);
  if (!mayHaveChildren()) return [];
  return below(listProcesses(), new Set([Deno.pid]));
}

/**
 * The living processes of one child: itself, what descends from it, and the orphans that carry its mark.
 *
 * @param pid The child's process id.
 * @param mark The value of {@link MARK} in its environment.
 */
export function descendantsOf(pid: number, mark: string): Target[] {
  if (!adoptsOrphans()) return livingGroups([pid]);
  const processes = listProcesses();
  const wanted = `${MARK}=${mark}`;
  const roots = processes.filter((entry) =>
    entry.ppid === Deno.pid && (entry.pid === pid || !children.has(entry.pid) && carries(entry, wanted))
  );
  const ids = new Set(roots.map((entry) => entry.pid));
  return [...roots.filter(lives).map(targetOf), ...below(processes, ids)];
}

/** Waits for the zombies that we adopted. */
export function reapAdopted(): void {
  lookedAtMs = performance.now();
  if (!mayHaveChildren()) return;
  for (const { pid, ppid, state } of listProcesses()) {
    if (ppid === Deno.pid && state === "Z" && !children.has(pid)) reapOne(pid);
  }
}

/** Waits for those of some processes that we adopted, once they have ended. */
export function reapEnded(pids: Iterable<number>): void {
  if (!adoptsOrphans()) return;
  for (const pid of pids) if (!children.has(pid)) reapOne(pid);
}

function reapOne(pid: number): void {
  const usage = reap(pid);
  if (usage !== undefined) reapedAnother(usage);
}

function below(processes: readonly ProcessEntry[], roots: ReadonlySet<number>): Target[] {
  const childrenOf = Map.groupBy(processes, ({ ppid }) => ppid);
  const found: Target[] = [];
  const pending = [...roots];
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    for (const entry of childrenOf.get(pid) ?? []) {
      if (isApart(entry)) continue;
      pending.push(entry.pid);
      if (lives(entry)) found.push(targetOf(entry));
    }
  }
  return found;
}

/** Whether a process is no zombie. */
export function lives(entry: ProcessEntry): boolean {
  return entry.state !== "Z" && entry.state !== "X";
}

function isApart({ pid, sid }: ProcessEntry): boolean {
  return pid === sid && readEnvironment(pid).includes(`${APART}=1`);
}

function carries(entry: ProcessEntry, variable: string): boolean {
  return lives(entry) && readEnvironment(entry.pid).includes(variable);
}

/** What it takes to signal a process. */
export function targetOf({ pid, pgid, startTicks, state }: ProcessEntry): Target {
  return { key: `${pid}@${startTicks}`, pid, pgid, stopped: state === "T", killId: pid };
}

function livingGroups(leaders: readonly number[]): Target[] {
  const killId = (pid: number) => Deno.build.os === "windows" ? pid : -pid;
  const living = leaders.filter((pid) => answers(killId(pid)));
  for (const pid of leaders) if (!living.includes(pid) && !children.has(pid)) groups.delete(pid);
  return living.map((pid) => ({ key: `group ${pid}`, pid, pgid: pid, stopped: false, killId: killId(pid) }));
}
