import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { NotHeldError, TimeoutError } from "../../lib/errors.ts";
import type { Lease, RLock } from "../../lib/primitives.ts";
import type { Reach } from "./reach.ts";
import { conform, conformToModel, countingSignal, eventually, follow, pause, reaching } from "./support.ts";

// That an RLock is a Lock, too, is tested with the locks.

const make = (reach: Reach) => reach.rlock!.make();
const over = (reach: Reach) => reach.rlock !== undefined;

/** Runs a function as another owner of the reach's reentrant locks. */
function asOwner<T>({ rlock }: Reach, fn: () => Promise<T>): Promise<T> {
  return rlock!.asOwner(fn);
}

conform("RLock.acquire() lets its owner in again, and no other before the last release", {
  make,
  over,
  test: async (lock, reach) => {
    const [holder, other] = [makeOwner(reach), makeOwner(reach)];
    const leases: Lease[] = [];
    for (let depth = 1; depth <= 3; depth++) {
      leases.push(await holder.run(() => lock.acquire()));
      await reaching(lock, { held: true, depth });
    }
    const wait = follow(other.run(() => lock.acquire()));
    await reaching(lock, { waiting: 1 });
    for (const lease of leases) {
      assertEquals(wait.state, "waiting");
      lease.release();
    }
    (await wait.promise).release();
    await reaching(lock, { held: false, depth: 0, waiting: 0 });
    for (const owner of [holder, other]) await owner.end();
  },
});

conform("RLock.acquire() keeps owners that were started side by side apart", {
  make,
  over,
  test: async (lock, reach) => {
    let inside = 0;
    const task = () =>
      asOwner(reach, async () => {
        using _outer = await lock.acquire();
        using _inner = await lock.acquire();
        inside += 1;
        assertEquals(inside, 1);
        await pause();
        using _innermost = await lock.acquire();
        inside -= 1;
      });
    await Promise.all(Array.from({ length: 20 }, task));
    await reaching(lock, { held: false, depth: 0, waiting: 0 });
  },
});

conform("RLock.acquire() makes another owner wait until the last lease is released, in any order", {
  make,
  over,
  test: async (lock, reach) => {
    const leases = await asOwner(
      reach,
      async () => [await lock.acquire(), await lock.acquire(), await lock.acquire()],
    );
    const other = follow(asOwner(reach, () => lock.acquire()));
    await reaching(lock, { waiting: 1 });
    for (const index of [1, 0]) {
      leases[index]!.release();
      await pause();
      assertEquals(other.state, "waiting");
      assertEquals(await asOwner(reach, async () => await lock.tryAcquire()), undefined);
    }
    leases[2]!.release();
    (await other.promise).release();
    await reaching(lock, { held: false, depth: 0 });
  },
});

conform("RLock.acquire() of its owner does not wait behind others", {
  make,
  over,
  test: async (lock, reach) => {
    const [holder, other] = [makeOwner(reach), makeOwner(reach)];
    const leases = [await holder.run(() => lock.acquire())];
    const wait = follow(other.run(() => lock.acquire()));
    await reaching(lock, { waiting: 1 });
    leases.push(await holder.run(() => lock.acquire()));
    leases.push(await holder.run(() => lock.acquire({ timeoutMs: 0 })));
    const tried = await holder.run(async () => await lock.tryAcquire());
    assert(tried !== undefined);
    await reaching(lock, { depth: 4, waiting: 1 });
    for (const lease of [...leases, tried]) lease.release();
    (await wait.promise).release();
    await reaching(lock, { held: false, depth: 0 });
    for (const owner of [holder, other]) await owner.end();
  },
});

conform("RLock.acquire() of another owner times out, is refused and is cancelled while it is held", {
  make,
  over,
  test: async (lock, reach) => {
    const holder = await asOwner(reach, () => lock.acquire());
    await assertRejects(() => asOwner(reach, () => lock.acquire({ timeoutMs: 5 })), TimeoutError);
    await assertRejects(() => asOwner(reach, () => lock.acquire({ timeoutMs: 0 })), TimeoutError);
    const controller = new AbortController();
    const wait = follow(asOwner(reach, () => lock.acquire({ signal: controller.signal })));
    await reaching(lock, { waiting: 1 });
    controller.abort("enough");
    await eventually(() => assertEquals([wait.state, wait.reason], ["rejected", "enough"]));
    await reaching(lock, { held: true, depth: 1, waiting: 0 });
    holder.release();
    await reaching(lock, { held: false, depth: 0 });
  },
});

