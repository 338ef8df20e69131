import { assert, assertEquals, assertInstanceOf, assertLessOrEqual, assertRejects } from "@std/assert";
import fc from "fast-check";
import { ClosedError, NotHeldError, TimeoutError } from "../../lib/errors.ts";
import type { Queue, QueueKind } from "../../lib/primitives.ts";
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

const KINDS: readonly QueueKind[] = ["fifo", "lifo", "priority"];

const ofKind = (kind: QueueKind, maxSize = Infinity) => (reach: Reach) => reach.queue({ kind, maxSize });
const holding = (maxSize: number) => (reach: Reach) => reach.queue({ maxSize });
const unlimited = (reach: Reach) => reach.queue({});

/** Gets all that is inside. */
async function empty(queue: Queue<string>): Promise<string[]> {
  const items: string[] = [];
  for (let left = (await queue.statistics()).size; left > 0; left--) items.push(await queue.get());
  return items;
}

conform("Queue of kind fifo gives the first first", {
  make: ofKind("fifo"),
  test: async (queue) => {
    for (const item of ["a", "b", "c"]) await queue.put(item);
    assertEquals(await empty(queue), ["a", "b", "c"]);
  },
});

conform("Queue of kind lifo gives the last first", {
  make: ofKind("lifo"),
  test: async (queue) => {
    for (const item of ["a", "b", "c"]) await queue.put(item);
    assertEquals(await empty(queue), ["c", "b", "a"]);
  },
});

conform("Queue of kind priority gives the smallest number first, and equals in the order they were put", {
  make: ofKind("priority"),
  test: async (queue) => {
    await queue.put("normal 1");
    await queue.put("late", { priority: 5 });
    await queue.put("early", { priority: -2 });
    await queue.tryPut("normal 2", { priority: 0 });
    await queue.tryPut("normal 3");
    assertEquals(await empty(queue), ["early", "normal 1", "normal 2", "normal 3", "late"]);
  },
});

conform("Queue of kind priority takes any number", {
  make: ofKind("priority"),
  test: async (queue) => {
    for (const priority of [0.25, 1e9, -2.5, 0]) await queue.put(String(priority), { priority });
    assertEquals(await empty(queue), ["-2.5", "0", "0.25", "1000000000"]);
  },
});

conform("Queue of kind priority keeps the order of many equals", {
  make: ofKind("priority"),
  test: async (queue) => {
    const items = Array.from({ length: 100 }, (_, index) => String(index));
    for (const item of items) await queue.put(item, { priority: Number(item) % 3 });
    const expected = [0, 1, 2].flatMap((rest) => items.filter((item) => Number(item) % 3 === rest));
    assertEquals(await empty(queue), expected);
  },
});

conform("Queue returns items as they went in", {
  make: unlimited,
  test: async (queue) => {
    const items = ["", " ", "two\nlines", "$(touch pwned)", "üñí 🎟", "\u0000"];
    for (const item of items) await queue.put(item);
    assertEquals(await empty(queue), items);
  },
});

conform("Queue.get() waits for an item, and getters are served first come first served", {
  make: unlimited,
  test: async (queue) => {
    const waits = [];
    for (let index = 0; index < 5; index++) {
      waits.push(queue.get());
      await reaching(queue, { waitingToGet: index + 1 });
    }
    for (const item of ["a", "b", "c", "d", "e"]) await queue.put(item);
    assertEquals(await Promise.all(waits), ["a", "b", "c", "d", "e"]);
    await reaching(queue, { size: 0, waitingToGet: 0, unfinished: 5 });
  },
});

conform("Queue.put() waits while the queue is full, and putters are served first come first served", {
  make: holding(2),
  test: async (queue) => {
    await queue.put("a");
    await queue.put("b");
    const waits = [];
    for (const [index, item] of ["c", "d", "e"].entries()) {
      waits.push(follow(queue.put(item)));
      await reaching(queue, { size: 2, waitingToPut: index + 1 });
    }
    assertEquals(await queue.get(), "a");
    await settled(waits.slice(0, 1));
    await reaching(queue, { size: 2, waitingToPut: 2 });
    assertEquals([await queue.get(), await queue.get(), await queue.get(), await queue.get()], [
      "b",
      "c",
      "d",
      "e",
    ]);
    await settled(waits);
    await reaching(queue, { size: 0, waitingToPut: 0 });
  },
});

