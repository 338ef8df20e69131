import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { bytesToText } from "../../lib/bytes.ts";
import { ClosedError, NotHeldError, UsageError } from "../../lib/errors.ts";
import { uptimeMs } from "../../lib/host/clock.ts";
import { HostConsumer } from "../../lib/host/consumer.ts";
import { type Codec, HostQueue, type HostQueueOptions } from "../../lib/host/queue.ts";
import { Store } from "../../lib/host/store.ts";
import type { QueueKind } from "../../lib/primitives.ts";
import { eventually, follow } from "../conformance/waits.ts";
import { lineUpAs, Sleeper } from "./stores.ts";

const TEXT: Codec<string> = {
  encode: (item) => new TextEncoder().encode(item),
  decode: (bytes) => new TextDecoder().decode(bytes),
};

async function withStore(body: (store: Store) => void | Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "conc-test-" });
  const store = new Store(`${directory}/conc.db`);
  try {
    await body(store);
  } finally {
    store.close();
    await Deno.remove(directory, { recursive: true });
  }
}

function texts(store: Store, options: Omit<HostQueueOptions<string>, "codec"> = {}): HostQueue<string> {
  return new HostQueue(store, "jobs", { ...options, codec: TEXT });
}

/** Starts a process that holds an item, and waits until it does. */
async function startHolder(
  store: Store,
  ...args: string[]
): Promise<{ child: Deno.ChildProcess; item: string; pid: number }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--allow-all", "--no-check", "--no-lock", import.meta.resolve("./queue_holder.ts")],
      ...[store.path, "jobs", ...args],
    ],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) text += (await reader.read()).value ?? "";
  await reader.cancel();
  return { child, ...JSON.parse(text) };
}

async function kill(child: Deno.ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await child.status;
}

Deno.test("HostQueue.put() with a delay is not gotten before its time, on the clock that nobody sets", () =>
  withStore(async (store) => {
    const queue = texts(store);
    const now = Date.now;
    const putMs = uptimeMs();
    await queue.put("late", { delayMs: 150 });
    assertEquals(queue.tryGet(), { state: "empty" });
    assertEquals({ size: queue.status().size, delayed: queue.status().delayed }, { size: 1, delayed: 1 });
    Date.now = () => now() - 3_600_000;
    try {
      assertEquals(await queue.get(), "late");
    } finally {
      Date.now = now;
    }
    assert(uptimeMs() - putMs >= 150);
  }));

Deno.test("HostQueue.status() does not count who died while it waited", () =>
  withStore(async (store) => {
    const queue = texts(store, { maxSize: 1 });
    await using getter = new Sleeper();
    await using joiner = new Sleeper();
    await using putter = new Sleeper();
    lineUpAs(store, { line: "queue:jobs:get", owner: getter.identity });
    lineUpAs(store, { line: "queue:jobs:put", owner: putter.identity });
    lineUpAs(store, { line: "queue:jobs:join", owner: joiner.identity });
    const waiting = () => [queue.status().waitingToGet, queue.status().waitingToPut];
    assertEquals(waiting(), [1, 1]);
    for (const sleeper of [getter, putter, joiner]) await sleeper.kill();
    assertEquals(waiting(), [0, 0]);
    assertEquals(store.all("SELECT * FROM waiters"), []);
  }));

Deno.test("HostQueue.put() with a delay is handed over at its time, though who is at the head of the line does not look", () =>
  withStore(async (store) => {
    const queue = texts(store);
    await using stopped = new Sleeper();
    lineUpAs(store, { line: "queue:jobs:get", owner: stopped.identity });
    const behind = queue.receive();
    await queue.put("late", { delayMs: 50 });
    await eventually(() => assertEquals(queue.status().leased, 1));
    await queue.put("next");
    assertEquals((await behind).item, "next");
  }));

Deno.test("HostQueue.put() with a delay lets others pass", () =>
  withStore(async (store) => {
    const queue = texts(store);
    await queue.put("late", { delayMs: 60_000 });
    await queue.put("at once");
    assertEquals(queue.peek(9), ["at once"]);
    assertEquals(await queue.get(), "at once");
    assertEquals(queue.purge(), 1);
  }));

