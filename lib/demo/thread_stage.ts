/**
 * Lock demos at thread reach: each actor is a Worker, and what they share is memory.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";
import { gather } from "../task/gather.ts";
import { ThreadEvent } from "../thread/event.ts";
import { ThreadLock } from "../thread/lock.ts";
import { ThreadRLock } from "../thread/rlock.ts";
import { DeadlockWatch, HOLDERS } from "./deadlock.ts";
import type { LockKind, Stage } from "./stage.ts";
import type { Tell } from "./tell.ts";
import type { Cue, Line, LockHandle, Meeting, Part } from "./thread_actor.ts";

/** The stage. */
export const threadStage: Stage = {
  async sellTickets({ tickets, delaysMs }, { lock: kind, tell, signal }) {
    const left = new Int32Array(new SharedArrayBuffer(4)).fill(tickets);
    const shared = { left, lock: makeLock(kind), allLooked: meeting(delaysMs.length) };
    const buyers = delaysMs.map((delayMs, index) => (signal: AbortSignal) =>
      act<boolean>({ part: "buyer", number: index + 1, delayMs, ...shared }, { tell, signal })
    );
    const bought = await gather(buyers, { mode: "all", signal });
    return { sold: bought.filter(Boolean).length, left: left[0]! };
  },

  async deadlock({ lock: kind, tell, timeoutMs, signal }) {
    const locks = { left: makeLock(kind)!, right: makeLock(kind)! };
    const bothHold = meeting(HOLDERS.length);
    const breaks = new Map(HOLDERS.map(({ name }) => [name, new AbortController()]));
    const watch = new DeadlockWatch({ tell, breakWait: (owner) => breaks.get(owner)!.abort() });
    const holders = HOLDERS.map(({ name, order }) => (signal: AbortSignal) =>
      act({ part: "holder", name, order, timeoutMs, locks, bothHold }, {
        tell: (step) => watch.take(step),
        signal,
        broken: breaks.get(name)!.signal,
      })
    );
    await gather(holders, { mode: "all", signal });
    return watch.found;
  },

  async reentrant({ lock: kind, tell, timeoutMs, signal }) {
    const lock = makeLock(kind)!;
    const held = new ThreadEvent();
    const parts = [
      (signal: AbortSignal) =>
        act<boolean>({ part: "owner", lock, timeoutMs }, { tell, signal, onHeld: () => held.set() }),
      async (signal: AbortSignal) => {
        await held.wait({ signal });
        return await act<boolean>({ part: "other", lock, timeoutMs }, { tell, signal });
      },
    ];
    const [isReentrant] = await gather(parts, { mode: "all", signal });
    return isReentrant!;
  },
};

/** How a part is played. */
interface ActOptions {
  tell: Tell;
  /** Ends it. */
  signal: AbortSignal;
  /** Ends the wait that closed a circle. */
  broken?: AbortSignal;
  /** Called once the owner holds the lock. */
  onHeld?: () => void;
}

/** Has a Worker play a part; it is gone when the promise settles. */
async function act<T>(part: Part, { tell, signal, broken, onHeld }: ActOptions): Promise<T> {
  const worker = new Worker(import.meta.resolve("./thread_actor.ts"), { type: "module" });
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const cue = (text: Cue) => worker.postMessage(text);
  const stop = () => cue("stop");
  const giveWay = () => cue("break");
  const hear = async (line: Line) => {
    if ("step" in line) {
      await tell(line.step);
      cue("told");
    } else if ("held" in line) onHeld?.();
    else if ("value" in line) resolve(line.value as T);
    else throw errorOf(line.error);
  };
  worker.onmessage = ({ data }: MessageEvent<Line>) => void hear(data).catch(reject);
  worker.onerror = (event) => {
    event.preventDefault();
    reject(new Error(event.message));
  };
  signal.addEventListener("abort", stop, { once: true });
  broken?.addEventListener("abort", giveWay, { once: true });
  worker.postMessage(part);
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", stop);
    broken?.removeEventListener("abort", giveWay);
    worker.terminate();
  }
}

function errorOf({ name, message }: { name: string; message: string }): Error {
  return name === "TimeoutError" ? new TimeoutError(message) : new Error(message);
}

function makeLock(kind: LockKind): LockHandle | undefined {
  if (kind === "none") return undefined;
  return kind === "rlock" ? new ThreadRLock().handle : new ThreadLock().handle;
}

function meeting(size: number): Meeting {
  return { size, arrived: new Int32Array(new SharedArrayBuffer(4)), complete: new ThreadEvent().handle };
}
