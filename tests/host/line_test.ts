import { assertEquals, assertRejects } from "@std/assert";
import { TimeoutError } from "../../lib/errors.ts";
import { HostSemaphore } from "../../lib/host/semaphore.ts";
import { names } from "../helpers.ts";
import { lineUpAs, Sleeper, withStore } from "./stores.ts";

Deno.test("a wait that is cancelled or times out changes nothing, and lets those behind it go on", async () => {
  await withStore(async (store) => {
    const semaphore = new HostSemaphore(store, "a", { permits: 2 });
    const held = await semaphore.acquire();
    const controller = new AbortController();
    const heavy = semaphore.acquire({ weight: 2, signal: controller.signal });
    const light = semaphore.acquire();
    await assertRejects(() => semaphore.acquire({ timeoutMs: 20 }), TimeoutError, "the semaphore 'a'");
    assertEquals(semaphore.statistics(), { permits: 2, available: 1, waiting: 2 });
    controller.abort(new Error("enough"));
    await assertRejects(() => heavy, Error, "enough");
    (await light).release();
    held.release();
    assertEquals(semaphore.statistics(), { permits: 2, available: 2, waiting: 0 });
    assertEquals(store.all("SELECT * FROM waiters"), []);
  });
});

for (const watch of [true, false]) {
  const how = watch ? "that watches" : "that only looks now and then";
  Deno.test(`a waiter ${how} is served when the holder gives back, and when the holder dies`, async () => {
    await withStore(async (store) => {
      const semaphore = new HostSemaphore(store, "a");
      const lease = await semaphore.acquire();
      const waiting = semaphore.acquire();
      lease.release();
      (await waiting).release();
      await using owner = new Sleeper();
      await semaphore.lend({ owner: owner.identity });
      const next = semaphore.acquire();
      await owner.kill();
      (await next).release();
      assertEquals(semaphore.statistics(), { permits: 1, available: 1, waiting: 0 });
    }, { watch });
  });
}

Deno.test("who is gone from the middle of the line is passed over", async () => {
  await withStore(async (store, directory) => {
    const semaphore = new HostSemaphore(store, "a");
    const lease = await semaphore.acquire();
    await using gone = new Sleeper();
    const first = semaphore.acquire();
    const second = lineUpAs(store, { line: "sem:a", owner: gone.identity });
    await Deno.mkdir(`${directory}/conc.db-wake`, { recursive: true });
    await Deno.writeTextFile(`${directory}/conc.db-wake/${second}`, "");
    const third = semaphore.acquire();
    await gone.kill();
    lease.release();
    (await first).release();
    (await third).release();
    assertEquals(semaphore.statistics(), { permits: 1, available: 1, waiting: 0 });
    assertEquals(names(`${directory}/conc.db-wake`), []);
  });
});

Deno.test("who is gone from the head of the line keeps nobody out, not even who does not wait", async () => {
  await withStore(async (store) => {
    const semaphore = new HostSemaphore(store, "a", { permits: 2 });
    using _held = await semaphore.acquire();
    await using gone = new Sleeper();
    lineUpAs(store, { line: "sem:a", owner: gone.identity, request: 2 });
    assertEquals(semaphore.tryAcquire(), undefined);
    await gone.kill();
    semaphore.tryAcquire()!.release();
  });
});

Deno.test("who was granted and died before it knew has what it was granted taken back", async () => {
  await withStore(async (store) => {
    const semaphore = new HostSemaphore(store, "a");
    const lease = await semaphore.acquire();
    await using gone = new Sleeper();
    lineUpAs(store, { line: "sem:a", owner: gone.identity });
    lease.release();
    assertEquals(semaphore.status().holders.map(({ pid }) => pid), [gone.pid]);
    await gone.kill();
    (await semaphore.acquire({ timeoutMs: 10_000 })).release();
    assertEquals(semaphore.status().holders, []);
    assertEquals(store.all("SELECT * FROM waiters"), []);
  });
});
