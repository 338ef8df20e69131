import { assertEquals, assertRejects } from "@std/assert";
import { TimeoutError } from "../../lib/errors.ts";
import { addLease } from "../../lib/host/leases.ts";
import { HostRLock } from "../../lib/host/rlock.ts";
import { Sleeper, withStore } from "./stores.ts";

Deno.test("HostRLock is taken again by its process, and free after as many releases", async () => {
  await withStore(async (store) => {
    const lock = new HostRLock(store, "a");
    const leases = [await lock.acquire(), await lock.acquire(), lock.tryAcquire()!];
    assertEquals(lock.statistics(), { held: true, depth: 3, waiting: 0 });
    for (const lease of leases) lease.release();
    assertEquals(lock.statistics(), { held: false, depth: 0, waiting: 0 });
  });
});

Deno.test("HostRLock of another process is waited for, and comes to us if that dies", async () => {
  await withStore(async (store) => {
    const lock = new HostRLock(store, "a");
    await using other = new Sleeper();
    store.write(() =>
      addLease(store, { object: "rlock:a", owner: store.owners.idOf(other.identity), weight: 1 })
    );
    assertEquals(lock.tryAcquire(), undefined);
    await assertRejects(() => lock.acquire({ timeoutMs: 20 }), TimeoutError, "the reentrant lock 'a'");
    const waiting = lock.acquire();
    await other.kill();
    (await waiting).release();
    assertEquals(lock.statistics(), { held: false, depth: 0, waiting: 0 });
  });
});

Deno.test("HostRLock.acquire() refuses a limit that is none also when it need not wait", async () => {
  await withStore(async (store) => {
    using _lease = await new HostRLock(store, "a").acquire();
    await assertRejects(() => new HostRLock(store, "a").acquire({ timeoutMs: -1 }), RangeError);
  });
});
