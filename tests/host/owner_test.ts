import { assert, assertEquals } from "@std/assert";
import { HostEvent } from "../../lib/host/event.ts";
import { addLease } from "../../lib/host/leases.ts";
import { HostSemaphore } from "../../lib/host/semaphore.ts";
import { LEASE_VARIABLE } from "../../lib/process/guarded.ts";
import { thisProcess } from "../../lib/process/identity.ts";
import { eventually, lives } from "../cli/conc.ts";
import { names } from "../helpers.ts";
import { lineUpAs, Sleeper, withStore } from "./stores.ts";

const ignore = Deno.build.os !== "linux";

Deno.test("Owners.lives() is true of a process until it ends, and of no other with its pid", async () => {
  await withStore(async (store) => {
    await using sleeper = new Sleeper();
    const { owners } = store;
    const owner = store.write(() => owners.idOf(sleeper.identity));
    lineUpAs(store, { line: "sem:a", owner: sleeper.identity });
    const reused = store.write(() =>
      owners.idOf({ ...sleeper.identity, started: sleeper.identity.started - 1 })
    );
    assertEquals([owners.lives(owner), owners.lives(reused), owners.lives(9_999)], [true, ignore, false]);
    assertEquals(store.write(() => owners.idOf(sleeper.identity)), owner);
    await sleeper.kill();
    assertEquals(owners.lives(owner), false);
  });
});

Deno.test("Owners.lives() believes a process of another pid namespace as long as it shows life", async () => {
  await withStore((store) => {
    const { owners } = store;
    const owner = store.write(() => owners.idOf({ ...thisProcess(), namespace: "pid:[1]" }));
    assert(owners.lives(owner));
    store.run("UPDATE owners SET beat = beat - 60000 WHERE id = ?", owner);
    assert(!owners.lives(owner));
  });
});

Deno.test("Owners.holds(): a lease is held by its owner, until its time, or by the job that it guards", async () => {
  await withStore(async (store) => {
    const { owners } = store;
    await using sleeper = new Sleeper();
    const owner = store.write(() => owners.idOf(sleeper.identity));
    const token = store.write(() => addLease(store, { object: "sem:a", owner, weight: 1 }));
    const { id } = store.get<{ id: number }>("SELECT id FROM leases WHERE token = ?", token)!;
    assert(owners.holds(id));
    await using job = new Sleeper({ [LEASE_VARIABLE]: `0123456789abcdef:${token}` });
    await sleeper.kill();
    assert(!owners.holds(id), "it guards no job");
    store.run("UPDATE leases SET job = 1 WHERE id = ?", id);
    // Its variables are there once it is executed.
    if (!ignore) await eventually("the job carries the lease", () => owners.holds(id));
    store.run("UPDATE leases SET jobPid = ?, jobStarted = ? WHERE id = ?", job.pid, job.identity.started, id);
    assert(owners.holds(id));
    store.run("UPDATE leases SET expires = 1 WHERE id = ?", id);
    assert(!owners.holds(id));
    store.run("UPDATE leases SET expires = NULL WHERE id = ?", id);
    await job.kill();
    assert(!lives(job.pid));
    assert(!owners.holds(id));
  });
});

Deno.test("Owners.idOf() sweeps up who neither holds nor waits any more", async () => {
  await withStore(async (store) => {
    await using one = new Sleeper();
    await using two = new Sleeper();
    const semaphore = new HostSemaphore(store, "a", { permits: 3 });
    const token = await semaphore.lend({ owner: one.identity });
    store.write(() => store.owners.idOf(two.identity));
    const pids = () => store.all<{ pid: number }>("SELECT pid FROM owners ORDER BY id").map(({ pid }) => pid);
    assertEquals(pids(), [one.pid, two.pid]);
    semaphore.release(token);
    store.write(() => store.owners.idOf());
    assertEquals(pids(), [Deno.pid]);
  });
});

Deno.test("Owners.idOf() sweeps up what a dead one was granted and did not live to know", async () => {
  await withStore(async (store, directory) => {
    await using dead = new Sleeper();
    await using alive = new Sleeper();
    const event = new HostEvent(store, "ready");
    const gone = lineUpAs(store, { line: "event:ready", owner: dead.identity });
    const kept = lineUpAs(store, { line: "event:ready", owner: alive.identity });
    await Deno.mkdir(`${directory}/conc.db-wake`);
    await Deno.writeTextFile(`${directory}/conc.db-wake/${gone}`, "");
    event.set();
    await dead.kill();
    store.write(() => store.owners.idOf());
    assertEquals(store.all<{ id: number }>("SELECT id FROM waiters").map(({ id }) => id), [kept]);
    assertEquals(names(`${directory}/conc.db-wake`), []);
    const pids = store.all<{ pid: number }>("SELECT pid FROM owners ORDER BY id").map(({ pid }) => pid);
    assertEquals(pids, [alive.pid, Deno.pid]);
  });
});

Deno.test("Owners.bury() gives back what a dead one had, but for what its job still needs", async () => {
  await withStore(async (store) => {
    const { owners } = store;
    await using dead = new Sleeper();
    await using job = new Sleeper();
    const semaphore = new HostSemaphore(store, "a", { permits: 3 });
    const owner = store.write(() => owners.idOf(dead.identity));
    const [, kept] = [1, 2].map(() =>
      store.write(() => addLease(store, { object: "sem:a", owner, weight: 1 }))
    );
    store.run(
      "UPDATE leases SET job = 1, jobPid = ?, jobStarted = ? WHERE token = ?",
      ...[job.pid, job.identity.started, kept!],
    );
    await dead.kill();
    owners.bury(owner);
    assertEquals(semaphore.status().holders.map(({ token }) => token), [kept]);
    await job.kill();
    owners.bury(owner);
    assertEquals(semaphore.statistics().available, 3);
    assertEquals(store.all("SELECT * FROM owners WHERE id = ?", owner), []);
  });
});