conform("Queue never holds more than maxSize items, and gives each once", {
  make: holding(3),
  test: async (queue) => {
    const seen: string[] = [];
    const produce = async (name: string) => {
      for (let index = 0; index < 25; index++) {
        await queue.put(`${name}${index}`);
        assertLessOrEqual((await queue.statistics()).size, 3);
      }
    };
    const consume = async () => {
      for await (const item of queue) {
        seen.push(item);
        await pause();
      }
    };
    const consumers = [consume(), consume()];
    await Promise.all(["a", "b", "c"].map(produce));
    await queue.close();
    await Promise.all(consumers);
    const expected = ["a", "b", "c"].flatMap((name) =>
      Array.from({ length: 25 }, (_, index) => `${name}${index}`)
    );
    assertEquals(seen.toSorted(), expected.toSorted());
  },
});

conform("Queue.tryPut() says full, and does not overtake who waits to put", {
  make: holding(1),
  test: async (queue) => {
    assertEquals(await queue.tryPut("a"), { state: "ok" });
    assertEquals(await queue.tryPut("b"), { state: "full" });
    const wait = follow(queue.put("c"));
    await reaching(queue, { waitingToPut: 1 });
    assertEquals(await queue.tryGet(), { state: "ok", item: "a" });
    assertEquals(await queue.tryPut("d"), { state: "full" });
    await settled([wait]);
    assertEquals(await queue.tryGet(), { state: "ok", item: "c" });
  },
});

conform("Queue.tryGet() says empty, and does not overtake who waits to get", {
  make: unlimited,
  test: async (queue) => {
    assertEquals(await queue.tryGet(), { state: "empty" });
    const wait = queue.get();
    await reaching(queue, { waitingToGet: 1 });
    const putting = queue.put("a");
    assertEquals(await queue.tryGet(), { state: "empty" });
    await putting;
    assertEquals(await wait, "a");
  },
});

conform("Queue.get() and put() reject with the reason of an aborted signal, though they need not wait", {
  make: holding(2),
  test: async (queue) => {
    await queue.put("a");
    const signal = AbortSignal.abort("enough");
    const waits = [follow(queue.get({ signal })), follow(queue.put("b", { signal }))];
    await settled(waits);
    assertEquals(waits.map(({ reason }) => reason), ["enough", "enough"]);
    await queue.close();
    const late = [follow(queue.put("b", { signal })), follow(queue.get({ signal }))];
    await settled(late);
    assertEquals(late.map(({ reason }) => reason), ["enough", "enough"]);
    await reaching(queue, { size: 1, waitingToGet: 0, waitingToPut: 0 });
  },
});

conform("Queue.get() and put() wait no longer than timeoutMs, and with 0 not at all", {
  make: holding(1),
  test: async (queue) => {
    for (const timeoutMs of [0, 5]) {
      await assertRejects(() => queue.get({ timeoutMs }), TimeoutError);
      await queue.put("a", { timeoutMs });
      await assertRejects(() => queue.put("b", { timeoutMs }), TimeoutError);
      assertEquals(await queue.get({ timeoutMs }), "a");
      await queue.taskDone();
    }
    await reaching(queue, { size: 0, waitingToGet: 0, waitingToPut: 0, unfinished: 0 });
  },
});

conform("Queue refuses options that make no sense", {
  make: holding(1),
  test: async (queue) => {
    for (const timeoutMs of [-1, NaN]) {
      await assertRejects(() => queue.get({ timeoutMs }), RangeError, "timeoutMs");
      await assertRejects(() => queue.put("a", { timeoutMs }), RangeError, "timeoutMs");
      await assertRejects(() => queue.join({ timeoutMs }), RangeError, "timeoutMs");
    }
    await assertRejects(() => queue.put("a", { priority: NaN }), RangeError, "priority");
    await assertRejects(async () => await queue.tryPut("a", { priority: NaN }), RangeError, "priority");
    await reaching(queue, { size: 0, unfinished: 0 });
  },
});