conform("RLock.acquire() of its owner rejects an aborted signal and a bad timeoutMs", {
  make,
  over,
  test: async (lock, reach) => {
    await asOwner(reach, async () => {
      using _lease = await lock.acquire();
      const wait = follow(lock.acquire({ signal: AbortSignal.abort("enough") }));
      await eventually(() => assertEquals([wait.state, wait.reason], ["rejected", "enough"]));
      await assertRejects(() => lock.acquire({ timeoutMs: -1 }), RangeError);
      await reaching(lock, { depth: 1 });
    });
  },
});

conform("RLock: releasing a lease twice throws NotHeldError and leaves the other leases", {
  make,
  over,
  test: async (lock, reach) => {
    await asOwner(reach, async () => {
      const outer = await lock.acquire();
      const inner = await lock.acquire();
      inner.release();
      assertThrows(() => inner.release(), NotHeldError);
      inner[Symbol.dispose]();
      await reaching(lock, { held: true, depth: 1 });
      outer.release();
      await reaching(lock, { held: false, depth: 0 });
    });
  },
});

conform("RLock leaves no listener on a signal when its owner takes it again", {
  make,
  over,
  test: async (lock, reach) => {
    const { signal, listeners } = countingSignal();
    await asOwner(reach, async () => {
      for (let round = 0; round < 3; round++) {
        using _outer = await lock.acquire({ signal });
        using _inner = await lock.acquire({ signal, timeoutMs: 1_000_000 });
      }
    });
    await eventually(() => assertEquals(listeners(), 0));
  },
});

conformToModel("RLock has as many leases out as its one owner took, whatever is done to it", {
  over,
  make: async (reach): Promise<{ lock: RLock; reach: Reach }> => {
    return { lock: await reach.rlock!.make(), reach };
  },
  steps: fc.record({
    type: fc.constantFrom("acquire" as const, "tryAcquire" as const, "release" as const),
    owner: fc.nat({ max: 2 }),
    which: fc.nat(),
  }),
  run: async ({ lock, reach }, program) => {
    let holder: number | undefined;
    const leases: Lease[] = [];
    const owners = [0, 1, 2].map(() => makeOwner(reach));
    for (const { type, owner, which } of program) {
      const isFree = holder === undefined || holder === owner;
      if (type === "release") {
        leases.splice(which % Math.max(1, leases.length), 1)[0]?.release();
        if (leases.length === 0) holder = undefined;
      } else {
        const lease = await owners[owner]!.run(async () =>
          type === "tryAcquire"
            ? await lock.tryAcquire()
            : await lock.acquire({ timeoutMs: 0 }).catch(() => undefined)
        );
        assertEquals(lease !== undefined, isFree);
        if (lease !== undefined) {
          leases.push(lease);
          holder = owner;
        }
      }
      await reaching(lock, { held: leases.length > 0, depth: leases.length, waiting: 0 });
    }
    for (const lease of leases) lease.release();
    for (const owner of owners) await owner.end();
  },
});

/** An owner that stays: what is run later runs in its scope still. */
function makeOwner(reach: Reach): { run<T>(fn: () => Promise<T>): Promise<T>; end(): Promise<void> } {
  const jobs: (() => Promise<void>)[] = [];
  let wake: () => void = () => {};
  let isOver = false;
  const life = asOwner(reach, async () => {
    while (!isOver) {
      while (jobs.length > 0) await jobs.shift()!();
      if (!isOver) await new Promise<void>((resolve) => wake = resolve);
    }
  });
  return {
    run: <T>(fn: () => Promise<T>) => {
      const { promise, resolve, reject } = Promise.withResolvers<T>();
      jobs.push(() => fn().then(resolve, reject));
      wake();
      return promise;
    },
    end: () => {
      isOver = true;
      wake();
      return life;
    },
  };
}
