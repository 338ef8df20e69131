/**
 * Lock demos at host reach: each actor is a process, and what they share is a store, and a JSON file. At the cluster reach they are
 * processes of this machine, too, but their locks are at a broker.
 *
 * @module
 */

import { SystemError, TimeoutError } from "../errors.ts";
import { jsonLines } from "../json_lines.ts";
import { HostEvent } from "../host/event.ts";
import { Store } from "../host/store.ts";
import { selfWords } from "../process/self.ts";
import { spawn } from "../process/spawn.ts";
import { gather } from "../task/gather.ts";
import { DeadlockWatch, HOLDERS } from "./deadlock.ts";
import { fileStock, type HostCue, type HostLine, type HostPart, MEETING } from "./host_actor.ts";
import type { Stage } from "./stage.ts";
import type { Tell } from "./tell.ts";

/** How long an actor may take to end when the play is over. */
const GRACE_MS = 1_000;

/** The stage of the host reach. */
export const hostStage: Stage = processStage({});

/**
 * A stage whose actors are processes.
 *
 * @param place Where their locks are: at a broker, or else where they meet.
 */
export function processStage(place: Pick<HostPart, "broker">): Stage {
  return {
    async sellTickets({ tickets, delaysMs }, { lock, tell, signal }) {
      return await inDirectory(async (directory) => {
        const path = `${directory}/stock.json`;
        const stock = fileStock(path);
        await stock.write(tickets);
        const [store, onArrived] = meeting(directory, delaysMs.length);
        const buyers = delaysMs.map((delayMs, index) => (signal: AbortSignal) =>
          act<boolean>({ part: "buyer", number: index + 1, delayMs, store, lock, stock: path, ...place }, {
            ...{ tell, signal, onArrived },
          })
        );
        const bought = await gather(buyers, { mode: "all", signal });
        return { sold: bought.filter(Boolean).length, left: await stock.read() };
      });
    },

    async deadlock({ lock, tell, timeoutMs, signal }) {
      return await inDirectory(async (directory) => {
        const [store, onArrived] = meeting(directory, HOLDERS.length);
        const breaks = new Map(HOLDERS.map(({ name }) => [name, new AbortController()]));
        const watch = new DeadlockWatch({ tell, breakWait: (owner) => breaks.get(owner)!.abort() });
        const holders = HOLDERS.map(({ name, order }) => (signal: AbortSignal) =>
          act({ part: "holder", name, order, timeoutMs, store, lock, ...place }, {
            tell: (step) => watch.take(step),
            ...{ signal, onArrived },
            broken: breaks.get(name)!.signal,
          })
        );
        await gather(holders, { mode: "all", signal });
        return watch.found;
      });
    },

    async reentrant({ lock, tell, timeoutMs, signal }) {
      return await inDirectory(async (directory) => {
        const store = `${directory}/conc.db`;
        const held = Promise.withResolvers<void>();
        const common = { store, lock, timeoutMs, ...place };
        const parts = [
          (signal: AbortSignal) =>
            act<boolean>({ part: "owner", ...common }, { tell, signal, onHeld: held.resolve }).finally(
              held.resolve,
            ),
          async (signal: AbortSignal) => {
            await held.promise;
            return await act<boolean>({ part: "other", ...common }, { tell, signal });
          },
        ];
        const [isReentrant] = await gather(parts, { mode: "all", signal });
        return isReentrant!;
      });
    },
  };
}

/** How a part is played. */
interface ActOptions {
  tell: Tell;
  /** Ends it. */
  signal: AbortSignal;
  /** Ends the wait that closed a circle. */
  broken?: AbortSignal;
  /** Called once the actor is where all meet. */
  onArrived?: () => void;
  /** Called once the owner holds the lock. */
  onHeld?: () => void;
}

/** Has a process play a part; it is gone when the promise settles. */
async function act<T>(part: HostPart, { tell, signal, broken, onArrived, onHeld }: ActOptions): Promise<T> {
  signal.throwIfAborted();
  const child = spawn([...selfWords(), "lock-demo", "--actor"], { stdin: "piped", stdout: "piped" });
  const stdin = child.stdin.getWriter();
  const encoder = new TextEncoder();
  const send = (value: HostPart | HostCue) =>
    // Who is gone hears nothing; that it is gone is seen below.
    void stdin.write(encoder.encode(`${JSON.stringify(value)}\n`)).catch(() => {});
  const stop = () => void child.end("cancelled", { graceMs: GRACE_MS });
  const giveWay = () => send("break");
  signal.addEventListener("abort", stop, { once: true });
  broken?.addEventListener("abort", giveWay, { once: true });
  send(part);
  try {
    for await (const value of jsonLines(child.stdout)) {
      const line = value as HostLine;
      if ("step" in line) {
        await tell(line.step);
        send("told");
      } else if ("arrived" in line) onArrived?.();
      else if ("held" in line) onHeld?.();
      else if ("error" in line) throw errorOf(line.error);
      else return line.value as T;
    }
    throw signal.aborted ? signal.reason : new Error("an actor ended before its part did");
  } finally {
    signal.removeEventListener("abort", stop);
    broken?.removeEventListener("abort", giveWay);
    await stdin.close().catch(() => {});
    await child.end("cancelled", { graceMs: GRACE_MS });
  }
}

function errorOf({ name, message }: { name: string; message: string }): Error {
  if (name === "TimeoutError") return new TimeoutError(message);
  return name === "SystemError" ? new SystemError(message) : new Error(message);
}

/** The store of a place where so many wait for each other, and what is to be called for each who came. */
function meeting(directory: string, size: number): [path: string, onArrived: () => void] {
  const path = `${directory}/conc.db`;
  let arrived = 0;
  return [path, () => {
    arrived += 1;
    if (arrived < size) return;
    using store = new Store(path);
    new HostEvent(store, MEETING).set();
  }];
}

async function inDirectory<T>(play: (directory: string) => Promise<T>): Promise<T> {
  const directory = await Deno.makeTempDir({ prefix: "conc-demo-" });
  try {
    return await play(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
