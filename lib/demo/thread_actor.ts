/**
 * A Worker that plays one part of a lock demo; see `thread_stage.ts`. It waits for an answer to each step that it tells, so that steps
 * are told in the order in which they were done, whichever thread did them.
 *
 * @module
 */

import type { Lock } from "../primitives.ts";
import { ThreadEvent } from "../thread/event.ts";
import type { ThreadHandle } from "../thread/handle.ts";
import { ThreadLock } from "../thread/lock.ts";
import { ThreadRLock } from "../thread/rlock.ts";
import { holdBoth, type HolderOptions } from "./deadlock.ts";
import { takeOnce, takeThreeTimes } from "./reentrant.ts";
import type { DemoStep } from "./tell.ts";
import { buyTicket } from "./tickets.ts";

/** A place where threads wait for each other. */
export interface Meeting {
  /** How many are to come. */
  size: number;
  /** How many have come. */
  arrived: Int32Array;
  complete: ThreadHandle<"event">;
}

/** A lock of either kind. */
export type LockHandle = ThreadHandle<"lock"> | ThreadHandle<"rlock">;

/** The part that the Worker plays. */
export type Part =
  | {
    part: "buyer";
    number: number;
    delayMs: number;
    /** How many tickets are left. */
    left: Int32Array;
    lock: LockHandle | undefined;
    allLooked: Meeting;
  }
  | (
    & { part: "holder"; locks: Record<"left" | "right", LockHandle>; bothHold: Meeting }
    & Pick<
      HolderOptions,
      "name" | "order" | "timeoutMs"
    >
  )
  | { part: "owner" | "other"; lock: LockHandle; timeoutMs: number };

/** What a Worker is told after its part. */
export type Cue = "told" | "break" | "stop";

/** What a Worker says: a step, that the owner holds the lock, or how it ended. */
export type Line = { step: DemoStep } | { held: true } | { value: unknown } | {
  error: { name: string; message: string };
};

const worker = globalThis as unknown as {
  postMessage(line: Line): void;
  onmessage: (event: MessageEvent<Part | Cue>) => void;
};

const stopped = new AbortController();
const broken = new AbortController();
let told = Promise.withResolvers<void>();

worker.onmessage = ({ data }) => {
  if (data === "told") told.resolve();
  else if (data === "break") broken.abort();
  else if (data === "stop") stopped.abort();
  else {
    play(data).then(
      (value) => worker.postMessage({ value }),
      ({ name, message }) => worker.postMessage({ error: { name, message } }),
    );
  }
};

function tell(step: DemoStep): Promise<void> {
  told = Promise.withResolvers();
  worker.postMessage({ step });
  return told.promise;
}

async function play(part: Part): Promise<unknown> {
  const common = { tell, signal: stopped.signal };
  if (part.part === "buyer") {
    const { number, delayMs, left, lock, allLooked } = part;
    const stock = { read: () => left[0]!, write: (value: number) => void (left[0] = value) };
    return await buyTicket({
      ...{ ...common, number, delayMs, stock },
      lock: lock && attach(lock),
      allLooked: () => meet(allLooked),
    });
  }
  if (part.part === "holder") {
    const { name, order, timeoutMs, locks, bothHold } = part;
    return await holdBoth({
      ...{ ...common, name, order, timeoutMs },
      locks: { left: attach(locks.left), right: attach(locks.right) },
      bothHold: () => meet(bothHold),
      broken: broken.signal,
    });
  }
  const options = { ...common, lock: attach(part.lock), timeoutMs: part.timeoutMs };
  if (part.part === "other") return await takeOnce(options);
  return await takeThreeTimes(options, () => worker.postMessage({ held: true }));
}

async function meet({ size, arrived, complete }: Meeting): Promise<void> {
  const event = ThreadEvent.attach(complete);
  if (Atomics.add(arrived, 0, 1) + 1 === size) event.set();
  await event.wait({ signal: stopped.signal });
}

function attach(handle: LockHandle): Lock {
  return handle.kind === "rlock" ? ThreadRLock.attach(handle) : ThreadLock.attach(handle);
}
