/**
 * What becomes of what is held and waited for when a process dies, a link is cut, or the broker restarts.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertLess,
  assertLessOrEqual,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { ClusterEvent } from "../../lib/cluster/event.ts";
import type { ClusterLease } from "../../lib/cluster/lease.ts";
import { ClusterLock } from "../../lib/cluster/lock.ts";
import { ClusterSemaphore } from "../../lib/cluster/semaphore.ts";
import { ClusterStore, objectName } from "../../lib/cluster/store.ts";
import { BrokenLeaseError, SystemError } from "../../lib/errors.ts";
import { eventually, follow, pause, reaching } from "../conformance/waits.ts";
import { brokerFaultTest, brokerTest, control, Link, uniqueName, withStore } from "./broker.ts";

/** What a lock and a semaphore of one permit have in common. */
interface Held {
  acquire(): Promise<ClusterLease>;
  tryAcquire(): Promise<ClusterLease | undefined>;
  statistics(): Promise<{ waiting: number }>;
}

/** Both kinds of object that one at a time can hold. */
const KINDS: Readonly<Record<"lock" | "semaphore", (store: ClusterStore, name: string) => Promise<Held>>> = {
  lock: (store: ClusterStore, name: string) => ClusterLock.open(store, name),
  semaphore: (store: ClusterStore, name: string) => ClusterSemaphore.open(store, name),
};

/** RabbitMQ 3.10 forgets what it was told of a queue if it is killed within half a second of the queue's making. */
const REMEMBERED_MS = 1_000;

for (const kind of ["lock", "semaphore"] as const) {
  const open = KINDS[kind];

  brokerTest(
    `${kind}: the death of a holder's process lets the next one in`,
    (url) =>
      withStore(url, async (store) => {
        const name = uniqueName();
        const object = await open(store, name);
        const holder = new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--no-check", fromFileUrl(import.meta.resolve("./holder.ts")), url, name, kind],
          ...{ stdin: "piped", stdout: "piped" },
        }).spawn();
        const reader = holder.stdout.getReader();
        const fence = Number(new TextDecoder().decode((await reader.read()).value));
        assert(fence > 0);
        const next = follow(object.acquire());
        await reaching(object, { waiting: 1 });
        assertEquals(next.state, "waiting");
        holder.kill("SIGKILL");
        const lease = await next.promise;
        assertLess(fence, lease.fence);
        lease.release();
        await holder.status;
        await holder.stdin.close().catch(() => {});
        await reader.cancel();
      }),
  );

  brokerTest(`${kind}: a holder is told that its link is cut before the next one is let in`, async (url) => {
    await using link = new Link(url, "?heartbeat=1");
    const name = uniqueName();
    await withStore(url, async (store) => {
      await using far = await ClusterStore.open(link.url);
      const held = await (await open(far, name)).acquire();
      const object = await open(store, name);
      const next = object.acquire();
      await reaching(object, { waiting: 1 });
      link.cut();
      const lease = await next;
      assertEquals(held.lost.aborted, true);
      assertLess(held.fence, lease.fence);
      assertThrows(() => held.release(), BrokenLeaseError, "no sign of life");
      lease.release();
    });
  });

  brokerTest(`${kind}: a waiter whose link is cut goes on waiting once it is mended`, async (url) => {
    await using link = new Link(url, "?heartbeat=1");
    const name = uniqueName();
    await withStore(url, async (store) => {
      await using far = await ClusterStore.open(link.url);
      const object = await open(store, name);
      const holder = await object.acquire();
      const waiting = follow((await open(far, name)).acquire());
      await reaching(object, { waiting: 1 });
      link.cut();
      // The broker takes it for dead.
      await reaching(object, { waiting: 0 });
      link.mend();
      await reaching(object, { waiting: 1 });
      assertEquals(waiting.state, "waiting");
      holder.release();
      (await waiting.promise).release();
    });
  });

  brokerFaultTest(`${kind}: a restart of the broker loses no waiter and lets no two in`, async (url) => {
    const name = uniqueName();
    const stores = await Promise.all(Array.from({ length: 4 }, () => ClusterStore.open(url)));
    const objects = await Promise.all(stores.map((store) => open(store, name)));
    const holder = await objects[0]!.acquire();
    const fences = [holder.fence];
    let inside = 0;
    const waits = objects.slice(1).map(async (object) => {
      const lease = await object.acquire();
      assertEquals(++inside, 1);
      fences.push(lease.fence);
      await pause(5);
      inside -= 1;
      lease.release();
    });
    await reaching(objects[0]!, { waiting: 3 });
    await pause(REMEMBERED_MS);
    await control("kill");
    await eventually(() => assertEquals(holder.lost.aborted, true));
    assertEquals(inside, 0);
    await control("start");
    await Promise.all(waits);
    assertEquals(fences, fences.toSorted((one, other) => one - other));
    assertEquals(new Set(fences).size, 4);
    for (const store of stores) await store.close();
  });

  brokerTest(
    `${kind}: who shows life keeps what it holds, and those who wait are served after`,
    (url) =>
      withStore(url, async (store) => {
        const name = uniqueName();
        const object: Held = kind === "lock"
          ? await ClusterLock.open(store, name, { renewMs: 10 })
          : await ClusterSemaphore.open(store, name, { renewMs: 10 });
        const holder = await object.acquire();
        const order: number[] = [];
        const waits = [0, 1, 2].map(async (index) => {
          const lease = await object.acquire();
          order.push(index);
          lease.release();
        });
        await reaching(object, { waiting: 3 });
        for (let round = 0; round < 20; round++) {
          await pause(10);
          assertEquals(await object.tryAcquire(), undefined);
        }
        assertEquals(order, []);
        holder.release();
        await Promise.all(waits);
        assertEquals(order.sort(), [0, 1, 2]);
      }),
  );
}