Deno.test("HostQueue.put() puts a key once, until its item has left", () =>
  withStore(async (store) => {
    const queue = texts(store);
    for (let i = 0; i < 3; i++) await queue.put("backup", { dedup: "nightly" });
    assertEquals(queue.status().size, 1);
    const { token } = await queue.receive();
    await queue.put("backup", { dedup: "nightly" });
    assertEquals(queue.status().size, 0);
    queue.ack(token);
    await queue.put("backup", { dedup: "nightly" });
    assertEquals(queue.status().size, 1);
  }));

Deno.test("HostQueue.put() with a key that is there waits for no room", () =>
  withStore(async (store) => {
    const queue = texts(store, { maxSize: 1 });
    await queue.put("backup", { dedup: "nightly" });
    await queue.put("backup", { dedup: "nightly", timeoutMs: 0 });
    assertEquals(queue.putMany(["a", "b"], { dedup: () => "nightly" }), { taken: 2, duplicates: 2 });
    assertEquals(queue.status().size, 1);
  }));

Deno.test("HostQueue.putMany() tells keys apart that are no valid UTF-8", () =>
  withStore((store) => {
    const queue = new HostQueue(store, "jobs");
    const items = [[0xff], [0xfe], [0xff], [0xef, 0xbf, 0xbd]].map((bytes) => new Uint8Array(bytes));
    assertEquals(queue.putMany(items, { dedup: bytesToText }), { taken: 4, duplicates: 1 });
  }));

Deno.test("HostQueue.putMany() takes the first ones that there is room for, in their order", () =>
  withStore((store) => {
    const queue = texts(store, { maxSize: 3 });
    assertEquals(queue.putMany(["a", "b", "c", "d"]), { taken: 3, duplicates: 0 });
    assertEquals(queue.putMany(["d"]), { taken: 0, duplicates: 0 });
    assertEquals(queue.drain(), ["a", "b", "c"]);
    assertEquals(queue.putMany(["d", "e"]), { taken: 2, duplicates: 0 });
    assertEquals(queue.drain(), ["d", "e"]);
  }));

Deno.test("HostQueue.putMany() overtakes nobody who waits to put", () =>
  withStore(async (store) => {
    const queue = texts(store, { maxSize: 1 });
    await queue.put("a");
    const waiting = queue.put("b");
    await eventually(() => assertEquals(queue.statistics().waitingToPut, 1));
    assertEquals(queue.putMany(["c"]).taken, 0);
    assertEquals(await queue.get(), "a");
    await waiting;
    assertEquals(queue.drain(), ["b"]);
  }));

Deno.test("HostQueue.putMany() puts nothing if one item cannot be put", () =>
  withStore((store) => {
    const queue = texts(store);
    assertThrows(() => queue.putMany(["a"], { delayMs: -1 }), RangeError, "'delayMs' must be 0 or more");
    assertThrows(() => queue.putMany(["a"], { priority: NaN }), RangeError, "'priority' must be a number");
    queue.close();
    assertThrows(() => queue.putMany(["a"]), ClosedError);
    assertEquals(queue.status().size, 0);
  }));

for (const kind of ["fifo", "lifo", "priority"] as const) {
  Deno.test(`HostQueue.giveBack() gives an item its old place in a queue of kind ${kind}`, () =>
    withStore((store) => {
      const queue = texts(store, { kind });
      queue.putMany(["a", "b", "c"]);
      const [first, second] = queue.receiveMany(2);
      queue.giveBack(first!.token);
      queue.giveBack(second!.token);
      assertEquals(queue.drain(), kind === "lifo" ? ["c", "b", "a"] : ["a", "b", "c"]);
    }));
}

Deno.test("HostQueue.giveBack() counts the attempts, but those that were no fault of the item", () =>
  withStore(async (store) => {
    const queue = texts(store);
    await queue.put("a");
    const attempts: number[] = [];
    for (const counts of [true, false, false, true]) {
      const delivery = await queue.receive();
      attempts.push(delivery.attempts);
      queue.giveBack(delivery.token, { counts });
    }
    assertEquals([...attempts, (await queue.receive()).attempts], [1, 2, 2, 2, 3]);
  }));

