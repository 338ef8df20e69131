/**
 * What the processes of the chaos test have written down, and whether it can be true of primitives that keep their promises.
 *
 * @module
 */

/** How many permits the semaphore has; the lock's weights are in the same measure. */
export const CHAOS_PERMITS = 3;

/** Clocks of processes are compared; they agree to much less than this. */
const TOLERANCE_MS = 1;

/** Something that happened to a process. */
export interface Fact {
  pid: number;
  atMs: number;
  step: "holds" | "releases" | "putting" | "put" | "not put" | "received" | "acked" | "killed";
  object?: "semaphore" | "lock";
  weight?: number;
  item?: string;
}

/** All that cannot be: an empty list is a true history. */
export function contradictions(facts: readonly Fact[]): string[] {
  const inOrder = facts.toSorted((a, b) => a.atMs - b.atMs);
  return [...tooMany(inOrder, "semaphore"), ...tooMany(inOrder, "lock"), ...lostOrFound(inOrder)];
}

/** More held at once than there are permits. A process holds from its note until it releases or is killed. */
function tooMany(facts: readonly Fact[], object: "semaphore" | "lock"): string[] {
  const ends: { atMs: number; change: number; pid: number }[] = [];
  const held = new Map<number, Fact>();
  const end = (pid: number, atMs: number) => {
    const begin = held.get(pid);
    held.delete(pid);
    if (begin === undefined || atMs - begin.atMs <= 2 * TOLERANCE_MS) return;
    ends.push({ atMs: begin.atMs + TOLERANCE_MS, change: begin.weight!, pid });
    ends.push({ atMs: atMs - TOLERANCE_MS, change: -begin.weight!, pid });
  };
  for (const fact of facts) {
    if (fact.step === "killed") end(fact.pid, fact.atMs);
    else if (fact.object === object && fact.step === "holds") held.set(fact.pid, fact);
    else if (fact.object === object && fact.step === "releases") end(fact.pid, fact.atMs);
  }
  let now = 0;
  const problems: string[] = [];
  for (const { atMs, change, pid } of ends.sort((a, b) => a.atMs - b.atMs || a.change - b.change)) {
    now += change;
    if (now > CHAOS_PERMITS) problems.push(`${object}: ${now} held at once at ${atMs}, the last by ${pid}`);
  }
  return problems;
}

/** Items that were lost, were never put, or came again after they were acknowledged. All must have been received in the end. */
function lostOrFound(facts: readonly Fact[]): string[] {
  const items = new Map<string, Fact[]>();
  for (const fact of facts) {
    if (fact.item !== undefined) items.set(fact.item, [...items.get(fact.item) ?? [], fact]);
  }
  const problems: string[] = [];
  for (const [item, all] of items) {
    const first = (step: Fact["step"]) => all.find((fact) => fact.step === step)?.atMs;
    const received = all.filter(({ step }) => step === "received");
    const ackedMs = first("acked");
    if (first("putting") === undefined) problems.push(`item ${item} was never put`);
    if (first("not put") !== undefined && received.length > 0) {
      problems.push(`item ${item} came, though its put gave up`);
    }
    if (first("put") !== undefined && received.length === 0) problems.push(`item ${item} was lost`);
    if (first("put") !== undefined && ackedMs === undefined) {
      // Who was killed after the ack and before its note cannot tell: it was received, and is gone.
      if (received.length === 0) problems.push(`item ${item} was never acknowledged`);
    }
    if (ackedMs !== undefined && received.some(({ atMs }) => atMs > ackedMs + TOLERANCE_MS)) {
      problems.push(`item ${item} came again after it was acknowledged`);
    }
  }
  return problems;
}
