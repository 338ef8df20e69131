import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BrokenLeaseError, SystemError, TimeoutError } from "../../lib/errors.ts";
import { ThreadEvent } from "../../lib/thread/event.ts";
import { ThreadLock } from "../../lib/thread/lock.ts";
import { Monitor } from "../../lib/thread/monitor.ts";
import { ThreadQueue } from "../../lib/thread/queue.ts";
import { ThreadRLock } from "../../lib/thread/rlock.ts";
import { ThreadSemaphore } from "../../lib/thread/semaphore.ts";
import { reaching, settled, start } from "../conformance/waits.ts";
import { Contender } from "./workers.ts";

for (
  const { name, make } of [
    { name: "ThreadLock", make: () => new ThreadLock() },
    { name: "ThreadRLock", make: () => new ThreadRLock() },
  ]
) {
  Deno.test(`${name} lets no update of a counter be lost, however its threads acquire it`, async () => {
    const lock = make();
    const counter = new Int32Array(new SharedArrayBuffer(8));
    using first = new Contender();
    using second = new Contender();
    const times = 3_000;
    for (const how of ["async", "sync", "try"] as const) {
      counter[0] = 0;
      const task = { type: "add", lock: lock.handle, counter, times, how } as const;
      const mine = async () => {
        for (let round = 0; round < 500; round++) {
          using _lease = await lock.acquire();
          counter[0]! += 1;
        }
      };
      await Promise.all([first.do(task), second.do(task), ...how === "try" ? [] : [mine()]]);
      assertEquals(counter[0], 2 * times + (how === "try" ? 0 : 500), how);
    }
    assertEquals(lock.statistics().held, false);
    assertEquals(lock.statistics().waiting, 0);
  });

  Deno.test(`${name} whose holder died tells one who asks, once, and is free then`, async () => {
    const lock = make();
    using contender = new Contender();
    const thread = await contender.do<number>({ type: "hold", lock: lock.handle });
    const waits = [start((signal) => lock.acquire({ signal })), start((signal) => lock.acquire({ signal }))];
    await reaching(lock, { held: true, waiting: 2 });
    assertEquals(lock.breakLeases(thread + 1), 0);
    assertEquals(lock.statistics().waiting, 2);
    assertEquals(lock.breakLeases(thread), 1);
    await settled(waits);
    assert(waits[0]!.reason instanceof BrokenLeaseError);
    (await waits[1]!.promise).release();
    lock.tryAcquire()!.release();
  });

  Deno.test(`${name} whose holder died while nobody waited tells the next who tries`, async () => {
    const lock = make();
    using contender = new Contender();
    const thread = await contender.do<number>({ type: "hold", lock: lock.handle });
    assertEquals(lock.tryAcquire(), undefined);
    lock.breakLeases(thread);
    assertThrows(() => lock.tryAcquire(), BrokenLeaseError);
    lock.tryAcquire()!.release();
    assertEquals(lock.breakLeases(thread), 0);
  });
}

Deno.test("a lease that was broken cannot be released: what it guarded has gone on", async () => {
  const { threadId } = await import("../../lib/thread/thread_id.ts");
  for (const lock of [new ThreadLock(), new ThreadRLock(), new ThreadSemaphore(1)]) {
    const lease = await lock.acquire();
    lock.breakLeases(threadId);
    assertThrows(() => lease.release(), BrokenLeaseError);
    if (!(lock instanceof ThreadSemaphore)) await assertRejects(() => lock.acquire(), BrokenLeaseError);
    (await lock.acquire()).release();
  }
});

Deno.test("ThreadRLock is taken again by its thread, and waited for by others until the last release", async () => {
  const lock = new ThreadRLock();
  const leases = [await lock.acquire(), await lock.acquire(), lock.tryAcquire()!];
  assertEquals(lock.statistics(), { held: true, depth: 3, waiting: 0 });
  using contender = new Contender();
  const other = contender.do({ type: "reenter", lock: lock.handle, times: 2 });
  for (const lease of leases) {
    await reaching(lock, { waiting: 1 });
    lease.release();
  }
  assertEquals(await other, { held: true, depth: 2, waiting: 0 });
  assertEquals(lock.tryAcquire(), undefined);
});

Deno.test("ThreadSemaphore lets in no more than its permits, in all threads together", async () => {
  const semaphore = new ThreadSemaphore(4);
  const inside = new Int32Array(new SharedArrayBuffer(8));
  using first = new Contender();
  using second = new Contender();
  const task = { type: "crowd", semaphore: semaphore.handle, inside, times: 3_000 } as const;
  const most = await Promise.all([first.do<number>(task), second.do<number>(task)]);
  for (const each of most) assert(each <= 4, `${each} at once`);
  assertEquals(semaphore.statistics(), { permits: 4, available: 4, waiting: 0 });
});

