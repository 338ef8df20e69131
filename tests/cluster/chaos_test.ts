/**
 * Putters and workers at a broker are killed at random moments, the broker is restarted and killed, and the link of some of them is cut; what they have
 * written down is checked afterwards. `CONC_CHAOS_SECONDS` makes it longer, `CONC_CHAOS_SEED` draws the kills again.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { ClusterQueue } from "../../lib/cluster/queue.ts";
import { seededRandom } from "../../lib/random.ts";
import { contradictions, type Fact } from "../chaos_history.ts";
import { brokerFaultTest, control, emptied, Link, uniqueName, withStore } from "./broker.ts";

const SECONDS = Number(Deno.env.get("CONC_CHAOS_SECONDS") ?? 8);
const SEED = Number(Deno.env.get("CONC_CHAOS_SEED") ?? Math.floor(Math.random() * 2 ** 31));
/** Who is there, and whether its way to the broker is the one that is cut. */
const ACTORS = [
  { role: "putter", isFar: false },
  { role: "putter", isFar: true },
  { role: "worker", isFar: false },
  { role: "worker", isFar: true },
];

brokerFaultTest(
  `a queue keeps its promises while workers are killed, the broker restarts and a link is cut (seed ${SEED})`,
  async (url) => {
    const directory = await Deno.makeTempDir({ prefix: "conc-chaos-" });
    const random = seededRandom(SEED);
    const name = uniqueName();
    await using link = new Link(url, "?heartbeat=1");
    const facts: Fact[] = [];
    const now = () => performance.timeOrigin + performance.now();
    let started = 0;
    const start = ({ role, isFar }: { role: string; isFar: boolean }) =>
      new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", "--no-check", "--no-lock", import.meta.resolve("./chaos_actor.ts"), role],
          ...[isFar ? link.url : `${url}?heartbeat=1`, name, `${directory}/history-${++started}`],
          String(Math.floor(random() * 2 ** 31)),
        ],
        stdin: "piped",
        stdout: "null",
      }).spawn();
    await withStore(url, async (store) => void await ClusterQueue.open(store, name));
    const actors = ACTORS.map((actor) => ({ ...actor, child: start(actor) }));
    const outage = async (begin: () => Promise<void>, end: () => Promise<void>) => {
      const atMs = now();
      await begin();
      await end();
      facts.push({ pid: 0, atMs, step: "outage", untilMs: now() });
    };
    const outages = async () => {
      const restart = (way: "stop" | "kill") =>
        outage(async () => void await control(way), async () => void await control("start"));
      await delay(SECONDS * 250);
      await restart("kill");
      await delay(SECONDS * 150);
      await outage(() => Promise.resolve(link.cut()), async () => {
        await delay(4_000);
        link.mend();
      });
      await delay(SECONDS * 150);
      await restart("stop");
      await delay(SECONDS * 250);
    };
    let isOver = false;
    const kills = async () => {
      while (!isOver) {
        await delay(200 + random() * 1_500);
        const actor = actors[Math.floor(random() * actors.length)]!;
        facts.push({ pid: actor.child.pid, atMs: now(), step: "killed" });
        actor.child.kill("SIGKILL");
        await actor.child.status;
        await actor.child.stdin.close().catch(() => {});
        actor.child = start(actor);
      }
    };
    const killing = kills();
    await outages();
    isOver = true;
    await killing;
    const end = async (role: string) => {
      for (const actor of actors) {
        if (actor.role !== role) continue;
        await actor.child.stdin.close();
        assertEquals((await actor.child.status).code, 0, "no process may fail");
      }
    };
    await end("putter");
    await withStore(url, async (store) => {
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
    for (const step of ["put", "received", "acked", "given back"] as const) {
      const count = facts.filter((fact) => fact.step === step).length;
      assert(count > 10, `${count} x ${step}: too little happened to say anything`);
    }
    await Deno.remove(directory, { recursive: true });
  },
);