Deno.test("HostQueue.giveBack() makes dead letters, which redrive() makes new", () =>
  withStore(async (store) => {
    const queue = texts(store);
    await queue.put("bad", { dedup: "key" });
    const { token } = await queue.receive();
    queue.giveBack(token, { dead: true, error: "exit code 3" });
    const [{ item, attempts, error }] = queue.deadLetters() as [ReturnType<typeof queue.deadLetters>[0]];
    assertEquals({ item, attempts, error }, { item: "bad", attempts: 1, error: "exit code 3" });
    await queue.join({ timeoutMs: 0 });
    assertEquals(queue.tryGet(), { state: "empty" });
    await queue.put("another", { dedup: "key" });
    assertEquals(queue.redrive(), 1);
    assertEquals(queue.status().dead, 0);
    const again = await queue.receive();
    assertEquals({ item: again.item, attempts: again.attempts }, { item: "bad", attempts: 1 });
  }));

Deno.test("HostQueue.receive() under a lease of some time: it ends, and then the item is another's", () =>
  withStore(async (store) => {
    const queue = texts(store);
    queue.putMany(["short", "long"]);
    const short = await queue.receive({ leaseMs: 30 });
    const long = await queue.receive({ leaseMs: 30 });
    queue.extend(long.token, 3_600_000);
    const again = await queue.receive();
    assertEquals({ item: again.item, attempts: again.attempts }, { item: "short", attempts: 2 });
    assertThrows(() => queue.ack(short.token), NotHeldError, "was settled, or has ended");
    assertThrows(() => queue.giveBack(short.token), NotHeldError);
    assertThrows(() => queue.extend(short.token, 1_000), NotHeldError);
    queue.ack(long.token, again.token);
    assertEquals(queue.status().unfinished, 0);
  }));

Deno.test("HostQueue.ack() acknowledges all or none", () =>
  withStore(async (store) => {
    const queue = texts(store);
    await queue.put("a");
    const { token } = await queue.receive();
    assertThrows(() => queue.ack(token, "no lease"), NotHeldError);
    assertEquals(queue.status().leased, 1);
    queue.ack(token);
    assertThrows(() => queue.ack(token), NotHeldError);
  }));

Deno.test("HostQueue.receiveMany() receives up to so many items, or bytes", () =>
  withStore((store) => {
    const queue = texts(store);
    queue.putMany(["aaaa", "bbbb", "cccc", "dddd"]);
    assertEquals(queue.receiveMany(9, { maxBytes: 5 }).map(({ item }) => item), ["aaaa", "bbbb"]);
    assertEquals(queue.receiveMany(1).map(({ item }) => item), ["cccc"]);
    assertEquals(queue.receiveMany(9).map(({ item }) => item), ["dddd"]);
    assertEquals(queue.receiveMany(9), []);
  }));

Deno.test("HostQueue gives back what a worker had that was killed, while the others go on", () =>
  withStore(async (store) => {
    const queue = texts(store);
    queue.putMany(["killed", "ours"]);
    const { child, item } = await startHolder(store);
    assertEquals(item, "killed");
    const ours = await queue.receive();
    assertEquals(queue.status().leased, 2);
    await kill(child);
    const again = await queue.receive();
    assertEquals({ item: again.item, attempts: again.attempts }, { item: "killed", attempts: 2 });
    queue.ack(ours.token, again.token);
    await queue.join({ timeoutMs: 0 });
  }));

Deno.test("HostQueue leaves an item to the job of a worker that was killed, as long as the job lives", () =>
  withStore(async (store) => {
    const queue = texts(store);
    queue.putMany(["orphaned"]);
    const { child, pid } = await startHolder(store, "job");
    await kill(child);
    const waiting = follow(queue.receive());
    await eventually(() => assertEquals(queue.statistics().waitingToGet, 1));
    assertEquals(queue.status().leased, 1);
    assertEquals(waiting.state, "waiting");
    Deno.kill(pid, "SIGKILL");
    const { item, token } = await waiting.promise;
    assertEquals(item, "orphaned");
    queue.ack(token);
  }));

