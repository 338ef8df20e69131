import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import { NotHeldError, TimeoutError } from "../../lib/errors.ts";
import type { Lease, Lock } from "../../lib/primitives.ts";
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

/** A reentrant lock in which every acquire is that of another owner is a lock. */
async function asLock(reach: Reach): Promise<Lock> {
  const rlock = reach.rlock!;
  const lock = await rlock.make();
  return {
    acquire: (options) => rlock.asOwner(() => lock.acquire(options)),
    tryAcquire: () => rlock.asOwner(async () => await lock.tryAcquire()),
    statistics: () => lock.statistics(),
  };
}

for (
  const { name, make, over } of [
    { name: "Lock", make: (reach: Reach) => reach.lock(), over: () => true },
    { name: "RLock", make: asLock, over: (reach: Reach) => reach.rlock !== undefined },
  ]
) {
  conform(`${name}.acquire() lets one holder in at a time`, {
    make,
    over,
    test: async (lock) => {
      let inside = 0;
      let total = 0;
      await Promise.all(Array.from({ length: 20 }, async () => {
        for (let round = 0; round < 5; round++) {
          using _lease = await lock.acquire();
          inside += 1;
          assertEquals(inside, 1);
          const before = total;
          await pause();
          total = before + 1;
          inside -= 1;
        }
      }));
      assertEquals(total, 100);
      await reaching(lock, { held: false, waiting: 0 });
    },
  });

  conform(`${name}.acquire() serves waiters first come first served`, {
    make,
    over,
    test: async (lock) => {
      const first = await lock.acquire();
      const order: number[] = [];
      const waits = [];
      for (let index = 0; index < 10; index++) {
        waits.push(
          lock.acquire().then((lease) => {
            order.push(index);
            lease.release();
          }),
        );
        await reaching(lock, { waiting: index + 1 });
      }
      first.release();
      await Promise.all(waits);
      assertEquals(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    },
  });

  conform(`${name}.tryAcquire() takes a free lock and no held one`, {
    make,
    over,
    test: async (lock) => {
      const lease = await lock.tryAcquire();
      assert(lease !== undefined);
      assertEquals(await lock.tryAcquire(), undefined);
      lease.release();
      await eventually(async () => {
        const again = await lock.tryAcquire();
        assert(again !== undefined);
        again.release();
      });
    },
  });

  conform(`${name}.tryAcquire() does not overtake a waiter`, {
    make,
    over,
    test: async (lock) => {
      const holder = await lock.acquire();
      const wait = follow(lock.acquire());
      await reaching(lock, { waiting: 1 });
      holder.release();
      assertEquals(await lock.tryAcquire(), undefined);
      (await wait.promise).release();
      await reaching(lock, { held: false });
    },
  });

  conform(`${name}.acquire() rejects with the reason of an aborted signal, though it is free`, {
    make,
    over,
    test: async (lock) => {
      const reason = new Error("changed my mind");
      const wait = follow(lock.acquire({ signal: AbortSignal.abort(reason), timeoutMs: 0 }));
      await settled([wait]);
      assertStrictEquals(wait.reason, reason);
      await reaching(lock, { held: false, waiting: 0 });
    },
  });

  conform(`${name}.acquire() with timeoutMs 0 takes a free lock, and waits for no held one`, {
    make,
    over,
    test: async (lock) => {
      const lease = await lock.acquire({ timeoutMs: 0 });
      await assertRejects(() => lock.acquire({ timeoutMs: 0 }), TimeoutError);
      assertEquals((await lock.statistics()).waiting, 0);
      lease.release();
    },
  });

  conform(`${name}.acquire() rejects after timeoutMs and leaves the lock as it was`, {
    make,
    over,
    test: async (lock) => {
      const holder = await lock.acquire();
      await assertRejects(() => lock.acquire({ timeoutMs: 5 }), TimeoutError);
      await reaching(lock, { held: true, waiting: 0 });
      holder.release();
      await reaching(lock, { held: false });
      (await lock.acquire({ timeoutMs: 10_000_000_000 })).release();
    },
  });

  conform(`${name}.acquire() refuses a timeoutMs that is negative or NaN`, {
    make,
    over,
    test: async (lock) => {
      for (const timeoutMs of [-1, NaN]) {
        await assertRejects(() => lock.acquire({ timeoutMs }), RangeError, "timeoutMs");
      }
      assertEquals((await lock.statistics()).held, false);
    },
  });

  conform(`${name}.acquire() that is cancelled leaves its place to those behind it`, {
    make,
    over,
    test: async (lock) => {
      const holder = await lock.acquire();
      const waits: CancellableWait<Lease>[] = [];
      for (let index = 0; index < 4; index++) {
        waits.push(start((signal) => lock.acquire({ signal })));
        await reaching(lock, { waiting: index + 1 });
      }
      const reason = new Error("enough");
      for (const index of [2, 0]) {
        waits[index]!.controller.abort(reason);
        await settled([waits[index]!]);
        assertStrictEquals(waits[index]!.reason, reason);
      }
      await reaching(lock, { waiting: 2 });
      holder.release();
      (await waits[1]!.promise).release();
      (await waits[3]!.promise).release();
      await reaching(lock, { held: false, waiting: 0 });
    },
  });

  conform(`${name}.acquire() that is aborted while it is granted either holds or does not`, {
    make,
    over,
    test: async (lock) => {
      for (const abortFirst of [true, false]) {
        const holder = await lock.acquire();
        const wait = start((signal) => lock.acquire({ signal }));
        await reaching(lock, { waiting: 1 });
        if (abortFirst) wait.controller.abort();
        holder.release();
        if (!abortFirst) wait.controller.abort();
        await settled([wait]);
        await reaching(lock, { held: wait.state === "fulfilled", waiting: 0 });
        wait.value?.release();
        await reaching(lock, { held: false });
      }
    },
  });

  conform(`${name}: an abort after the grant changes nothing`, {
    make,
    over,
    test: async (lock) => {
      const controller = new AbortController();
      const lease = await lock.acquire({ signal: controller.signal });
      controller.abort();
      await pause();
      assertEquals((await lock.statistics()).held, true);
      lease.release();
      await reaching(lock, { held: false });
    },
  });

  conform(`${name}: releasing twice throws NotHeldError and does not disturb the next holder`, {
    make,
    over,
    test: async (lock) => {
      const first = await lock.acquire();
      first.release();
      const second = await lock.acquire();
      assertThrows(() => first.release(), NotHeldError);
      await pause();
      assertEquals((await lock.statistics()).held, true);
      assertEquals(await lock.tryAcquire(), undefined);
      second.release();
    },
  });

  conform(`${name}: disposing twice, or after a release, is harmless`, {
    make,
    over,
    test: async (lock) => {
      const first = await lock.acquire();
      first[Symbol.dispose]();
      const second = await lock.acquire();
      first[Symbol.dispose]();
      await pause();
      assertEquals((await lock.statistics()).held, true);
      second.release();
      second[Symbol.dispose]();
      await reaching(lock, { held: false });
    },
  });

  conform(`${name} loses no wake-up when waits are cancelled at random moments`, {
    make,
    over,
    test: async (lock) => {
      let granted = 0;
      const attempts = Array.from({ length: 100 }, async (_, index) => {
        const controller = new AbortController();
        const timer = index % 3 > 0 ? setTimeout(() => controller.abort(), index % 7) : undefined;
        try {
          const lease = await lock.acquire({ signal: controller.signal });
          granted += 1;
          await pause();
          lease.release();
        } catch (error) {
          assertInstanceOf(error, DOMException);
        } finally {
          clearTimeout(timer);
        }
      });
      await Promise.all(attempts);
      assert(granted >= 34, `${granted} of those that were not cancelled, 34, were served`);
      await reaching(lock, { held: false, waiting: 0 });
    },
  });

  conform(`${name} leaves no listener on a signal, however the wait ends`, {
    make,
    over,
    test: async (lock) => {
      const { signal, listeners } = countingSignal();
      const holder = await lock.acquire({ signal });
      await assertRejects(() => lock.acquire({ signal, timeoutMs: 2 }), TimeoutError);
      await assertRejects(() => lock.acquire({ signal, timeoutMs: 0 }), TimeoutError);
      const waits = [lock.acquire({ signal })];
      await reaching(lock, { waiting: 1 });
      waits.push(lock.acquire({ signal, timeoutMs: 1_000_000 }));
      await reaching(lock, { waiting: 2 });
      assert(listeners() > 0, "the signal is listened to while waits are under way");
      holder.release();
      for (const wait of waits) (await wait).release();
      await eventually(() => assertEquals(listeners(), 0));
    },
  });

  conformToModel(`${name} behaves like a list of names, whatever is done to it`, {
    make,
    over,
    steps: fc.oneof(
      { weight: 3, arbitrary: fc.constant({ type: "acquire" as const }) },
      { weight: 1, arbitrary: fc.constant({ type: "tryAcquire" as const }) },
      { weight: 3, arbitrary: fc.constant({ type: "release" as const }) },
      { weight: 2, arbitrary: fc.record({ type: fc.constant("cancel" as const), which: fc.nat() }) },
    ),
    run: async (lock, program) => {
      let holder: Promise<Lease> | undefined;
      const line: CancellableWait<Lease>[] = [];
      const promote = () => holder = line.shift()?.promise;
      const release = async () => {
        (await holder)?.release();
        promote();
      };
      for (const step of program) {
        if (step.type === "acquire") {
          line.push(start((signal) => lock.acquire({ signal })));
          if (holder === undefined) promote();
        } else if (step.type === "tryAcquire") {
          const lease = await lock.tryAcquire();
          assertEquals(lease !== undefined, holder === undefined);
          if (lease !== undefined) holder = Promise.resolve(lease);
        } else if (step.type === "release") {
          await release();
        } else if (line.length > 0) {
          const [cancelled] = line.splice(step.which % line.length, 1);
          cancelled!.controller.abort("cancelled");
          await settled([cancelled!]);
          assertEquals(cancelled!.reason, "cancelled");
        }
        await reaching(lock, { held: holder !== undefined, waiting: line.length });
        assertEquals(line.filter((wait) => wait.state !== "waiting").length, 0);
      }
      while (holder !== undefined) await release();
      await reaching(lock, { held: false, waiting: 0 });
    },
  });
}
