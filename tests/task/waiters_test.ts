import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { ClosedError, TimeoutError } from "../../lib/errors.ts";
import { onAbort } from "../../lib/abort.ts";
import { TaskLock } from "../../lib/task/lock.ts";
import { runAsOwner, TaskRLock } from "../../lib/task/rlock.ts";
import { TaskSemaphore } from "../../lib/task/semaphore.ts";
import { NOT_NOW, WaitingList } from "../../lib/task/waiters.ts";
import { countingSignal, follow, pause, settled } from "../conformance/support.ts";

/** A list of which so many requests are met as there are tickets. */
function ticketOffice(): { list: WaitingList<string, string>; sell: (tickets: number) => void } {
  let tickets = 0;
  const list = new WaitingList<string, string>({
    what: "a ticket",
    grant: (name) => tickets > 0 ? (tickets -= 1, `ticket of ${name}`) : NOT_NOW,
  });
  const sell = (more: number) => {
    tickets += more;
    list.serve();
  };
  return { list, sell };
}

Deno.test("WaitingList.serve() grants from the head on and stops at the first it cannot meet", async () => {
  const { list, sell } = ticketOffice();
  const waits = ["a", "b", "c"].map((name) => follow(list.wait(name)));
  sell(2);
  await pause();
  assertEquals(waits.map(({ value }) => value), ["ticket of a", "ticket of b", undefined]);
  assertEquals(list.length, 1);
});

Deno.test("WaitingList.take() never overtakes who waits", () => {
  const { list, sell } = ticketOffice();
  assertEquals(list.take("a"), NOT_NOW);
  void list.wait("b");
  sell(1);
  assertEquals(list.take("c"), NOT_NOW);
  sell(1);
  assertEquals(list.take("c"), "ticket of c");
});

Deno.test("WaitingList.wait() keeps the order of the others when the first, the last or one between leaves", async () => {
  for (const leaving of [0, 1, 2, 3]) {
    const { list, sell } = ticketOffice();
    const controller = new AbortController();
    const waits = ["a", "b", "c", "d"].map((name, index) =>
      follow(list.wait(name, index === leaving ? { signal: controller.signal } : undefined))
    );
    controller.abort("enough");
    const order: string[] = [];
    for (const { promise } of waits) promise.then((value) => order.push(value), () => {});
    assertEquals(list.length, 3);
    const last = follow(list.wait("e"));
    last.promise.then((value) => order.push(value));
    sell(4);
    await settled([...waits, last]);
    const stayed = ["a", "b", "c", "d"].filter((_, index) => index !== leaving);
    assertEquals(order, [...stayed, "e"].map((name) => `ticket of ${name}`));
    assertEquals(list.length, 0);
  }
});

Deno.test("WaitingList.wait(): an abort in the same turn as the grant loses", async () => {
  const { list, sell } = ticketOffice();
  const controller = new AbortController();
  const wait = follow(list.wait("a", { signal: controller.signal }));
  sell(1);
  controller.abort("enough");
  await settled([wait]);
  assertEquals(wait.value, "ticket of a");
});

Deno.test("WaitingList.wait(): a grant in the same turn as the abort loses", async () => {
  const { list, sell } = ticketOffice();
  const controller = new AbortController();
  const wait = follow(list.wait("a", { signal: controller.signal }));
  controller.abort("enough");
  sell(1);
  await settled([wait]);
  assertEquals(wait.reason, "enough");
  assertEquals(list.take("b"), "ticket of b");
});

Deno.test("WaitingList: one abort ends all waits with that signal, though one lets in the next", async () => {
  const semaphore = new TaskSemaphore(3);
  const holder = await semaphore.acquire();
  const controller = new AbortController();
  const { signal } = controller;
  const waits = [follow(semaphore.acquire({ weight: 3, signal })), follow(semaphore.acquire({ signal }))];
  const other = follow(semaphore.acquire());
  controller.abort("enough");
  await settled([...waits, other]);
  assertEquals(waits.map(({ reason }) => reason), ["enough", "enough"]);
  assertEquals(semaphore.statistics(), { permits: 3, available: 1, waiting: 0 });
  holder.release();
});

