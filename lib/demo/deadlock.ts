/**
 * Two holders that take two locks in opposite order, wait for each other, and are set free.
 *
 * @module
 */

import { EitherSignal } from "../abort.ts";
import type { Lease, Lock } from "../primitives.ts";
import type { DemoStep, Tell } from "./tell.ts";
import { type Wait, WaitGraph } from "./wait_graph.ts";

/** The two holders, and the locks in the order in which each takes them. */
export const HOLDERS: readonly { name: string; order: readonly [LockName, LockName] }[] = [
  { name: "A", order: ["left", "right"] },
  { name: "B", order: ["right", "left"] },
];

/** The locks. */
export type LockName = "left" | "right";

/** What one holder needs. */
export interface HolderOptions {
  name: string;
  order: readonly [LockName, LockName];
  locks: Readonly<Record<LockName, Lock>>;
  /** Resolves when both hold their first lock. */
  bothHold: (signal: AbortSignal) => Promise<unknown>;
  tell: Tell;
  /** Aborted, it ends the wait for the second lock. */
  broken: AbortSignal;
  /** Ends everything. */
  signal: AbortSignal;
  /** How long the second lock is waited for. */
  timeoutMs: number;
}

/**
 * One holder: takes its first lock and then wants the other's. Whose wait is broken gives its lock back and begins again.
 *
 * @throws {TimeoutError} If nobody found the circle in time.
 */
export async function holdBoth(options: HolderOptions): Promise<void> {
  const { name, order: [first, second], locks, bothHold, tell, broken, signal, timeoutMs } = options;
  const take = async (lock: LockName, wait: AbortSignal): Promise<Lease> => {
    await tell({ who: name, step: "waits for", lock });
    const lease = await locks[lock].acquire({ signal: wait, timeoutMs });
    await tell({ who: name, step: "holds", lock });
    return lease;
  };
  const giveBack = async (lock: LockName, lease: Lease) => {
    // Told first: once it is given back, the other one may hold it.
    await tell({ who: name, step: "releases", lock });
    lease.release();
  };
  let mine = await take(first, signal);
  await bothHold(signal);
  let other: Lease;
  try {
    using either = new EitherSignal(signal, broken);
    other = await take(second, either.signal);
  } catch (error) {
    await tell({ who: name, step: "gives up on", lock: second });
    await giveBack(first, mine);
    if (!broken.aborted || signal.aborted) throw error;
    // In the other's order, so that no circle can close any more.
    other = await take(second, signal);
    mine = await take(first, signal);
  }
  await giveBack(second, other);
  await giveBack(first, mine);
}

/** Watches what the holders tell. */
export class DeadlockWatch {
  readonly #graph = new WaitGraph();
  readonly #breakWait: (owner: string) => void;
  readonly #tell: Tell;
  /** The circles that were found. */
  readonly found: Wait[][] = [];

  /** @param options `breakWait`: called with the owner whose wait closed a circle. */
  constructor({ breakWait, tell }: { breakWait: (owner: string) => void; tell: Tell }) {
    this.#breakWait = breakWait;
    this.#tell = tell;
  }

  /** Takes a step of a holder; passes it on, and breaks a circle that it closes. */
  async take(told: DemoStep): Promise<void> {
    const { who, step, lock = "" } = told;
    await this.#tell(told);
    if (step === "holds") this.#graph.holds(who, lock);
    else if (step === "releases") this.#graph.releases(lock);
    else if (step === "gives up on") this.#graph.givesUp(who);
    else if (step === "waits for") {
      const circle = this.#graph.waits(who, lock);
      if (circle === undefined) return;
      this.found.push(circle);
      const text = circle.map(({ owner, lock, holder }) =>
        `${owner} waits for ${lock}, which ${holder} holds`
      );
      await this.#tell({ who: "deadlock", step: "found", detail: text.join("; ") });
      await this.#tell({ who: "deadlock", step: "broken", detail: `${who} gives way` });
      this.#breakWait(who);
    }
  }
}