conform("Queue.put() that is cancelled puts nothing, and leaves its place to those behind it", {
  make: holding(1),
  test: async (queue) => {
    await queue.put("a");
    const waits = [];
    for (const [index, item] of ["b", "c", "d"].entries()) {
      waits.push(start((signal) => queue.put(item, { signal })));
      await reaching(queue, { waitingToPut: index + 1 });
    }
    waits[0]!.controller.abort("enough");
    waits[2]!.controller.abort("enough");
    await settled([waits[0]!, waits[2]!]);
    assertEquals(waits.map(({ reason }) => reason), ["enough", undefined, "enough"]);
    assertEquals([await queue.get(), await queue.get()], ["a", "c"]);
    await waits[1]!.promise;
    await reaching(queue, { size: 0, waitingToPut: 0 });
  },
});

conform("Queue.get() that is cancelled takes nothing, and leaves its place to those behind it", {
  make: unlimited,
  test: async (queue) => {
    const waits = [];
    for (let index = 0; index < 3; index++) {
      waits.push(start((signal) => queue.get({ signal })));
      await reaching(queue, { waitingToGet: index + 1 });
    }
    waits[0]!.controller.abort("enough");
    await settled([waits[0]!]);
    assertEquals(waits[0]!.reason, "enough");
    await queue.put("a");
    await queue.put("b");
    assertEquals([await waits[1]!.promise, await waits[2]!.promise], ["a", "b"]);
    await reaching(queue, { size: 0, unfinished: 2, waitingToGet: 0 });
  },
});

conform("Queue loses no item when a get is aborted while the item is handed over", {
  make: unlimited,
  test: async (queue) => {
    for (const abortFirst of [true, false]) {
      const wait = start((signal) => queue.get({ signal }));
      await reaching(queue, { waitingToGet: 1 });
      if (abortFirst) wait.controller.abort("enough");
      const putting = queue.put("a");
      if (!abortFirst) wait.controller.abort("enough");
      await putting;
      await settled([wait]);
      assertEquals(wait.state === "fulfilled" ? wait.value : await queue.get(), "a");
      await reaching(queue, { size: 0, waitingToGet: 0 });
    }
  },
});

conform("Queue puts an item once or not at all when the put is aborted while it gets its place", {
  make: holding(1),
  test: async (queue) => {
    for (const abortFirst of [true, false]) {
      await queue.put("a");
      const wait = start((signal) => queue.put("b", { signal }));
      await reaching(queue, { waitingToPut: 1 });
      if (abortFirst) wait.controller.abort("enough");
      const getting = queue.get();
      if (!abortFirst) wait.controller.abort("enough");
      assertEquals(await getting, "a");
      await settled([wait]);
      assertEquals(await queue.drain(), wait.state === "fulfilled" ? ["b"] : []);
    }
  },
});

conform("Queue.close() turns putters away and lets getters empty the queue", {
  make: holding(1),
  test: async (queue) => {
    await queue.put("a");
    const waiting = follow(queue.put("b"));
    await reaching(queue, { waitingToPut: 1 });
    await queue.close();
    await settled([waiting]);
    assertInstanceOf(waiting.reason, ClosedError);
    await assertRejects(() => queue.put("c"), ClosedError);
    assertEquals(await queue.tryPut("c"), { state: "closed" });
    await reaching(queue, { closed: true, size: 1, waitingToPut: 0 });
    assertEquals(await queue.get(), "a");
    await assertRejects(() => queue.get(), ClosedError);
    await assertRejects(() => queue.get({ timeoutMs: 0 }), ClosedError);
    assertEquals(await queue.tryGet(), { state: "closed" });
    await queue.close();
  },
});

conform("Queue.close() ends the waits of getters", {
  make: unlimited,
  test: async (queue) => {
    const waits = [follow(queue.get()), follow(queue.get({ timeoutMs: 1_000_000 }))];
    await reaching(queue, { waitingToGet: 2 });
    await queue.close();
    await settled(waits);
    for (const { reason } of waits) assertInstanceOf(reason, ClosedError);
  },
});

conform("Queue.join() waits until every item was reported", {
  make: unlimited,
  test: async (queue) => {
    await queue.join();
    await queue.put("a");
    await queue.put("b");
    const joins = [follow(queue.join()), follow(queue.join())];
    for (const expected of ["a", "b"]) {
      assertEquals(await queue.get(), expected);
      await pause();
      assertEquals(joins.map(({ state }) => state), ["waiting", "waiting"]);
      await queue.taskDone();
    }
    await settled(joins);
    assertEquals(joins.map(({ state }) => state), ["fulfilled", "fulfilled"]);
    await reaching(queue, { unfinished: 0 });
  },
});