brokerTest(
  "ClusterSemaphore: heavy and light holders show life side by side",
  (url) =>
    withStore(url, async (store) => {
      const semaphore = await ClusterSemaphore.open(store, uniqueName(), { permits: 6, renewMs: 5 });
      const leases: ClusterLease[] = [];
      for (const weight of [3, 1, 2]) leases.push(await semaphore.acquire({ weight }));
      const waiting = follow(semaphore.acquire({ weight: 4 }));
      for (let round = 0; round < 30; round++) {
        await pause(5);
        assertEquals(leases.some(({ lost }) => lost.aborted), false);
        assertEquals(waiting.state, "waiting");
      }
      for (const lease of leases) lease.release();
      (await waiting.promise).release();
      await reaching(semaphore, { available: 6, waiting: 0 });
    }),
);

brokerTest(
  "ClusterSemaphore: a token that a crash left counts for nothing",
  (url) =>
    withStore(url, async (store) => {
      const name = uniqueName();
      const semaphore = await ClusterSemaphore.open(store, name, { permits: 2 });
      const channel = await (await store.connection()).channel("a semaphore");
      const routingKey = objectName("semaphore", name, "permits");
      for (const token of ["2", "17"]) await channel.publish({ routingKey }, new TextEncoder().encode(token));
      const leases = [await semaphore.acquire(), await semaphore.acquire()];
      assertEquals(await semaphore.tryAcquire(), undefined);
      for (const lease of leases) lease.release();
      await reaching(semaphore, { available: 2, waiting: 0 });
    }),
);

brokerTest(
  "ClusterSemaphore never lets in more than there are permits, whichever links are cut",
  async (url) => {
    const permits = 3;
    const name = uniqueName();
    let inside = 0;
    let granted = 0;
    let last = 0;
    /** Takes and gives back until it was had so many times. */
    const work = async (index: number) => {
      await using link = new Link(url, "?heartbeat=1");
      await using store = await ClusterStore.open(link.url);
      const semaphore = await ClusterSemaphore.open(store, name, { permits });
      for (let round = 0; round < 12; round++) {
        const weight = 1 + (index + round) % permits;
        const lease = await semaphore.acquire({ weight });
        inside += weight;
        granted += 1;
        assertLessOrEqual(inside, permits);
        last = Math.max(last, lease.fence);
        const { promise: over, resolve } = Promise.withResolvers<void>();
        lease.lost.addEventListener("abort", () => resolve(), { once: true });
        if ((index + round) % 7 === 0) {
          link.cut();
          await over;
          link.mend();
        } else await pause(3);
        inside -= weight;
        if (!lease.lost.aborted) lease.release();
      }
    };
    await Promise.all([0, 1, 2, 3].map(work));
    assertEquals(granted, 48);
    assertLessOrEqual(48, last);
    await withStore(url, async (store) => {
      await reaching(await ClusterSemaphore.open(store, name), { permits, available: permits, waiting: 0 });
    });
  },
);

brokerTest("ClusterEvent: a waiter gets the pulse that came while its link was cut", async (url) => {
  await using link = new Link(url, "?heartbeat=1");
  const name = uniqueName();
  await withStore(url, async (store) => {
    await using far = await ClusterStore.open(link.url);
    const event = new ClusterEvent(store, name);
    const waiting = new ClusterEvent(far, name).wait();
    await reaching(event, { waiting: 1 });
    link.cut();
    await event.pulse("missed");
    await event.pulse("later");
    await reaching(event, { waiting: 0 });
    link.mend();
    assertEquals(await waiting, { generation: 1, data: "missed" });
  });
});

brokerFaultTest(
  "ClusterEvent: a restart of the broker loses neither the state nor who waits",
  (url) =>
    withStore(url, async (store) => {
      const [set, waited] = [new ClusterEvent(store, uniqueName()), new ClusterEvent(store, uniqueName())];
      await set.set("stays");
      const waiting = follow(waited.wait());
      await reaching(waited, { waiting: 1 });
      await pause(REMEMBERED_MS);
      await control("kill");
      await control("start");
      assertEquals(await set.wait({ timeoutMs: 20_000 }), { generation: 1, data: "stays" });
      await reaching(waited, { waiting: 1 });
      assertEquals(waiting.state, "waiting");
      await waited.set("now");
      assertEquals((await waiting.promise).data, "now");
    }),
);

brokerFaultTest(
  "a broker that is killed in the moment in which it is used first can be used again",
  (url) =>
    withStore(url, async (store) => {
      // As if it had just been installed.
      for (const step of ["stop_app", "reset", "start_app"]) await control("ctl", step);
      const acquiring = ClusterLock.named(store, uniqueName()).acquire();
      await withStore(url, (other) =>
        eventually(async () => {
          const channel = await (await other.connection()).channel("who makes the first stream");
          const looking = channel.ask((raw) =>
            raw.queueDeclare({ queue: "conc.names/maker", passive: true })
          );
          await assertRejects(() => looking, SystemError, "another connection has it");
        }));
      await control("kill");
      await control("start");
      (await acquiring).release();
      assertEquals((await (await ClusterLock.open(store, uniqueName())).acquire()).fence > 0, true);
    }),
);