Deno.test("ThreadSemaphore gets back what a thread held that died", async () => {
  const semaphore = new ThreadSemaphore(3);
  const { threadId } = await import("../../lib/thread/thread_id.ts");
  await semaphore.acquire({ weight: 2 });
  const wait = start((signal) => semaphore.acquire({ weight: 3, signal }));
  await reaching(semaphore, { waiting: 1, available: 1 });
  // Its wait is dropped too: it is this thread's.
  assertEquals(semaphore.breakLeases(threadId), 1);
  assertEquals(semaphore.statistics(), { permits: 3, available: 3, waiting: 0 });
  wait.controller.abort();
});

Deno.test("ThreadQueue hands every item on exactly once, through two threads and back", async () => {
  for (const how of ["async", "sync"] as const) {
    const there = new ThreadQueue<number>({ maxSize: 3 });
    const back = new ThreadQueue<number>();
    using first = new Contender();
    using second = new Contender();
    const task = { type: "relay", from: there.handle, to: back.handle, how } as const;
    const relays = [first.do<number>(task), second.do<number>(task)];
    const count = 2_000;
    for (let item = 0; item < count; item++) await there.put(item);
    await there.join();
    there.close();
    const [one = 0, two = 0] = await Promise.all(relays);
    assertEquals(one + two, count);
    assertEquals(back.drain().toSorted((a, b) => a - b), Array.from({ length: count }, (_, item) => item));
    assertEquals(there.statistics().unfinished, 0);
  }
});

Deno.test("ThreadQueue puts back what a thread was handed and had not taken yet", async () => {
  const { threadId } = await import("../../lib/thread/thread_id.ts");
  const queue = new ThreadQueue<string>();
  const wait = queue.get();
  queue.tryPut("a");
  queue.tryPut("b");
  assertEquals(queue.statistics().size, 1);
  queue.breakLeases(threadId);
  assertEquals(queue.drain(), ["a", "b"]);
  void wait.catch(() => {});
});

Deno.test("attach() takes the handle of its own primitive only", () => {
  const lock = new ThreadLock();
  assertThrows(
    () => ThreadSemaphore.attach(lock.handle as never),
    TypeError,
    "must be that of a semaphore: received lock",
  );
  assertThrows(() => ThreadQueue.attach(undefined as never), TypeError, "received undefined");
});

Deno.test("a primitive refuses one waiter more than its capacity, and serves the others", async () => {
  const lock = new ThreadLock({ capacity: 2 });
  const holder = await lock.acquire();
  const wait = lock.acquire();
  await assertRejects(() => lock.acquire(), SystemError, "2 hold or wait already");
  holder.release();
  (await wait).release();
  for (const capacity of [0, -1, 1.5]) {
    assertThrows(() => new ThreadLock({ capacity }), RangeError, "capacity");
  }
});

Deno.test("ThreadQueue refuses an item for which it has no room, and goes on", async () => {
  const queue = new ThreadQueue<Uint8Array>({ maxBytes: 4_096 });
  await assertRejects(() => queue.put(new Uint8Array(5_000)), SystemError, "maxBytes");
  assertThrows(() => queue.tryPut(new Uint8Array(5_000)), SystemError, "maxBytes");
  await queue.put(new Uint8Array(1_000));
  assertEquals((await queue.get()).length, 1_000);
});

Deno.test("a thread that ended inside the monitor turns everybody away, instead of blocking them", async () => {
  const lock = new ThreadLock();
  const monitor = new Monitor(lock.handle.buffers[0]!);
  monitor.enter();
  await assertRejects(() => lock.acquire(), BrokenLeaseError, "a thread ended while it changed");
  assertThrows(() => lock.tryAcquire(), BrokenLeaseError);
});

Deno.test("a wait keeps the program alive, though nothing else does", async () => {
  const source = `
    import { ThreadEvent } from ${JSON.stringify(import.meta.resolve("../../lib/thread/event.ts"))};
    const event = new ThreadEvent();
    Deno.unrefTimer(setTimeout(() => event.set("awake"), 20));
    console.log((await event.wait()).data);`;
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-lock", "--ext=ts", source],
    stderr: "inherit",
  }).output();
  assert(success);
  assertEquals(new TextDecoder().decode(stdout), "awake\n");
});

Deno.test("a wait asleep gives up after timeoutMs and leaves nothing behind", () => {
  const event = new ThreadEvent();
  assertThrows(() => event.waitSync({ timeoutMs: 5 }), TimeoutError);
  const semaphore = new ThreadSemaphore(1);
  using _lease = semaphore.acquireSync();
  assertThrows(() => semaphore.acquireSync({ timeoutMs: 5 }), TimeoutError);
  assertThrows(() => semaphore.acquireSync({ timeoutMs: 0 }), TimeoutError);
  assertEquals(semaphore.statistics().waiting, 0);
  assertEquals(event.statistics().waiting, 0);
});
