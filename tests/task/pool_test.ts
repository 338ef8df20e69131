import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLessOrEqual,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { ClosedError, TimeoutError } from "../../lib/errors.ts";
import { TaskPool } from "../../lib/task/pool.ts";
import { countingSignal, eventually, follow, pause, reaching, settled } from "../conformance/support.ts";

/** A task that runs until it is told to end. */
function gate<T>(
  value: T,
): { task: (signal: AbortSignal) => Promise<T>; open: () => void; signal: () => AbortSignal | undefined } {
  const { promise, resolve } = Promise.withResolvers<T>();
  let seen: AbortSignal | undefined;
  const task = (signal: AbortSignal) => {
    seen = signal;
    return promise;
  };
  return { task, open: () => resolve(value), signal: () => seen };
}

async function* hanging(): AsyncGenerator<number> {
  yield 1;
  await new Promise(() => {});
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of source) all.push(each);
  return all;
}

Deno.test("TaskPool.submit() returns what the function returns, and throws what it throws", async () => {
  const pool = new TaskPool(2);
  assertEquals(await pool.submit(() => "plain"), "plain");
  assertEquals(await pool.submit(async () => await Promise.resolve("later")), "later");
  const error = new Error("no");
  const failed = follow(pool.submit(() => {
    throw error;
  }));
  await settled([failed]);
  assertStrictEquals(failed.reason, error);
  assertEquals(pool.statistics(), {
    concurrency: 2,
    running: 0,
    waiting: 0,
    succeeded: 2,
    failed: 1,
    closed: false,
  });
});

Deno.test("TaskPool.submit() runs no more than the concurrency at once, in the order of the submits", async () => {
  const pool = new TaskPool(3);
  const order: number[] = [];
  let most = 0;
  await Promise.all(Array.from({ length: 20 }, (_, index) =>
    pool.submit(async () => {
      order.push(index);
      most = Math.max(most, pool.statistics().running);
      await pause();
    })));
  assertEquals(most, 3);
  assertEquals(order, Array.from({ length: 20 }, (_, index) => index));
});

Deno.test("TaskPool.submit() goes on after tasks that failed", async () => {
  const pool = new TaskPool(1);
  const waits = Array.from({ length: 5 }, (_, index) => follow(pool.submit(() => Promise.reject(index))));
  await settled(waits);
  assertEquals(waits.map(({ reason }) => reason), [0, 1, 2, 3, 4]);
  assertEquals(await pool.submit(() => "works"), "works");
});

Deno.test("TaskPool.submit() calls onDone with the outcome, whether the task waited, ran or was cancelled", async () => {
  const pool = new TaskPool(1);
  const seen: string[] = [];
  const onDone = (outcome: PromiseSettledResult<string>) =>
    void seen.push(outcome.status === "fulfilled" ? outcome.value : String(outcome.reason));
  const { task, open } = gate("first");
  const waits = [
    follow(pool.submit(task, { onDone })),
    follow(pool.submit(() => "second", { onDone })),
    follow(pool.submit(() => Promise.reject("third"), { onDone })),
    follow(pool.submit(() => "fourth", { onDone, signal: AbortSignal.abort("aborted") })),
  ];
  open();
  await settled(waits);
  await eventually(() => assertEquals(seen.toSorted(), ["aborted", "first", "second", "third"]));
});

Deno.test("TaskPool.submit() never runs a task that was cancelled while it waited", async () => {
  const pool = new TaskPool(1);
  const { task, open } = gate("ran");
  const running = pool.submit(task);
  const controller = new AbortController();
  let hasRun = false;
  const run = () => void (hasRun = true);
  const waits = [
    follow(pool.submit(run, { signal: controller.signal })),
    follow(pool.submit(run, { timeoutMs: 5 })),
    follow(pool.submit(run, { timeoutMs: 0 })),
  ];
  const last = pool.submit(() => "last");
  controller.abort("enough");
  await settled(waits);
  assertEquals(waits[0]!.reason, "enough");
  for (const { reason } of waits.slice(1)) assertInstanceOf(reason, TimeoutError);
  assertEquals(pool.statistics().waiting, 1);
  open();
  assertEquals([await running, await last, hasRun], ["ran", "last", false]);
});

