/**
 * Processes that use what is at a broker and are killed at random moments, and a check of what they have written down (`chaos_actor.ts`).
 * `CONC_CHAOS_SECONDS` makes it longer, `CONC_CHAOS_SEED` draws the kills again.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { ClusterLock } from "../../lib/cluster/lock.ts";
import { ClusterQueue } from "../../lib/cluster/queue.ts";
import { ClusterSemaphore } from "../../lib/cluster/semaphore.ts";
import { seededRandom } from "../../lib/random.ts";
import { CHAOS_PERMITS, contradictions, type Fact } from "../chaos_history.ts";
import { inDirectory } from "../cli/conc.ts";
import { reaching } from "../conformance/waits.ts";
import { emptied, uniqueName, withStore } from "./broker.ts";

/** How long it goes on, about. */
export const CHAOS_SECONDS = Number(Deno.env.get("CONC_CHAOS_SECONDS") ?? 8);
/** What is drawn from it happens again with the same. */
export const CHAOS_SEED = Number(Deno.env.get("CONC_CHAOS_SEED") ?? Math.floor(Math.random() * 2 ** 31));

/** What they do, at each place. */
const ROLES = ["putter", "worker", "holder", "locker"];

/** The words that start an actor; its arguments follow. */
const PROGRAM = ["run", "-A", "--no-check", "--no-lock", import.meta.resolve("./chaos_actor.ts")];
const ACTOR: readonly string[] = [Deno.execPath(), ...PROGRAM];

/** What starts an actor: where it runs, and over which URL it reaches the broker. */
export interface Place {
  url: string;
  command: (words: readonly string[], options: Deno.CommandOptions) => Deno.Command;
}

/** What goes on while the actors are killed. */
export interface Turmoil {
  random: () => number;
  /** Does something in which items may be held up, and writes down that it did. */
  outage(what: () => Promise<void>): Promise<void>;
}

/**
 * Has a process of each role at each place do its work, and kills them, until the turmoil is over; then everything must be done, and no promise broken.
 *
 * @param url The broker.
 * @param options `places`: where; `turmoil`: what else happens, and for how long.
 */
export function chaos(
  url: string,
  { places, turmoil }: {
    places: readonly Place[];
    turmoil: (turmoil: Turmoil) => Promise<void>;
  },
): Promise<void> {
  return inDirectory(async (directory) => {
    const random = seededRandom(CHAOS_SEED);
    const name = uniqueName();
    const facts: Fact[] = [];
    let started = 0;
    const start = (role: string, { url, command }: Place) => {
      const seed = String(Math.floor(random() * 2 ** 31));
      const words = [...ACTOR, role, url, name, `${directory}/${++started}`, seed];
      return command(words, { stdin: "piped", stdout: "null" }).spawn();
    };
    await withStore(url, async (store) => void await ClusterQueue.open(store, name));
    const actors = ROLES.flatMap((role) =>
      places.map((place) => ({ role, place, child: start(role, place) }))
    );
    let isOver = false;
    const kill = async () => {
      while (!isOver) {
        await delay(200 + random() * 1_500);
        const actor = actors[Math.floor(random() * actors.length)]!;
        facts.push({ pid: actor.child.pid, atMs: now(), step: "killed" });
        actor.child.kill("SIGKILL");
        await actor.child.status;
        await actor.child.stdin.close().catch(() => {});
        actor.child = start(actor.role, actor.place);
      }
    };
    const killing = kill();
    const outage = async (what: () => Promise<void>) => {
      const atMs = now();
      await what();
      facts.push({ pid: 0, atMs, step: "outage", untilMs: now() });
    };
    await turmoil({ random, outage });
    isOver = true;
    await killing;
    const end = async (role: string) => {
      for (const actor of actors) {
        if (actor.role !== role) continue;
        await actor.child.stdin.close();
        assertEquals((await actor.child.status).code, 0, "no process may fail");
      }
    };
    for (const role of ROLES) if (role !== "worker") await end(role);
    await withStore(url, async (store) => {
      // Nobody is left who could hold or wait: everything is free.
      await reaching(await ClusterSemaphore.open(store, name), { available: CHAOS_PERMITS, waiting: 0 });
      await reaching(ClusterLock.named(store, name), { held: false, waiting: 0 });
      const queue = await ClusterQueue.open(store, name);
      await emptied(queue);
      await end("worker");
      await queue.delete();
    });
    for await (const { name } of Deno.readDir(directory)) {
      // The last line of one that was killed may be cut.
      const text = await Deno.readTextFile(`${directory}/${name}`);
      for (const line of text.split("\n").slice(0, -1)) facts.push(JSON.parse(line));
    }
    assertEquals(contradictions(facts), []);
    for (const step of ["put", "received", "acked", "given back", "holds", "releases"] as const) {
      const count = facts.filter((fact) => fact.step === step).length;
      assert(count > 10, `${count} x ${step}: too little happened to say anything`);
    }
  });
}

function now(): number {
  return performance.timeOrigin + performance.now();
}