Deno.test("WaitingList: a listener of the user's that releases on abort grants nobody who is aborted, too", async () => {
  const lock = new TaskLock();
  const holder = await lock.acquire();
  const controller = new AbortController();
  controller.signal.addEventListener("abort", () => holder.release());
  const wait = follow(lock.acquire({ signal: controller.signal }));
  const other = follow(lock.acquire());
  controller.abort("enough");
  await settled([wait, other]);
  assertEquals([wait.reason, other.state], ["enough", "fulfilled"]);
});

Deno.test("WaitingList.wait() rejects with undefined or null, if that is the reason", async () => {
  const { list } = ticketOffice();
  for (const reason of [null, 0, ""]) {
    const wait = follow(list.wait("a", { signal: AbortSignal.abort(reason) }));
    await settled([wait]);
    assertEquals([wait.state, wait.reason], ["rejected", reason]);
  }
});

Deno.test("WaitingList.wait() takes a timeoutMs longer than a timer can be", async () => {
  const { list, sell } = ticketOffice();
  const waits = [2 ** 31, 1e15, Infinity].map((timeoutMs) => follow(list.wait("a", { timeoutMs })));
  await pause(5);
  assertEquals(waits.map(({ state }) => state), ["waiting", "waiting", "waiting"]);
  sell(3);
  await settled(waits);
  assertEquals(waits.map(({ state }) => state), ["fulfilled", "fulfilled", "fulfilled"]);
});

Deno.test("WaitingList.wait() with timeoutMs 0 does not line up", async () => {
  const { list } = ticketOffice();
  const wait = follow(list.wait("a", { timeoutMs: 0 }));
  assertEquals(list.length, 0);
  await settled([wait]);
});

Deno.test("onAbort() calls back once, in order, and leaves no listener", () => {
  const controller = new AbortController();
  const { listeners } = countingSignal(controller.signal);
  const seen: string[] = [];
  for (const name of ["a", "b"]) onAbort(controller.signal, (reason) => seen.push(`${name}: ${reason}`));
  controller.abort("enough");
  assertEquals(seen, ["a: enough", "b: enough"]);
  assertEquals(listeners(), 0);
});

Deno.test("WaitingList.wait() says what was waited for, and how long", async () => {
  const { list } = ticketOffice();
  await assertRejects(() => list.wait("a", { timeoutMs: 1 }), TimeoutError, "waited 1 ms for a ticket");
});

Deno.test("WaitingList.close() turns away who waits and who would, and still meets what can be met", async () => {
  const { list, sell } = ticketOffice();
  const wait = follow(list.wait("a"));
  const error = new ClosedError("sold out");
  list.close(() => error);
  await settled([wait]);
  assertStrictEquals(wait.reason, error);
  await assertRejects(() => list.wait("b"), ClosedError);
  sell(1);
  assertEquals(await list.wait("c"), "ticket of c");
});

Deno.test("WaitingList listens to a signal once, however many wait with it", async () => {
  const { list, sell } = ticketOffice();
  const { signal, listeners } = countingSignal();
  const waits = Array.from({ length: 100 }, () => list.wait("a", { signal }));
  assertEquals(listeners(), 1);
  sell(99);
  await pause();
  assertEquals(listeners(), 1);
  sell(1);
  await Promise.all(waits);
  assertEquals(listeners(), 0);
});

