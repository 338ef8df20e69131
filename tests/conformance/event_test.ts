import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { TimeoutError } from "../../lib/errors.ts";
import type { EventOccurrence } from "../../lib/primitives.ts";
import type { Reach } from "./reach.ts";
import {
  type CancellableWait,
  conform,
  conformToModel,
  countingSignal,
  eventually,
  follow,
  reaching,
  settled,
  start,
} from "./support.ts";

const make = (reach: Reach) => reach.event();

conform("Event.wait() returns whether it begins before or after the set", {
  make,
  test: async (event) => {
    const before = event.wait();
    await reaching(event, { waiting: 1 });
    assertEquals(await event.isSet(), false);
    await event.set("ready");
    assertEquals(await event.isSet(), true);
    const occurrence = { generation: 1, data: "ready" };
    assertEquals(await before, occurrence);
    assertEquals(await event.wait(), occurrence);
    assertEquals(await event.wait({ timeoutMs: 0 }), occurrence);
    assertEquals(await event.statistics(), { set: true, waiting: 0, ...occurrence });
  },
});

conform("Event.wait() that begins while the event is being set returns", {
  make,
  test: async (event) => {
    for (let round = 0; round < 50; round++) {
      const early = event.wait();
      const setting = event.set(String(round));
      const late = event.wait();
      await setting;
      assertEquals([(await early).data, (await late).data], [String(round), String(round)]);
      await event.clear();
    }
    await reaching(event, { waiting: 0, generation: 50 });
  },
});

conform("Event.set() wakes everyone", {
  make,
  test: async (event) => {
    const waits = Array.from({ length: 50 }, () => event.wait());
    await reaching(event, { waiting: 50 });
    await event.set();
    for (const occurrence of await Promise.all(waits)) {
      assertEquals(occurrence, { generation: 1, data: undefined });
    }
  },
});

conform("Event.set() wakes everyone, though clear follows at once", {
  make,
  test: async (event) => {
    const waits = Array.from({ length: 10 }, () => event.wait());
    await reaching(event, { waiting: 10 });
    // Where set returns no promise, not even a microtask comes between.
    const setting = event.set("gone");
    if (setting !== undefined) await setting;
    const clearing = event.clear();
    if (clearing !== undefined) await clearing;
    for (const wait of waits) assertEquals((await wait).data, "gone");
    assertEquals(await event.statistics(), { set: false, generation: 1, data: undefined, waiting: 0 });
    await assertRejects(() => event.wait({ timeoutMs: 0 }), TimeoutError);
  },
});

conform("Event.set() again replaces the data and counts a generation", {
  make,
  test: async (event) => {
    await event.set("one");
    await event.set("two");
    assertEquals(await event.wait(), { generation: 2, data: "two" });
    await event.set();
    assertEquals(await event.wait(), { generation: 3, data: undefined });
  },
});

conform("Event.clear() keeps the generation", {
  make,
  test: async (event) => {
    await event.clear();
    await event.set("one");
    await event.clear();
    await event.clear();
    assertEquals(await event.statistics(), { set: false, generation: 1, data: undefined, waiting: 0 });
  },
});

conform("Event.pulse() wakes who waits now, and leaves the flag as it is", {
  make,
  test: async (event) => {
    const wait = event.wait();
    await reaching(event, { waiting: 1 });
    await event.pulse("tick");
    assertEquals(await wait, { generation: 1, data: "tick" });
    assertEquals(await event.isSet(), false);
    await assertRejects(() => event.wait({ timeoutMs: 0 }), TimeoutError);
    await event.set("stays");
    await event.pulse("passes");
    assertEquals(await event.statistics(), { set: true, generation: 3, data: "stays", waiting: 0 });
  },
});

conform("Event.wait() rejects with the reason of an aborted signal, though the event is set", {
  make,
  test: async (event) => {
    await event.set();
    const wait = follow(event.wait({ signal: AbortSignal.abort("enough") }));
    await settled([wait]);
    assertEquals(wait.reason, "enough");
  },
});

conform("Event.wait() that is cancelled or times out changes nothing", {
  make,
  test: async (event) => {
    const stays = event.wait();
    await reaching(event, { waiting: 1 });
    const goes = start((signal) => event.wait({ signal }));
    await reaching(event, { waiting: 2 });
    goes.controller.abort("enough");
    await settled([goes]);
    assertEquals(goes.reason, "enough");
    await assertRejects(() => event.wait({ timeoutMs: 5 }), TimeoutError);
    for (const timeoutMs of [-1, NaN]) await assertRejects(() => event.wait({ timeoutMs }), RangeError);
    assertEquals(await event.statistics(), { set: false, generation: 0, data: undefined, waiting: 1 });
    await event.set("ready");
    assertEquals((await stays).data, "ready");
  },
});

conform("Event: an abort in the same turn as the set ends the wait once", {
  make,
  test: async (event) => {
    const wait = start((signal) => event.wait({ signal }));
    await reaching(event, { waiting: 1 });
    const setting = event.set("ready");
    wait.controller.abort("enough");
    await setting;
    await settled([wait]);
    assertEquals(
      wait.state === "fulfilled" ? wait.value!.data : wait.reason,
      wait.state === "fulfilled" ? "ready" : "enough",
    );
    await reaching(event, { set: true, waiting: 0 });
  },
});

conform("Event leaves no listener on a signal, however the wait ends", {
  make,
  test: async (event) => {
    const { signal, listeners } = countingSignal();
    await assertRejects(() => event.wait({ signal, timeoutMs: 2 }), TimeoutError);
    const waits = [event.wait({ signal }), event.wait({ signal, timeoutMs: 1_000_000 })];
    await reaching(event, { waiting: 2 });
    assert(listeners() > 0, "the signal is listened to while waits are under way");
    await event.set();
    await Promise.all(waits);
    await event.wait({ signal });
    await eventually(() => assertEquals(listeners(), 0));
  },
});

conformToModel("Event wakes exactly who waits, with what it was given, whatever is done to it", {
  make,
  steps: fc.oneof(
    { weight: 3, arbitrary: fc.record({ type: fc.constant("wait" as const), n: fc.constant(0) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constantFrom("set" as const, "clear" as const, "pulse" as const),
        n: fc.nat({ max: 9 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("cancel" as const), n: fc.nat() }) },
  ),
  run: async (event, program) => {
    let set = false;
    let data: string | undefined;
    let generation = 0;
    let line: CancellableWait<EventOccurrence>[] = [];
    const wake = async (woken: string) => {
      for (const wait of line) assertEquals(await wait.promise, { generation, data: woken });
      line = [];
    };
    for (const { type, n } of program) {
      if (type === "wait") {
        const wait = start((signal) => event.wait({ signal }));
        if (set) assertEquals(await wait.promise, { generation, data });
        else line.push(wait);
      } else if (type === "set") {
        [set, data, generation] = [true, String(n), generation + 1];
        await event.set(data);
        await wake(data);
      } else if (type === "pulse") {
        generation += 1;
        await event.pulse(String(n));
        await wake(String(n));
      } else if (type === "clear") {
        [set, data] = [false, undefined];
        await event.clear();
      } else if (line.length > 0) {
        const [wait] = line.splice(n % line.length, 1);
        wait!.controller.abort("enough");
        await settled([wait!]);
        assertEquals(wait!.reason, "enough");
      }
      await reaching(event, { set, data, generation, waiting: line.length });
      assertEquals(line.filter((wait) => wait.state !== "waiting").length, 0);
    }
    await event.set("end");
    generation += 1;
    await wake("end");
  },
});
