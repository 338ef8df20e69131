import { assertEquals, assertThrows } from "@std/assert";
import { BrokenLeaseError, NotHeldError } from "../../lib/errors.ts";
import { HostLock } from "../../lib/host/lock.ts";
import { withStore } from "./stores.ts";

Deno.test("HostLock.acquire({ shared }) lets in who shares, and nobody overtakes who does not", async () => {
  await withStore(async (store) => {
    const lock = new HostLock(store, "a");
    const one = await lock.acquire({ shared: true });
    const two = await lock.acquire({ shared: true });
    assertEquals(lock.tryAcquire(), undefined);
    const alone = lock.acquire({ command: "alone" });
    assertEquals(lock.tryAcquire({ shared: true }), undefined);
    const { holders, waiters } = lock.status();
    assertEquals(holders.map(({ shared, pid }) => [shared, pid]), [[true, Deno.pid], [true, Deno.pid]]);
    assertEquals(waiters.map(({ shared, command }) => [shared, command]), [[false, "alone"]]);
    one.release();
    two.release();
    (await alone).release();
    assertEquals(lock.status(), { held: false, waiting: 0, holders: [], waiters: [] });
  });
});

Deno.test("HostLock: a lease is given back once; one that was taken away says so", async () => {
  await withStore(async (store) => {
    const lock = new HostLock(store, "a");
    const lease = await lock.acquire();
    lease.release();
    assertThrows(() => lease.release(), NotHeldError);
    const taken = await lock.acquire();
    store.run("DELETE FROM leases");
    assertThrows(() => taken.release(), BrokenLeaseError);
  });
});

Deno.test("HostLock.names() are those that are held or waited for", async () => {
  await withStore(async (store) => {
    assertEquals(HostLock.names(store), []);
    using _b = await new HostLock(store, "b").acquire();
    using _a = await new HostLock(store, "a:1").acquire();
    assertEquals(HostLock.names(store), ["a:1", "b"]);
  });
});