Deno.test("TaskPool.submit() tells a running task, rejects at once, and keeps the turn until the task has ended", async () => {
  const pool = new TaskPool(1);
  const { task, open, signal } = gate("ignored");
  const controller = new AbortController();
  const wait = follow(pool.submit(task, { signal: controller.signal }));
  await reaching(pool, { running: 1 });
  controller.abort("enough");
  await settled([wait]);
  assertEquals(wait.reason, "enough");
  assertEquals(signal()!.reason, "enough");
  const next = follow(pool.submit(() => "next"));
  await pause();
  assertEquals([next.state, pool.statistics().running], ["waiting", 1]);
  open();
  assertEquals(await next.promise, "next");
});

Deno.test("TaskPool.submit() with a timeoutMs ends the wait for a task that hangs", async () => {
  const pool = new TaskPool(1);
  const { task, open, signal } = gate("late");
  await assertRejects(() => pool.submit(task, { timeoutMs: 5 }), TimeoutError, "5 ms");
  assertInstanceOf(signal()!.reason, TimeoutError);
  open();
  await reaching(pool, { running: 0 });
});

Deno.test("TaskPool refuses options that make no sense", async () => {
  for (const concurrency of [0, -1, 1.5, NaN, Infinity]) {
    try {
      new TaskPool(concurrency);
    } catch (error) {
      assertInstanceOf(error, RangeError);
      continue;
    }
    throw new Error(`a pool of ${concurrency} was made`);
  }
  const pool = new TaskPool(1);
  await assertRejects(() => pool.submit(() => {}, { timeoutMs: -1 }), RangeError, "timeoutMs");
  await assertRejects(() => collect(pool.map([1], (n) => n, { ahead: 0 })), RangeError, "ahead");
});

Deno.test("TaskPool leaves no listener on a signal", async () => {
  const pool = new TaskPool(1);
  const { signal, listeners } = countingSignal();
  await Promise.all([1, 2, 3].map((n) => pool.submit(() => pause(n), { signal, timeoutMs: 1_000_000 })));
  await collect(pool.map([1, 2, 3], (n) => n, { signal }));
  assertEquals(listeners(), 0);
});

Deno.test("TaskPool.shutdown() runs what was submitted, takes nothing more, and waits", async () => {
  const pool = new TaskPool(1);
  const { task, open } = gate("a");
  const waits = [follow(pool.submit(task)), follow(pool.submit(() => "b"))];
  await pool.shutdown({ wait: false });
  await assertRejects(() => pool.submit(() => "c"), ClosedError);
  await assertRejects(() => pool.submit(() => "c", { timeoutMs: 5 }), ClosedError);
  await assertRejects(() => collect(pool.map([1], (n) => n)), ClosedError);
  await assertRejects(() => pool.shutdown({ timeoutMs: 5 }), TimeoutError);
  const down = follow(pool.shutdown());
  await pause();
  assertEquals(down.state, "waiting");
  open();
  await settled([down]);
  assertEquals(waits.map(({ value }) => value), ["a", "b"]);
});

Deno.test("TaskPool.cancel() drops who waits, tells who runs, and waits until they have ended", async () => {
  const pool = new TaskPool(1);
  const { task, open, signal } = gate("a");
  const waits = [
    follow(pool.submit(task)),
    follow(pool.submit(() => "b")),
    follow(pool.submit(() => "c", { timeoutMs: 1e6 })),
  ];
  const cancelled = follow(pool.cancel("enough"));
  await settled(waits.slice(1));
  assertEquals(waits.map(({ state, reason }) => [state, reason]), [
    ["waiting", undefined],
    ["rejected", "enough"],
    ["rejected", "enough"],
  ]);
  assertEquals([signal()!.reason, cancelled.state], ["enough", "waiting"]);
  open();
  await settled([cancelled, waits[0]!]);
  assertEquals(waits[0]!.value, "a");
  await assertRejects(() => pool.submit(() => "d"), ClosedError);
});

Deno.test("TaskPool.map() yields in the order of the inputs", async () => {
  const pool = new TaskPool(4);
  const slowFirst = async (n: number) => {
    await pause(5 - n);
    return n ** 2;
  };
  assertEquals(await collect(pool.map([1, 2, 3, 4, 5], slowFirst)), [1, 4, 9, 16, 25]);
});

Deno.test("TaskPool.map() yields as completed, if asked to", async () => {
  const pool = new TaskPool(2);
  const { task, open } = gate("slow");
  const seen: string[] = [];
  for await (
    const each of pool.map(["slow", "fast"], (name, signal) => name === "slow" ? task(signal) : name, {
      ordered: false,
    })
  ) {
    seen.push(each);
    open();
  }
  assertEquals(seen, ["fast", "slow"]);
});