Deno.test("WaitingList has room for 100,000 waiters, with signals of their own and with one in common", async () => {
  const lock = new TaskLock();
  const holder = await lock.acquire();
  const common = new AbortController();
  const own = Array.from({ length: 50_000 }, () => new AbortController());
  const waits = [
    ...own.map(({ signal }) => lock.acquire({ signal })),
    ...own.map(() => lock.acquire({ signal: common.signal })),
  ].map(follow);
  const stays = follow(lock.acquire());
  assertEquals(lock.statistics().waiting, 100_001);
  for (const controller of own.toReversed()) controller.abort("enough");
  common.abort("enough");
  assertEquals(lock.statistics().waiting, 1);
  await settled(waits);
  assert(waits.every(({ reason }) => reason === "enough"));
  holder.release();
  (await stays.promise).release();
});

Deno.test("TaskRLock.acquire() without a scope is an owner of its own each time", async () => {
  const lock = new TaskRLock();
  using _lease = await lock.acquire();
  await assertRejects(() => lock.acquire({ timeoutMs: 0 }), TimeoutError);
  assertEquals(lock.tryAcquire(), undefined);
});

Deno.test("TaskRLock.acquire() does not make its caller's siblings owners", async () => {
  const lock = new TaskRLock();
  let inside = 0;
  // Both begin in one turn, in the context of this test; the first acquires before the second is called.
  const task = async () => {
    using _lease = await lock.acquire();
    inside += 1;
    assertEquals(inside, 1);
    await pause();
    inside -= 1;
  };
  await Promise.all([task(), task(), task()]);
});

Deno.test("TaskRLock.run() keeps siblings apart, also within one scope that holds nothing", async () => {
  const lock = new TaskRLock();
  let inside = 0;
  const task = () =>
    lock.run(async () => {
      inside += 1;
      assertEquals(inside, 1);
      await lock.run(() => pause());
      inside -= 1;
    });
  await runAsOwner(() => Promise.all([task(), task(), task()]));
  assertEquals(lock.statistics(), { held: false, depth: 0, waiting: 0 });
});

Deno.test("TaskRLock: a scope does not share what the scope around it takes later", async () => {
  const lock = new TaskRLock();
  const { promise: taken, resolve: take } = Promise.withResolvers<void>();
  await runAsOwner(async () => {
    const inner = runAsOwner(async () => {
      await taken;
      await assertRejects(() => lock.acquire({ timeoutMs: 0 }), TimeoutError);
    });
    using _lease = await lock.acquire();
    take();
    await inner;
  });
});

Deno.test("TaskRLock.run() lets in what was started inside the holder's scope, and nothing else", async () => {
  const [outer, inner] = [new TaskRLock(), new TaskRLock()];
  await outer.run(async () => {
    await inner.run(async () => {
      // The scope of `inner` is another owner, inside that of `outer`.
      using _again = await outer.acquire({ timeoutMs: 0 });
      assertEquals(outer.statistics().depth, 2);
    });
  });
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
  const holding = outer.run(() => mayEnd);
  await pause();
  await assertRejects(() => outer.run(() => {}, { timeoutMs: 0 }), TimeoutError);
  end();
  await holding;
});

Deno.test("TaskRLock: a task that outlives its scope is the owner while the lock is held, and then no more", async () => {
  const lock = new TaskRLock();
  const { promise: scopeLeft, resolve: leave } = Promise.withResolvers<void>();
  let straggler: Promise<void> | undefined;
  await lock.run(async () => {
    const lease = await lock.acquire();
    straggler = (async () => {
      await scopeLeft;
      (await lock.acquire({ timeoutMs: 0 })).release();
      lease.release();
      await lock.run(async () => {
        const rival = follow(lock.acquire({ timeoutMs: 0 }));
        await settled([rival]);
        rival.value?.release();
      });
    })();
  });
  assertEquals(lock.statistics().depth, 1);
  leave();
  await straggler;
  assertEquals(lock.statistics(), { held: false, depth: 0, waiting: 0 });
});

Deno.test("TaskRLock.run() releases the lock when the function throws", async () => {
  const lock = new TaskRLock();
  await assertRejects(() => lock.run(() => Promise.reject(new Error("no"))), Error, "no");
  assertEquals(lock.statistics().held, false);
});
