import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { NotHeldError, UsageError } from "../../lib/errors.ts";
import { HostSemaphore } from "../../lib/host/semaphore.ts";
import { Sleeper, withStore } from "./stores.ts";

Deno.test("new HostSemaphore() takes the number of permits that the name has; two who disagree are told", async () => {
  await withStore(async (store) => {
    assertEquals(new HostSemaphore(store, "a").statistics().permits, 1);
    const five = new HostSemaphore(store, "a", { permits: 5 });
    const lease = await five.acquire();
    assertEquals(new HostSemaphore(store, "a").statistics().permits, 5);
    assertThrows(
      () => new HostSemaphore(store, "a", { permits: 4 }),
      UsageError,
      "has 5 permits and is in use",
    );
    lease.release();
    assertEquals(new HostSemaphore(store, "a", { permits: 4 }).statistics().permits, 4);
    assertThrows(() => new HostSemaphore(store, "a", { permits: 0 }), RangeError);
  });
});

Deno.test("a semaphore whose holders are all dead is idle", async () => {
  await withStore(async (store) => {
    await using owner = new Sleeper();
    await new HostSemaphore(store, "a", { permits: 5 }).lend({ owner: owner.identity });
    assertThrows(() => new HostSemaphore(store, "a", { permits: 4 }), UsageError);
    await owner.kill();
    assertEquals(new HostSemaphore(store, "a", { permits: 4 }).statistics().permits, 4);
  });
});

Deno.test("HostSemaphore.lend() gives permits to a process, or to time; release() takes them back once", async () => {
  await withStore(async (store) => {
    const semaphore = new HostSemaphore(store, "a", { permits: 3 });
    await using owner = new Sleeper();
    const token = await semaphore.lend({ owner: owner.identity, weight: 2 });
    assertMatch(token, /^[0-9a-f]{16}$/);
    assertEquals(semaphore.status().holders.map(({ pid, weight }) => [pid, weight]), [[owner.pid, 2]]);
    assertThrows(() => new HostSemaphore(store, "b").release(token), NotHeldError);
    semaphore.release(token);
    assertThrows(() => semaphore.release(token), NotHeldError, "released already");
    await semaphore.lend({ ttlMs: 30, weight: 3 });
    assertEquals(semaphore.status().holders.map(({ pid }) => pid), [undefined]);
    (await semaphore.acquire()).release();
    assertEquals(semaphore.statistics().available, 3);
  });
});

Deno.test("HostSemaphore.resize() serves who fits now and refuses who never will", async () => {
  await withStore(async (store) => {
    const semaphore = new HostSemaphore(store, "a", { permits: 3 });
    const lease = await semaphore.acquire({ weight: 2 });
    const heavy = semaphore.acquire({ weight: 3 });
    const light = semaphore.acquire();
    semaphore.resize(2);
    await assertRejects(() => heavy, RangeError, "at most the number of permits, 2");
    lease.release();
    (await light).release();
    semaphore.resize(5);
    assertEquals(semaphore.statistics(), { permits: 5, available: 5, waiting: 0 });
  });
});

Deno.test("a wall clock that steps back changes nothing but what is shown", async () => {
  await withStore(async (store) => {
    const now = Date.now;
    const semaphore = new HostSemaphore(store, "a");
    const token = await semaphore.lend({ ttlMs: 3_600_000 });
    Date.now = () => now() - 3_600_000;
    try {
      assertEquals(semaphore.tryAcquire(), undefined);
      const waiting = semaphore.acquire();
      semaphore.release(token);
      (await waiting).release();
      const short = await semaphore.lend({ ttlMs: 20 });
      (await semaphore.acquire()).release();
      assertThrows(() => semaphore.release(short), NotHeldError);
    } finally {
      Date.now = now;
    }
  });
});