Deno.test("TaskPool.map() takes async inputs, none at all, and undefined results", async () => {
  const pool = new TaskPool(2);
  async function* inputs() {
    for (const n of [1, 2, 3]) {
      await pause();
      yield n;
    }
  }
  for (const ordered of [true, false]) {
    assertEquals(await collect(pool.map(inputs(), (n) => n === 2 ? undefined : n, { ordered })), [
      1,
      undefined,
      3,
    ]);
    assertEquals(await collect(pool.map([], () => 1, { ordered })), []);
  }
});

for (const ordered of [true, false]) {
  const how = ordered ? "ordered" : "as completed";

  Deno.test(`TaskPool.map() ${how} pulls no further ahead than it may`, async () => {
    const pool = new TaskPool(2);
    let pulled = 0;
    let taken = 0;
    function* endless() {
      while (true) yield pulled++;
    }
    for await (const _ of pool.map(endless(), (n) => n, { ordered, ahead: 5 })) {
      taken += 1;
      await pause();
      assertLessOrEqual(pulled - taken, 5);
      if (taken === 30) break;
    }
    await pause();
    assertLessOrEqual(pulled, 35);
  });

  Deno.test(`TaskPool.map() ${how} that is left closes the source, tells who runs and awaits it`, async () => {
    const pool = new TaskPool(2);
    let isClosed = false;
    const ended: unknown[] = [];
    async function* inputs() {
      try {
        for (let n = 0; true; n++) yield n;
      } finally {
        await pause();
        isClosed = true;
      }
    }
    const task = async (n: number, signal: AbortSignal) => {
      if (n === 0) return n;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      await pause();
      ended.push(n);
      return n;
    };
    for await (const _ of pool.map(inputs(), task, { ordered })) {
      await reaching(pool, { running: 2 });
      break;
    }
    assertEquals([isClosed, ended, pool.statistics().running, pool.statistics().waiting], [
      true,
      [1, 2],
      0,
      0,
    ]);
    assertEquals(await pool.submit(() => "works"), "works");
  });

  Deno.test(`TaskPool.map() ${how} throws what the function or the source throws, and stops`, async () => {
    const pool = new TaskPool(1);
    const started: number[] = [];
    const failAt2 = (n: number) => {
      started.push(n);
      if (n === 2) throw new Error("no");
      return n;
    };
    await assertRejects(
      () => collect(pool.map([1, 2, 3, 4, 5, 6, 7, 8, 9], failAt2, { ordered, ahead: 1 })),
      Error,
      "no",
    );
    assertEquals(started, [1, 2]);
    function* broken() {
      yield 1;
      throw new Error("source");
    }
    await assertRejects(() => collect(pool.map(broken(), (n) => n, { ordered })), Error, "source");
    await reaching(pool, { running: 0, waiting: 0 });
  });

  Deno.test(`TaskPool.map() ${how} ends with the reason of its signal or of the pool, also while its source hangs`, async () => {
    for (const by of ["signal", "pool"]) {
      const pool = new TaskPool(2);
      const controller = new AbortController();
      const run = follow(collect(pool.map(hanging(), (n) => n, { ordered, signal: controller.signal })));
      await eventually(() => assertEquals(pool.statistics().succeeded, 1));
      if (by === "signal") controller.abort("enough");
      else await pool.cancel("enough");
      await settled([run]);
      assertEquals(run.reason, "enough");
    }
  });
}

Deno.test("TaskPool.map() shares the turns of its pool", async () => {
  const pool = new TaskPool(2);
  let most = 0;
  const task = async () => {
    most = Math.max(most, pool.statistics().running);
    await pause();
  };
  const inputs = [1, 2, 3, 4, 5];
  await Promise.all([
    collect(pool.map(inputs, task)),
    collect(pool.map(inputs, task)),
    ...inputs.map(() => pool.submit(task)),
  ]);
  assertEquals(most, 2);
  assertEquals(pool.statistics().succeeded, 15);
});

Deno.test("TaskPool waits for its tasks when its scope is left", async () => {
  let hasEnded = false;
  {
    await using pool = new TaskPool(1);
    void pool.submit(async () => {
      await pause();
      hasEnded = true;
    });
  }
  assert(hasEnded);
});