conform("Queue.join() that is cancelled or times out changes nothing", {
  make: unlimited,
  test: async (queue) => {
    await queue.put("a");
    for (const timeoutMs of [0, 5]) await assertRejects(() => queue.join({ timeoutMs }), TimeoutError);
    const join = start((signal) => queue.join({ signal }));
    await pause();
    join.controller.abort("enough");
    await settled([join]);
    assertEquals(join.reason, "enough");
    await reaching(queue, { size: 1, unfinished: 1 });
  },
});

conform("Queue.taskDone() throws NotHeldError when there is nothing to report, and changes nothing", {
  make: unlimited,
  test: async (queue) => {
    await assertRejects(async () => await queue.taskDone(), NotHeldError);
    await queue.put("a");
    await assertRejects(async () => await queue.taskDone(), NotHeldError);
    await reaching(queue, { size: 1, unfinished: 1 });
    await queue.get();
    await queue.taskDone();
    await assertRejects(async () => await queue.taskDone(), NotHeldError);
    await reaching(queue, { size: 0, unfinished: 0 });
  },
});

for (const kind of KINDS) {
  conform(`Queue.drain() of kind ${kind} returns all that is inside in the order of get`, {
    make: ofKind(kind, 4),
    test: async (queue) => {
      const put = async () => {
        for (const [index, item] of ["a", "b", "c"].entries()) await queue.put(item, { priority: -index });
      };
      await put();
      const gotten = await empty(queue);
      for (let left = gotten.length; left > 0; left--) await queue.taskDone();
      await put();
      assertEquals(await queue.drain(), gotten);
      await queue.join();
      assertEquals(await queue.drain(), []);
    },
  });
}

conform("Queue.drain() makes room for who waits to put", {
  make: holding(1),
  test: async (queue) => {
    await queue.put("a");
    const wait = follow(queue.put("b"));
    await reaching(queue, { waitingToPut: 1 });
    assertEquals(await queue.drain(), ["a"]);
    await settled([wait]);
    await reaching(queue, { size: 1, unfinished: 1, waitingToPut: 0 });
  },
});

conform("Queue: an iteration ends when the queue is closed and empty", {
  make: unlimited,
  test: async (queue) => {
    await queue.put("a");
    await queue.put("b");
    const seen: string[] = [];
    const iteration = follow((async () => {
      for await (const item of queue) seen.push(item);
    })());
    await reaching(queue, { size: 0, waitingToGet: 1 });
    await queue.put("c");
    await queue.close();
    await settled([iteration]);
    assertEquals(iteration.state, "fulfilled");
    assertEquals(seen, ["a", "b", "c"]);
  },
});

conform("Queue: an iteration that is left loses no item", {
  make: unlimited,
  test: async (queue) => {
    for (const item of ["a", "b", "c"]) await queue.put(item);
    for await (const item of queue) {
      if (item === "b") break;
    }
    assertEquals(await empty(queue), ["c"]);
  },
});

conform("Queue leaves no listener on a signal, however the wait ends", {
  make: holding(1),
  test: async (queue) => {
    const { signal, listeners } = countingSignal();
    await assertRejects(() => queue.get({ signal, timeoutMs: 2 }), TimeoutError);
    const get = queue.get({ signal });
    await reaching(queue, { waitingToGet: 1 });
    assert(listeners() > 0, "the signal is listened to while a wait is under way");
    await queue.put("a", { signal });
    await get;
    await queue.put("b", { signal });
    await assertRejects(() => queue.join({ signal, timeoutMs: 2 }), TimeoutError);
    const put = follow(queue.put("c", { signal }));
    await reaching(queue, { waitingToPut: 1 });
    await queue.close();
    await settled([put]);
    await eventually(() => assertEquals(listeners(), 0));
  },
});

interface Model {
  kind: QueueKind;
  /** What is inside, in the order of get. */
  inside: { item: string; priority: number }[];
  putters: (CancellableWait<void> & { item: string; priority: number })[];
  getters: CancellableWait<string>[];
  /** Waits that should have ended with these values. */
  ended: { promise: Promise<string | void>; value: string | undefined }[];
  taken: number;
  count: number;
}

