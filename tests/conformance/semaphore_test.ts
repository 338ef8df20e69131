import { assert, assertEquals, assertLessOrEqual, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { NotHeldError, TimeoutError } from "../../lib/errors.ts";
import type { Lease, Semaphore } from "../../lib/primitives.ts";
import type { Reach } from "./reach.ts";
import {
  type CancellableWait,
  conform,
  conformToModel,
  countingSignal,
  eventually,
  follow,
  pause,
  reaching,
  settled,
  start,
} from "./support.ts";

const having = (permits: number) => (reach: Reach) => reach.semaphore(permits);

conform("Semaphore.acquire() lets in as many as there are permits", {
  make: having(3),
  test: async (semaphore) => {
    let inside = 0;
    let most = 0;
    await Promise.all(Array.from({ length: 30 }, async () => {
      using _lease = await semaphore.acquire();
      inside += 1;
      most = Math.max(most, inside);
      assertLessOrEqual(inside, 3);
      // Nobody leaves before as many were in as may be.
      await eventually(() => assertEquals(most, 3));
      await pause();
      inside -= 1;
    }));
    await reaching(semaphore, { permits: 3, available: 3, waiting: 0 });
  },
});

conform("Semaphore.acquire() serves waiters first come first served", {
  make: having(1),
  test: async (semaphore) => {
    const first = await semaphore.acquire();
    const order: number[] = [];
    const waits = [];
    for (let index = 0; index < 10; index++) {
      waits.push(
        semaphore.acquire().then((lease) => {
          order.push(index);
          lease.release();
        }),
      );
      await reaching(semaphore, { waiting: index + 1 });
    }
    first.release();
    await Promise.all(waits);
    assertEquals(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  },
});

conform("Semaphore.acquire() takes as many permits as the weight says, and gives them back together", {
  make: having(5),
  test: async (semaphore) => {
    const heavy = await semaphore.acquire({ weight: 4 });
    await reaching(semaphore, { available: 1 });
    assertEquals(await semaphore.tryAcquire({ weight: 2 }), undefined);
    const light = await semaphore.tryAcquire();
    assert(light !== undefined);
    await reaching(semaphore, { available: 0 });
    heavy.release();
    await reaching(semaphore, { available: 4 });
    light.release();
    await reaching(semaphore, { available: 5 });
  },
});

conform("Semaphore: light waiters and tries do not overtake a heavy one at the head", {
  make: having(3),
  test: async (semaphore) => {
    const [one, two] = [await semaphore.acquire(), await semaphore.acquire()];
    const heavy = follow(semaphore.acquire({ weight: 3 }));
    await reaching(semaphore, { waiting: 1 });
    const light = follow(semaphore.acquire());
    await reaching(semaphore, { waiting: 2, available: 1 });
    assertEquals(await semaphore.tryAcquire(), undefined);
    one.release();
    await reaching(semaphore, { waiting: 2, available: 2 });
    two.release();
    const granted = await heavy.promise;
    assertEquals(light.state, "waiting");
    granted.release();
    (await light.promise).release();
    await reaching(semaphore, { available: 3, waiting: 0 });
  },
});

conform("Semaphore: those behind a heavy waiter are let in when it gives up", {
  make: having(3),
  test: async (semaphore) => {
    for (const by of ["signal", "timeout"]) {
      const holder = await semaphore.acquire();
      const controller = new AbortController();
      const limit = by === "signal" ? { signal: controller.signal } : { timeoutMs: 30 };
      const heavy = follow(semaphore.acquire({ weight: 3, ...limit }));
      if (by === "signal") await reaching(semaphore, { waiting: 1 });
      const light = [follow(semaphore.acquire()), follow(semaphore.acquire())];
      if (by === "signal") {
        await reaching(semaphore, { waiting: 3 });
        controller.abort();
      }
      await settled([heavy, ...light]);
      assertEquals(heavy.state, "rejected");
      for (const wait of light) (await wait.promise).release();
      holder.release();
      await reaching(semaphore, { available: 3, waiting: 0 });
    }
  },
});

conform("Semaphore.acquire() and tryAcquire() refuse a weight that makes no sense", {
  make: having(2),
  test: async (semaphore) => {
    for (const weight of [3, 0, -1, 0.5, NaN, Infinity]) {
      await assertRejects(() => semaphore.acquire({ weight }), RangeError, "weight");
      await assertRejects(async () => await semaphore.tryAcquire({ weight }), RangeError, "weight");
    }
    await reaching(semaphore, { available: 2, waiting: 0 });
  },
});

conform("Semaphore.acquire() rejects with the reason of an aborted signal, though permits are free", {
  make: having(1),
  test: async (semaphore) => {
    const wait = follow(semaphore.acquire({ signal: AbortSignal.abort("enough"), timeoutMs: 0 }));
    await settled([wait]);
    assertEquals(wait.reason, "enough");
    await reaching(semaphore, { available: 1, waiting: 0 });
  },
});

conform("Semaphore.acquire() with a timeoutMs waits no longer than that, and with 0 not at all", {
  make: having(2),
  test: async (semaphore) => {
    const lease = await semaphore.acquire({ weight: 2, timeoutMs: 0 });
    await assertRejects(() => semaphore.acquire({ timeoutMs: 0 }), TimeoutError);
    await assertRejects(() => semaphore.acquire({ timeoutMs: 5 }), TimeoutError);
    for (const timeoutMs of [-1, NaN]) {
      await assertRejects(() => semaphore.acquire({ timeoutMs }), RangeError, "timeoutMs");
    }
    await reaching(semaphore, { available: 0, waiting: 0 });
    lease.release();
    await reaching(semaphore, { available: 2 });
  },
});

conform("Semaphore.acquire() that is aborted while it is granted either holds or does not", {
  make: having(2),
  test: async (semaphore) => {
    for (const abortFirst of [true, false]) {
      const holder = await semaphore.acquire({ weight: 2 });
      const wait = start((signal) => semaphore.acquire({ signal, weight: 2 }));
      await reaching(semaphore, { waiting: 1 });
      if (abortFirst) wait.controller.abort();
      holder.release();
      if (!abortFirst) wait.controller.abort();
      await settled([wait]);
      await reaching(semaphore, { available: wait.state === "fulfilled" ? 0 : 2, waiting: 0 });
      wait.value?.release();
      await reaching(semaphore, { available: 2 });
    }
  },
});

conform("Semaphore: releasing twice throws NotHeldError and makes no permit", {
  make: having(2),
  test: async (semaphore) => {
    const [one, two] = [await semaphore.acquire(), await semaphore.acquire()];
    one.release();
    assertThrows(() => one.release(), NotHeldError);
    one[Symbol.dispose]();
    await reaching(semaphore, { available: 1 });
    two[Symbol.dispose]();
    two[Symbol.dispose]();
    assertThrows(() => two.release(), NotHeldError);
    await reaching(semaphore, { available: 2 });
  },
});

conform("Semaphore.resize() to more lets waiters in", {
  make: having(1),
  test: async (semaphore) => {
    const holder = await semaphore.acquire();
    const waits = [follow(semaphore.acquire())];
    await reaching(semaphore, { waiting: 1 });
    waits.push(follow(semaphore.acquire()));
    await reaching(semaphore, { waiting: 2 });
    await semaphore.resize(2);
    const first = await waits[0]!.promise;
    await reaching(semaphore, { permits: 2, available: 0, waiting: 1 });
    holder.release();
    (await waits[1]!.promise).release();
    first.release();
    await reaching(semaphore, { permits: 2, available: 2, waiting: 0 });
  },
});

conform("Semaphore.resize() below what is held admits nobody until enough came back", {
  make: having(3),
  test: async (semaphore) => {
    const leases = [await semaphore.acquire(), await semaphore.acquire(), await semaphore.acquire()];
    await semaphore.resize(1);
    await reaching(semaphore, { permits: 1, available: -2 });
    const wait = follow(semaphore.acquire());
    await reaching(semaphore, { waiting: 1 });
    leases[0]!.release();
    leases[1]!.release();
    await reaching(semaphore, { available: 0, waiting: 1 });
    assertEquals(wait.state, "waiting");
    leases[2]!.release();
    (await wait.promise).release();
    await reaching(semaphore, { available: 1, waiting: 0 });
  },
});

conform("Semaphore.resize() turns away who wants more than there are, and serves those behind", {
  make: having(5),
  test: async (semaphore) => {
    const holder = await semaphore.acquire({ weight: 2 });
    const heavy = follow(semaphore.acquire({ weight: 5 }));
    await reaching(semaphore, { waiting: 1 });
    const middle = follow(semaphore.acquire({ weight: 2 }));
    await reaching(semaphore, { waiting: 2 });
    await semaphore.resize(3);
    await settled([heavy]);
    assert(heavy.reason instanceof RangeError);
    await reaching(semaphore, { permits: 3, available: 1, waiting: 1 });
    assertEquals(middle.state, "waiting");
    holder.release();
    (await middle.promise).release();
    await reaching(semaphore, { available: 3, waiting: 0 });
  },
});

conform("Semaphore.resize() refuses what is no number of permits", {
  make: having(2),
  test: async (semaphore) => {
    for (const permits of [-1, 0.5, NaN]) {
      await assertRejects(async () => await semaphore.resize(permits), RangeError, "permits");
    }
    await reaching(semaphore, { permits: 2, available: 2 });
  },
});

conform("Semaphore loses no wake-up when waits are cancelled at random moments", {
  make: having(4),
  test: async (semaphore) => {
    const controllers: AbortController[] = [];
    let inside = 0;
    let granted = 0;
    await Promise.all(Array.from({ length: 100 }, async (_, index) => {
      const controller = new AbortController();
      controllers.push(controller);
      if (index % 3 > 0) setTimeout(() => controller.abort("enough"), index % 7);
      const weight = 1 + index % 4;
      try {
        using _lease = await semaphore.acquire({ weight, signal: controller.signal });
        granted += 1;
        inside += weight;
        assertLessOrEqual(inside, 4);
        await pause();
        inside -= weight;
      } catch (error) {
        assertEquals(error, "enough");
      }
    }));
    await eventually(() => assertEquals(controllers.filter(({ signal }) => signal.aborted).length, 66));
    assert(granted >= 34, `${granted} of those that were not cancelled, 34, were served`);
    await reaching(semaphore, { available: 4, waiting: 0 });
  },
});

conform("Semaphore leaves no listener on a signal, however the wait ends", {
  make: having(2),
  test: async (semaphore) => {
    const { signal, listeners } = countingSignal();
    const holder = await semaphore.acquire({ signal, weight: 2 });
    await assertRejects(() => semaphore.acquire({ signal, timeoutMs: 2 }), TimeoutError);
    const heavy = follow(semaphore.acquire({ signal, weight: 2 }));
    await reaching(semaphore, { waiting: 1 });
    const light = semaphore.acquire({ signal, timeoutMs: 1_000_000 });
    await reaching(semaphore, { waiting: 2 });
    assert(listeners() > 0, "the signal is listened to while waits are under way");
    await semaphore.resize(1);
    await settled([heavy]);
    holder.release();
    (await light).release();
    await eventually(() => assertEquals(listeners(), 0));
  },
});

interface Model {
  permits: number;
  available: number;
  line: (CancellableWait<Lease> & { weight: number })[];
  held: { lease: Promise<Lease>; weight: number }[];
}

conformToModel("Semaphore keeps its books, whatever is done to it", {
  make: having(4),
  steps: fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ type: fc.constant("acquire" as const), n: fc.integer({ min: 1, max: 5 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant("try" as const), n: fc.integer({ min: 1, max: 3 }) }),
    },
    { weight: 4, arbitrary: fc.record({ type: fc.constant("release" as const), n: fc.nat() }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant("cancel" as const), n: fc.nat() }) },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant("resize" as const), n: fc.integer({ min: 1, max: 6 }) }),
    },
  ),
  run: async (semaphore, program) => {
    const model: Model = { permits: 4, available: 4, line: [], held: [] };
    for (const step of program) {
      await take(semaphore, { model, step });
      admit(model);
      const { permits, available, line } = model;
      await reaching(semaphore, { permits, available, waiting: line.length });
      assertEquals(line.filter((wait) => wait.state !== "waiting").length, 0);
    }
    while (model.held.length > 0) {
      await take(semaphore, { model, step: { type: "release", n: 0 } });
      admit(model);
    }
    await reaching(semaphore, { available: model.permits, waiting: 0 });
  },
});

