/**
 * Holders, putters and workers are killed at random moments, and what they have written down is checked afterwards. The kills are drawn
 * from a seed, which is printed when the test fails; `CONC_CHAOS_SECONDS` makes it longer, `CONC_CHAOS_SEED` draws them again.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { HostLock } from "../../lib/host/lock.ts";
import { HostQueue } from "../../lib/host/queue.ts";
import { HostSemaphore } from "../../lib/host/semaphore.ts";
import { Store } from "../../lib/host/store.ts";
import { seededRandom } from "../../lib/random.ts";
import { eventually } from "../conformance/waits.ts";
import { CHAOS_PERMITS, contradictions, type Fact } from "../chaos_history.ts";

const SECONDS = Number(Deno.env.get("CONC_CHAOS_SECONDS") ?? 6);
const SEED = Number(Deno.env.get("CONC_CHAOS_SEED") ?? Math.floor(Math.random() * 2 ** 31));
const ROLES = ["holder", "holder", "holder", "locker", "locker", "putter", "worker", "worker"];

Deno.test(`the primitives of the host reach keep their promises while processes are killed (seed ${SEED})`, async () => {
  const directory = await Deno.makeTempDir({ prefix: "conc-chaos-" });
  const path = `${directory}/conc.db`;
  const random = seededRandom(SEED);
  const kills: Fact[] = [];
  let started = 0;
  const start = (role: string) => {
    started += 1;
    return new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--allow-all", "--no-check", "--no-lock", import.meta.resolve("./chaos_actor.ts")],
        ...[role, path, `${directory}/history-${started}`, String(Math.floor(random() * 2 ** 31))],
      ],
      stdin: "piped",
      stdout: "null",
    }).spawn();
  };
  const actors = ROLES.map((role) => ({ role, child: start(role) }));
  const endMs = performance.now() + SECONDS * 1_000;
  while (performance.now() < endMs) {
    await new Promise((resolve) => setTimeout(resolve, 30 + random() * 250));
    const actor = actors[Math.floor(random() * actors.length)]!;
    kills.push({ pid: actor.child.pid, atMs: performance.timeOrigin + performance.now(), step: "killed" });
    actor.child.kill("SIGKILL");
    await actor.child.status;
    await actor.child.stdin.close().catch(() => {});
    actor.child = start(actor.role);
  }
  for (const { role, child } of actors) if (role !== "worker") await child.stdin.close();
  const codes = await Promise.all(
    actors.map(async ({ role, child }) => role === "worker" ? 0 : (await child.status).code),
  );
  using store = new Store(path);
  const queue = new HostQueue(store, "chaos");
  await eventually(() => {
    const { size, leased } = queue.status();
    assertEquals({ size, leased }, { size: 0, leased: 0 });
  });
  for (const { role, child } of actors) {
    if (role !== "worker") continue;
    await child.stdin.close();
    codes.push((await child.status).code);
  }
  assertEquals(codes.filter((code) => code !== 0), [], "no process may fail");

  // Nobody is left who could hold or wait: everything is free.
  assertEquals(new HostSemaphore(store, "chaos").status(), {
    ...{ permits: CHAOS_PERMITS, available: CHAOS_PERMITS, waiting: 0, holders: [], waiters: [] },
  });
  assertEquals(new HostLock(store, "chaos").status(), { held: false, waiting: 0, holders: [], waiters: [] });

  const facts: Fact[] = [...kills];
  for await (const { name } of Deno.readDir(directory)) {
    if (!name.startsWith("history-")) continue;
    const text = await Deno.readTextFile(`${directory}/${name}`);
    // The last line of one that was killed may be cut.
    for (const line of text.split("\n").slice(0, -1)) facts.push(JSON.parse(line));
  }
  const count = (step: Fact["step"]) => facts.filter((fact) => fact.step === step).length;
  assertEquals(contradictions(facts), []);
  for (const step of ["holds", "put", "received", "acked"] as const) {
    assertEquals(count(step) > 10, true, `${count(step)} x ${step}: too little happened to say anything`);
  }
  await Deno.remove(directory, { recursive: true });
});
