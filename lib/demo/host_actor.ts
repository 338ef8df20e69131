/**
 * A process that plays one part of a lock demo; see `host_stage.ts`. What it reads and what it prints is JSON, a line each. It waits for
 * an answer to each step that it tells, so that steps are told in the order in which they were done, whichever process did them.
 *
 * @module
 */

import { jsonLines } from "../json_lines.ts";
import { HostEvent } from "../host/event.ts";
import { HostLock } from "../host/lock.ts";
import { HostRLock } from "../host/rlock.ts";
import { Store } from "../host/store.ts";
import type { Awaitable, Lock } from "../primitives.ts";
import { holdBoth, type HolderOptions } from "./deadlock.ts";
import { takeOnce, takeThreeTimes } from "./reentrant.ts";
import type { LockKind } from "./stage.ts";
import type { DemoStep } from "./tell.ts";
import { buyTicket, type Stock } from "./tickets.ts";

/** The event that is set when all have come to where they meet. */
export const MEETING = "all-there";

/** The lock at a broker that keeps plays apart; those of the play have this before their names. */
export const PLAY = "lock-demo";

/** The part that the process plays. */
export type HostPart =
  & {
    /** The file of the store where all meet, and where the locks are. */
    store: string;
    /** The URL of the broker where the locks are instead. */
    broker?: string;
    lock: LockKind;
  }
  & (
    | { part: "buyer"; number: number; delayMs: number; stock: string }
    | ({ part: "holder" } & Pick<HolderOptions, "name" | "order" | "timeoutMs">)
    | { part: "owner" | "other"; timeoutMs: number }
  );

/** What a process reads after its part. */
export type HostCue = "told" | "break";

/** What a process prints: a step, that it has come to where all meet, that the owner holds the lock, or how it ended. */
export type HostLine = { step: DemoStep } | { arrived: true } | { held: true } | { value: unknown } | {
  error: { name: string; message: string };
};

/**
 * Plays the part that comes as the first line.
 *
 * @param stdin Where the part and the cues come from.
 * @param write Prints a line.
 */
export async function playHostPart(
  stdin: ReadableStream<Uint8Array>,
  write: (line: string) => Promise<void>,
): Promise<void> {
  const lines = jsonLines(stdin);
  const { value: part } = await lines.next();
  const actor = new Actor((line) => write(`${JSON.stringify(line)}\n`));
  void (async () => {
    for await (const cue of lines) actor.take(cue as HostCue);
  })();
  try {
    await write(`${JSON.stringify({ value: await actor.play(part as HostPart) ?? null })}\n`);
  } catch (error) {
    const { name, message } = error as Error;
    await write(`${JSON.stringify({ error: { name, message } })}\n`);
  }
}

/** The stock of the tutorial: a file that holds `{"count": n}`. */
export function fileStock(path: string): Stock {
  return {
    read: async () => JSON.parse(await Deno.readTextFile(path)).count,
    async write(count) {
      // Renamed, for a file that is half written is not what is shown here.
      const draft = `${path}.${Deno.pid}`;
      await Deno.writeTextFile(draft, JSON.stringify({ count }));
      await Deno.rename(draft, path);
    },
  };
}

class Actor {
  readonly #say: (line: HostLine) => Promise<void>;
  readonly #broken = new AbortController();
  /** Whoever ends the play ends this process. */
  readonly #signal = new AbortController().signal;
  #told = Promise.withResolvers<void>();

  constructor(say: (line: HostLine) => Promise<void>) {
    this.#say = say;
  }

  take(cue: HostCue): void {
    if (cue === "told") this.#told.resolve();
    else this.#broken.abort();
  }

  async play(part: HostPart): Promise<unknown> {
    const store = new Store(part.store);
    await using locks = await openLocks(store, part);
    const common = { tell: (step: DemoStep) => this.#tell(step), signal: this.#signal };
    const meet = async () => {
      await this.#say({ arrived: true });
      await new HostEvent(store, MEETING).wait();
    };
    if (part.part === "buyer") {
      const { number, delayMs, stock } = part;
      const shared = { stock: fileStock(stock), lock: await locks.get("stock") };
      return await buyTicket({ ...common, number, delayMs, ...shared, allLooked: meet });
    }
    if (part.part === "holder") {
      const { name, order, timeoutMs } = part;
      const both = { left: (await locks.get("left"))!, right: (await locks.get("right"))! };
      const broken = this.#broken.signal;
      return await holdBoth({ ...common, name, order, timeoutMs, locks: both, bothHold: meet, broken });
    }
    const options = { ...common, lock: (await locks.get("it"))!, timeoutMs: part.timeoutMs };
    if (part.part === "other") return await takeOnce(options);
    return await takeThreeTimes(options, () => void this.#say({ held: true }));
  }

  async #tell(step: DemoStep): Promise<void> {
    this.#told = Promise.withResolvers();
    await this.#say({ step });
    await this.#told.promise;
  }
}

/** The locks of a play, by their names. */
interface Locks extends AsyncDisposable {
  /** Undefined if nothing keeps the actors apart. */
  get(name: string): Awaitable<Lock | undefined>;
}

async function openLocks(store: Store, { lock, broker }: HostPart): Promise<Locks> {
  if (broker === undefined || lock === "none") {
    return {
      get(name) {
        if (lock === "none") return undefined;
        return lock === "rlock" ? new HostRLock(store, name) : new HostLock(store, name);
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
  const [{ ClusterLock }, { ClusterStore }] = await Promise.all([
    import("../cluster/lock.ts"),
    import("../cluster/store.ts"),
  ]);
  const cluster = await ClusterStore.open(broker);
  return {
    get: (name) => ClusterLock.open(cluster, `${PLAY}-${name}`),
    [Symbol.asyncDispose]: () => cluster.close(),
  };
}