/** Does a step to both, the semaphore and its model. */
async function take(
  semaphore: Semaphore,
  { model, step: { type, n } }: {
    model: Model;
    step: { type: "acquire" | "try" | "release" | "cancel" | "resize"; n: number };
  },
): Promise<void> {
  const { line, held } = model;
  if (type === "acquire") {
    const wait = start((signal) => semaphore.acquire({ signal, weight: n }));
    if (n <= model.permits) {
      line.push(Object.assign(wait, { weight: n }));
      return;
    }
    await settled([wait]);
    assert(wait.reason instanceof RangeError);
  } else if (type === "try") {
    if (n > model.permits) return;
    const lease = await semaphore.tryAcquire({ weight: n });
    assertEquals(lease !== undefined, line.length === 0 && n <= model.available);
    if (lease === undefined) return;
    held.push({ lease: Promise.resolve(lease), weight: n });
    model.available -= n;
  } else if (type === "release" && held.length > 0) {
    const [{ lease, weight }] = held.splice(n % held.length, 1) as [Model["held"][number]];
    (await lease).release();
    model.available += weight;
  } else if (type === "cancel" && line.length > 0) {
    const [wait] = line.splice(n % line.length, 1);
    wait!.controller.abort("enough");
    await settled([wait!]);
    assertEquals(wait!.reason, "enough");
  } else if (type === "resize") {
    await semaphore.resize(n);
    model.available += n - model.permits;
    model.permits = n;
    const turnedAway = line.filter((wait) => wait.weight > n);
    model.line = line.filter((wait) => wait.weight <= n);
    await settled(turnedAway);
    for (const { reason } of turnedAway) assert(reason instanceof RangeError);
  }
}

/** First come, first served. */
function admit(model: Model): void {
  while (model.line.length > 0 && model.line[0]!.weight <= model.available) {
    const { promise, weight } = model.line.shift()!;
    model.held.push({ lease: promise, weight });
    model.available -= weight;
  }
}