type Step = { type: "put" | "tryPut" | "get" | "tryGet" | "cancel" | "taskDone" | "drain"; n: number };

const MAX_SIZE = 3;

for (const kind of KINDS) {
  conformToModel(`Queue of kind ${kind} keeps its books, whatever is done to it`, {
    make: ofKind(kind, MAX_SIZE),
    steps: fc.record({
      type: fc.oneof(
        { weight: 5, arbitrary: fc.constantFrom("put" as const, "get" as const) },
        {
          weight: 2,
          arbitrary: fc.constantFrom(
            "tryPut" as const,
            "tryGet" as const,
            "cancel" as const,
            "taskDone" as const,
          ),
        },
        { weight: 1, arbitrary: fc.constant("drain" as const) },
      ),
      n: fc.nat({ max: 5 }),
    }),
    run: async (queue, program) => {
      const model: Model = { kind, inside: [], putters: [], getters: [], ended: [], taken: 0, count: 0 };
      for (const step of program) {
        await take(queue, { model, step });
        settle(model);
        for (const { promise, value } of model.ended.splice(0)) assertEquals(await promise, value);
        const { inside, putters, getters, taken } = model;
        await reaching(queue, {
          size: inside.length,
          unfinished: inside.length + taken,
          waitingToPut: putters.length,
          waitingToGet: getters.length,
        });
        assertEquals([...putters, ...getters].filter(({ state }) => state !== "waiting").length, 0);
      }
      await queue.close();
      await settled([...model.putters, ...model.getters]);
      for (const { reason } of [...model.putters, ...model.getters]) assertInstanceOf(reason, ClosedError);
      assertEquals(await queue.drain(), model.inside.map(({ item }) => item));
    },
  });
}

/** Does a step to both, the queue and its model. */
async function take(
  queue: Queue<string>,
  { model, step: { type, n } }: { model: Model; step: Step },
): Promise<void> {
  const { inside, putters, getters } = model;
  if (type === "put") {
    const item = String(model.count++);
    const wait = start((signal) => queue.put(item, { signal, priority: n }));
    putters.push(Object.assign(wait, { item, priority: n }));
  } else if (type === "tryPut") {
    const item = String(model.count++);
    const { state } = await queue.tryPut(item, { priority: n });
    assertEquals(state, inside.length < MAX_SIZE ? "ok" : "full");
    if (state === "ok") insert(model, { item, priority: n });
  } else if (type === "get") {
    getters.push(start((signal) => queue.get({ signal })));
  } else if (type === "tryGet") {
    const next = inside.shift();
    assertEquals(
      await queue.tryGet(),
      next === undefined ? { state: "empty" } : { state: "ok", item: next.item },
    );
    if (next !== undefined) model.taken += 1;
  } else if (type === "cancel") {
    const line: CancellableWait<unknown>[] = putters.length > 0 ? putters : getters;
    const [wait] = line.splice(n % Math.max(1, line.length), 1);
    if (wait === undefined) return;
    wait.controller.abort("enough");
    await settled([wait]);
    assertEquals(wait.reason, "enough");
  } else if (type === "taskDone" && model.taken > 0) {
    await queue.taskDone();
    model.taken -= 1;
  } else if (type === "drain") {
    assertEquals(await queue.drain(), inside.splice(0).map(({ item }) => item));
  }
}

/** Lets in who waits to put, and out who waits to get, until nobody can go on. */
function settle(model: Model): void {
  const { inside, putters, getters, ended } = model;
  while ((putters.length > 0 && inside.length < MAX_SIZE) || (getters.length > 0 && inside.length > 0)) {
    if (getters.length > 0 && inside.length > 0) {
      model.taken += 1;
      ended.push({ promise: getters.shift()!.promise, value: inside.shift()!.item });
    } else {
      const putter = putters.shift()!;
      ended.push({ promise: putter.promise, value: undefined });
      insert(model, putter);
    }
  }
}

function insert({ kind, inside }: Model, entry: { item: string; priority: number }): void {
  if (kind === "lifo") return void inside.unshift(entry);
  const place = kind === "fifo" ? -1 : inside.findIndex(({ priority }) => priority > entry.priority);
  inside.splice(place === -1 ? inside.length : place, 0, entry);
}