Deno.test("a store that outlived the machine's start: what was leased is ready, what was delayed still is", () =>
  withStore(async (store) => {
    const queue = texts(store);
    queue.putMany(["leased", "ready"]);
    await queue.put("late", { delayMs: 3_600_000 });
    await queue.put("soon", { delayMs: 3_600_000 });
    const { token } = await queue.receive();
    const database = new DatabaseSync(store.path);
    database.exec("UPDATE meta SET value = 'the boot before' WHERE key = 'boot'");
    // Uptimes of before are far ahead of those of now; only the wall clock goes on.
    database.exec("UPDATE items SET due = due + 1000000000 WHERE due IS NOT NULL");
    database.prepare("UPDATE items SET dueAt = ? WHERE data = CAST('soon' AS BLOB)").run(Date.now() - 1_000);
    database.close();
    using after = new Store(store.path);
    const again = texts(after);
    const { size, leased, delayed } = again.status();
    assertEquals({ size, leased, delayed }, { size: 4, leased: 0, delayed: 1 });
    assertEquals(again.drain(), ["leased", "ready", "soon"]);
    assertThrows(() => queue.ack(token), NotHeldError);
  }));

Deno.test("HostQueue says what it is where two disagree", () =>
  withStore((store) => {
    texts(store, { kind: "lifo", maxSize: 3 });
    assertEquals(texts(store).status().kind, "lifo");
    assertThrows(
      () => texts(store, { kind: "fifo" }),
      UsageError,
      "the queue 'jobs' is lifo, for 3 items at most: leave these out, or delete it first",
    );
    assertThrows(() => texts(store, { maxSize: Infinity }), UsageError);
  }));

Deno.test("HostQueue.delete() turns away who waits, and all that is left is gone", () =>
  withStore(async (store) => {
    const queue = texts(store);
    const waiting = assertRejects(() => queue.get(), ClosedError);
    await eventually(() => assertEquals(queue.statistics().waitingToGet, 1));
    queue.delete();
    await waiting;
    assertEquals(HostQueue.exists(store, "jobs"), false);
    assertEquals(HostQueue.list(store), []);
  }));

Deno.test("HostConsumer settles with the next receive, at the latest at the end of the turn", () =>
  withStore(async (store) => {
    const queue = new HostQueue(store, "jobs");
    queue.putMany([Uint8Array.of(1), Uint8Array.of(2)]);
    using consumer = new HostConsumer(store, queue);
    consumer.done((await consumer.next())!.token);
    assertEquals(queue.status().leased, 1);
    const second = await consumer.next();
    assertEquals(queue.status().leased, 1);
    consumer.giveBack(second!.token, { counts: false });
    await eventually(() => assertEquals([queue.status().leased, queue.status().size], [0, 1]));
  }));

Deno.test("HostConsumer that works until all is done waits for what others have, and gets it if they give it back", () =>
  withStore(async (store) => {
    const queue = new HostQueue(store, "jobs");
    queue.putMany([Uint8Array.of(1), Uint8Array.of(2)]);
    const others = queue.receiveMany(2);
    using consumer = new HostConsumer(store, queue, { untilEmpty: true });
    const next = follow(consumer.next());
    await eventually(() => assertEquals(queue.statistics().waitingToGet, 1));
    queue.giveBack(others[0]!.token, { error: "exit code 1" });
    const received = await next.promise;
    assertEquals({ item: received!.item, attempts: received!.attempts }, {
      item: Uint8Array.of(1),
      attempts: 2,
    });
    const last = follow(consumer.next());
    consumer.done(received!.token);
    await eventually(() => assertEquals(queue.status().leased, 1));
    assertEquals(last.state, "waiting");
    queue.ack(others[1]!.token);
    assertEquals(await last.promise, undefined);
    assertEquals(await consumer.next(), undefined);
  }));

Deno.test("HostConsumer resolves with undefined once it is stopped, or the queue is deleted", () =>
  withStore(async (store) => {
    const queue = new HostQueue(store, "jobs");
    const controller = new AbortController();
    using stopped = new HostConsumer(store, queue, { signal: controller.signal });
    const waiting = stopped.next();
    await eventually(() => assertEquals(queue.statistics().waitingToGet, 1));
    controller.abort();
    assertEquals([await waiting, await stopped.next()], [undefined, undefined]);
    using turnedAway = new HostConsumer(store, queue);
    const other = turnedAway.next();
    await eventually(() => assertEquals(queue.statistics().waitingToGet, 1));
    queue.delete();
    assertEquals(await other, undefined);
  }));

