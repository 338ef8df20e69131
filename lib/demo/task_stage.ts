/**
 * Lock demos at task reach: the actors are async tasks of one event loop.
 *
 * @module
 */

import type { Lock } from "../primitives.ts";
import { TaskEvent } from "../task/event.ts";
import { gather } from "../task/gather.ts";
import { TaskLock } from "../task/lock.ts";
import { runAsOwner, TaskRLock } from "../task/rlock.ts";
import { DeadlockWatch, holdBoth, HOLDERS } from "./deadlock.ts";
import { takeAgain } from "./reentrant.ts";
import type { LockKind, Stage } from "./stage.ts";
import { buyTicket } from "./tickets.ts";

/** The stage. */
export const taskStage: Stage = {
  async sellTickets({ tickets, delaysMs }, { lock: kind, tell, signal }) {
    let left = tickets;
    const stock = { read: () => left, write: (value: number) => void (left = value) };
    const lock = makeLock(kind);
    const allLooked = meeting(delaysMs.length);
    const buyers = delaysMs.map((delayMs, index) => (signal: AbortSignal) =>
      buyTicket({ number: index + 1, delayMs, stock, lock, allLooked, tell, signal })
    );
    const bought = await gather(buyers, { mode: "all", signal });
    return { sold: bought.filter(Boolean).length, left };
  },

  async deadlock({ lock: kind, tell, timeoutMs, signal }) {
    const locks = { left: makeLock(kind)!, right: makeLock(kind)! };
    const bothHold = meeting(HOLDERS.length);
    const breaks = new Map(HOLDERS.map(({ name }) => [name, new AbortController()]));
    const watch = new DeadlockWatch({ tell, breakWait: (owner) => breaks.get(owner)!.abort() });
    const holders = HOLDERS.map(({ name, order }) => (signal: AbortSignal) =>
      holdBoth({
        ...{ name, order, locks, bothHold, timeoutMs, signal },
        tell: (step) => watch.take(step),
        broken: breaks.get(name)!.signal,
      })
    );
    await gather(holders, { mode: "all", signal });
    return watch.found;
  },

  async reentrant({ lock: kind, tell, timeoutMs, signal }) {
    return await takeAgain({ lock: makeLock(kind)!, tell, timeoutMs, signal }, runAsOwner);
  },
};

function makeLock(kind: LockKind): Lock | undefined {
  return { none: undefined, lock: new TaskLock(), rlock: new TaskRLock() }[kind];
}

/** A place where so many wait for each other; a signal tells them that one of them will not come. */
function meeting(size: number): (signal: AbortSignal) => Promise<unknown> {
  const complete = new TaskEvent();
  let arrived = 0;
  return (signal) => {
    arrived += 1;
    if (arrived === size) complete.set();
    return complete.wait({ signal });
  };
}
