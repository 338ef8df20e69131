/**
 * Putters and workers on two hosts are killed at random moments, and the link of one host is cut again and again; what they have written down is checked
 * afterwards. `CONC_CHAOS_SECONDS` makes it longer, `CONC_CHAOS_SEED` draws the kills again.
 *
 * @module
 */

import { assert, assertEquals, assertLess } from "@std/assert";
import { delay } from "@std/async/delay";
import { ClusterQueue } from "../../lib/cluster/queue.ts";
import { seededRandom } from "../../lib/random.ts";
import { contradictions, type Fact } from "../chaos_history.ts";
import { inDirectory } from "../cli/conc.ts";
import { eventually } from "../conformance/waits.ts";
import { BROKER_URL, uniqueName, withStore } from "./broker.ts";
import { type Host, hostsTest } from "./two_hosts.ts";

const SECONDS = Number(Deno.env.get("CONC_CHAOS_SECONDS") ?? 8);
const SEED = Number(Deno.env.get("CONC_CHAOS_SEED") ?? Math.floor(Math.random() * 2 ** 31));
const ACTOR = [
  Deno.execPath(),
  "run",
  "-A",
  "--no-check",
  "--no-lock",
  import.meta.resolve("./chaos_actor.ts"),
];
/** Longer than a cut link takes to be noticed at both ends, with a heartbeat of 1 s. */
const CUT_MS = 4_000;

hostsTest(
  `a queue keeps its promises while workers on two hosts are killed, and cut off (seed ${SEED})`,
  (...hosts) =>
    inDirectory(async (directory) => {
      const random = seededRandom(SEED);
      const name = uniqueName();
      const facts: Fact[] = [];
      const now = () => performance.timeOrigin + performance.now();
      let started = 0;
      const start = ({ role, host }: { role: string; host: Host }) =>
        host.command([
          ...[...ACTOR, role, `${host.url}?heartbeat=1`, name, `${directory}/history-${++started}`],
          String(Math.floor(random() * 2 ** 31)),
        ], { stdin: "piped", stdout: "null" }).spawn();
      await withStore(BROKER_URL!, async (store) => void await ClusterQueue.open(store, name));
      const actors = ["putter", "worker", "worker"].flatMap((role) => hosts.map((host) => ({ role, host })))
        .map((
          actor,
        ) => ({
          ...actor,
          child: start(actor),
        }));
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
      const endMs = now() + SECONDS * 1_000;
      while (now() < endMs) {
        await delay(500 + random() * 1_000);
        const atMs = now();
        await hosts[1].cut();
        await delay(CUT_MS);
        await hosts[1].mend();
        facts.push({ pid: 0, atMs, step: "outage", untilMs: now() });
      }
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
      await withStore(BROKER_URL!, async (store) => {
        const queue = await ClusterQueue.open(store, name);
        // As long as it gets less, a busy machine may take its time.
        for (let left = Infinity; left > 0;) {
          await eventually(async () => {
            const { size, leased } = await queue.status();
            assertLess(size + leased, left);
            left = size + leased;
          });
        }
        await end("worker");
        await queue.delete();
      });
      for await (const { name } of Deno.readDir(directory)) {
        if (!name.startsWith("history-")) continue;
        // The last line of one that was killed may be cut.
        const text = await Deno.readTextFile(`${directory}/${name}`);
        for (const line of text.split("\n").slice(0, -1)) facts.push(JSON.parse(line));
      }
      assertEquals(contradictions(facts), []);
      for (const step of ["put", "received", "acked", "given back"] as const) {
        const count = facts.filter((fact) => fact.step === step).length;
        assert(count > 10, `${count} x ${step}: too little happened to say anything`);
      }
    }),
);
