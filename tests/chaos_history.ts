/**
 * What the processes of a chaos test have written down, and whether it can be true of primitives that keep their promises.
 *
 * @module
 */

/** How many permits the semaphore has; the lock's weights are in the same measure. */
export const CHAOS_PERMITS = 3;

/** Clocks of processes are compared; they agree to much less than this. */
const TOLERANCE_MS = 1;

/** An acknowledgement that nobody answered may not have been kept: one so long before an outage. */
const UNANSWERED_MS = 250;

/** Something that happened to a process. */
export interface Fact {
  pid: number;
  atMs: number;
  step:
    | "holds"
    | "releases"
    | "putting"
    | "put"
    | "not put"
    | "received"
    | "giving back"
    | "given back"
    | "acked"
    | "killed"
    | "outage";
  /** Of an outage, which is nobody's: when what all talk to was there again. */
  untilMs?: number;
  object?: "semaphore" | "lock";
  weight?: number;
  item?: string;
}

/** What a process writes down its facts with, a line for each: whenever it is killed, its history is true. */
export function openHistory(file: string): (fact: Omit<Fact, "pid" | "atMs">) => void {
  const history = Deno.openSync(file, { append: true, create: true });
  const encoder = new TextEncoder();
  return (fact) => {
    const atMs = performance.timeOrigin + performance.now();
    history.writeSync(encoder.encode(`${JSON.stringify({ pid: Deno.pid, atMs, ...fact })}\n`));
  };
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
  const outages = facts.filter(({ step }) => step === "outage");
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
    const isAgain = ackedMs !== undefined && received.some(({ atMs }) => atMs > ackedMs + TOLERANCE_MS);
    if (isAgain && !mayBeTwice(all, outages)) {
      problems.push(`item ${item} came again after it was acknowledged`);
    }
  }
  return problems;
}

/**
 * Whether an item can be there twice. What is put, or given back, over a connection that is lost before the answer may be done again; who
 * moves an item and is killed in between leaves it in both places; and an acknowledgement may be lost with what it was said to.
 */
function mayBeTwice(facts: readonly Fact[], outages: readonly Fact[]): boolean {
  const overlaps = (fromMs: number, toMs: number) =>
    outages.some(({ atMs, untilMs }) => fromMs <= untilMs! && toMs >= atMs);
  return facts.some(({ step, pid, atMs }) => {
    if (step === "acked") return overlaps(atMs, atMs + UNANSWERED_MS);
    if (step !== "putting" && step !== "giving back") return false;
    const done = step === "putting" ? "put" : "given back";
    const end = facts.find((fact) => fact.step === done && fact.pid === pid && fact.atMs >= atMs);
    if (end === undefined && step === "giving back") return true;
    return overlaps(atMs, end?.atMs ?? Infinity);
  });
}