Deno.test("HostConsumer extends its leases while it holds items, and says which one was taken away", () =>
  withStore(async (store) => {
    const queue = new HostQueue(store, "jobs");
    queue.putMany([Uint8Array.of(1), Uint8Array.of(2)]);
    using consumer = new HostConsumer(store, queue, { leaseMs: 60 });
    const [first, second] = [await consumer.next(), await consumer.next()];
    const expiry = (token: string) =>
      store.get<{ expires: number }>("SELECT expires FROM leases WHERE token = ?", token)?.expires;
    const before = expiry(first!.token)!;
    await eventually(() => assert(expiry(first!.token)! > before));
    const lost: string[] = [];
    consumer.onLost = (token) => lost.push(token);
    queue.giveBack(second!.token);
    await eventually(() => assertEquals(lost, [second!.token]));
    consumer.done(second!.token);
    consumer.done(first!.token);
    await eventually(() => assertEquals(lost, [second!.token, second!.token]));
    assertEquals([queue.status().leased, queue.status().size], [0, 1]);
  }));

interface Entry {
  item: string;
  rank: number;
  attempts: number;
}

interface Model {
  waiting: Entry[];
  leased: Map<string, Entry>;
  dead: Entry[];
}

type Step =
  | { step: "put"; priority: number }
  | { step: "receive" }
  | { step: "redrive" }
  | { step: "purge" }
  | { step: "ack" | "giveBack" | "dead"; nth: number };

const STEPS: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ step: fc.constant("put" as const), priority: fc.integer({ min: -2, max: 2 }) }),
  fc.record({ step: fc.constant("receive" as const) }),
  fc.record({ step: fc.constantFrom("ack" as const, "giveBack" as const, "dead" as const), nth: fc.nat(5) }),
  fc.record({ step: fc.constant("redrive" as const) }),
  fc.record({ step: fc.constant("purge" as const) }),
);

for (const kind of ["fifo", "lifo", "priority"] as const) {
  Deno.test(`HostQueue of kind ${kind} does what its model does`, () =>
    withStore(async (store) => {
      let run = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(STEPS, { maxLength: 40 }), async (steps) => {
          const queue = new HostQueue(store, `model-${kind}-${run++}`, { kind, codec: TEXT });
          const model: Model = { waiting: [], leased: new Map(), dead: [] };
          for (const [index, step] of steps.entries()) await play(queue, { model, kind, step, index });
          queue.delete();
        }),
        { numRuns: 50 },
      );
    }));
}

/** Does a step to both, and compares. */
async function play(
  queue: HostQueue<string>,
  { model, kind, step, index }: { model: Model; kind: QueueKind; step: Step; index: number },
): Promise<void> {
  const { waiting, leased, dead } = model;
  if (step.step === "put") {
    await queue.put(String(index), { priority: step.priority });
    const place = kind === "lifo" ? -index : index;
    waiting.push({
      item: String(index),
      rank: place + (kind === "priority" ? 1_000 * step.priority : 0),
      attempts: 0,
    });
  } else if (step.step === "receive") {
    const entry = waiting.shift();
    const delivery = queue.tryReceive();
    assertEquals(delivery?.item, entry?.item);
    if (entry !== undefined) {
      entry.attempts += 1;
      assertEquals(delivery!.attempts, entry.attempts);
      leased.set(delivery!.token, entry);
    }
  } else if (step.step === "redrive") {
    assertEquals(queue.redrive(), dead.length);
    waiting.push(...dead.splice(0).map((entry) => ({ ...entry, attempts: 0 })));
  } else if (step.step === "purge") {
    assertEquals(queue.purge(), waiting.splice(0).length);
  } else {
    const [token, entry] = [...leased][step.nth] ?? [];
    if (token === undefined) return;
    leased.delete(token);
    if (step.step === "ack") queue.ack(token);
    else queue.giveBack(token, { dead: step.step === "dead" });
    if (step.step === "giveBack") waiting.push(entry!);
    if (step.step === "dead") dead.push(entry!);
  }
  waiting.sort((a, b) => a.rank - b.rank);
  const { size, ...status } = queue.status();
  assertEquals([size, status.leased, status.dead], [waiting.length, leased.size, dead.length]);
  assertEquals(queue.peek(99), waiting.map(({ item }) => item));
}
