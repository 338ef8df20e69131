import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClusterConsumer } from "../../lib/cluster/consumer.ts";
import { ClusterQueue } from "../../lib/cluster/queue.ts";
import { ClusterReach } from "../../lib/cluster/reach.ts";
import { ClusterStore } from "../../lib/cluster/store.ts";
import { ClosedError, NotHeldError, TimeoutError, UsageError } from "../../lib/errors.ts";
import type { NamedQueueOptions } from "../../lib/named.ts";
import { eventually, follow, reaching, settled } from "../conformance/waits.ts";
import { brokerTest, Link, uniqueName, withStore } from "./broker.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (item: Uint8Array) => new TextDecoder().decode(item);

/** Has a test use a queue that is deleted afterwards, if it is still there. */
function queueTest(
  title: string,
  options: NamedQueueOptions,
  body: (queue: ClusterQueue, place: { store: ClusterStore; name: string; url: string }) => Promise<void>,
): void {
  brokerTest(title, (url) =>
    withStore(url, async (store) => {
      const name = uniqueName();
      const queue = await ClusterQueue.open(store, name, options);
      await body(queue, { store, name, url });
      if (await ClusterQueue.exists(store, name)) await queue.delete();
    }));
}

queueTest(
  "ClusterQueue.open() names both if the queue is another",
  { maxSize: 2 },
  async (_, { store, name }) => {
    for (const options of [{ maxSize: 3 }, { kind: "priority" }, { maxSize: Infinity }] as const) {
      await assertRejects(
        () => ClusterQueue.open(store, name, options),
        UsageError,
        `'${name}' is fifo, for 2 items at most, not `,
      );
    }
    await ClusterQueue.open(store, name, { kind: "fifo", maxSize: 2 });
    await ClusterQueue.open(store, name);
  },
);

brokerTest(
  "ClusterQueue refuses what brokers cannot do, and makes nothing then",
  (url) =>
    withStore(url, async (store) => {
      const name = uniqueName();
      await assertRejects(() => ClusterQueue.open(store, name, { kind: "lifo" }), UsageError, "lifo");
      await assertRejects(() => ClusterQueue.open(store, name, { maxSize: 0 }), RangeError, "maxSize");
      const refused = { dedup: { dedup: "key" }, "48 days": { delayMs: 60 * 86_400_000 } };
      for (const [reason, items] of Object.entries(refused)) {
        await assertRejects(() => ClusterQueue.open(store, name, { items }), UsageError, reason);
      }
      await assertRejects(() => ClusterConsumer.open(store, name, { leaseMs: 1_000 }), UsageError, "--lease");
      assertEquals(await ClusterQueue.exists(store, name), false);
      const queue = await ClusterQueue.open(store, name, { kind: "priority" });
      for (const priority of [16, -17, 0.5]) {
        await assertRejects(() => queue.put(bytes("a"), { priority }), UsageError, "from -16 to 15");
      }
      await assertRejects(() => queue.put(bytes("a"), { dedup: "key" }), UsageError, "key");
      await assertRejects(() => queue.putMany([bytes("a")], { dedup: () => "key" }), UsageError, "key");
      await assertRejects(
        () => queue.put(bytes("a"), { delayMs: 48 * 86_400_000 + 1 }),
        UsageError,
        "48 days",
      );
      assertEquals((await queue.status()).size, 0);
      await queue.delete();
    }),
);

queueTest(
  "ClusterQueue.put() with a delay is received once that is over, and counts until then",
  {},
  async (queue) => {
    await queue.put(bytes("late"), { delayMs: 300 });
    const { size, delayed, unfinished } = await queue.status();
    assertEquals({ size, delayed, unfinished }, { size: 1, delayed: 1, unfinished: 1 });
    assertEquals(await queue.tryGet(), { state: "empty" });
    const { item, token, attempts } = await queue.receive();
    assertEquals([text(item), attempts], ["late", 1]);
    await queue.ack(token);
    await queue.join();
  },
);

queueTest(
  "an item that is given back counts its attempts, and in the end is a dead letter",
  {},
  async (queue) => {
    await queue.put(bytes("bad"));
    for (const expected of [1, 2, 3]) {
      const { token, attempts } = await queue.receive();
      assertEquals(attempts, expected);
      await queue.giveBack(token, { delayMs: 20, error: `failed ${expected}`, dead: expected === 3 });
      assertEquals((await queue.status()).leased, 0);
    }
    const [letter, ...others] = await queue.deadLetters();
    assertEquals(others, []);
    assertEquals([text(letter!.item), letter!.attempts, letter!.error], ["bad", 3, "failed 3"]);
    assert(Math.abs(letter!.putAt.getTime() - Date.now()) < 60_000);
    // They stay when they are looked at.
    assertEquals((await queue.status()).dead, 1);
    assertEquals(await queue.redrive(), 1);
    const { item, attempts, token } = await queue.receive();
    assertEquals([text(item), attempts], ["bad", 1]);
    await queue.ack(token);
    assertEquals((await queue.status()).dead, 0);
    await assertRejects(() => queue.ack(token), NotHeldError);
  },
);

queueTest(
  "what is only looked at, or given back unread, keeps its place and is no attempt",
  {},
  async (queue) => {
    await queue.putMany(["a", "b", "c"].map(bytes));
    for (let time = 0; time < 4; time++) assertEquals((await queue.peek(2)).map(text), ["a", "b"]);
    const [first, second] = await queue.receiveMany(2);
    await queue.giveBack(first!.token, { counts: false });
    await queue.giveBack(second!.token, { counts: false });
    const all = await queue.receiveMany(9);
    assertEquals(all.map(({ item, attempts }) => [text(item), attempts]), [["a", 1], ["b", 1], ["c", 1]]);
    await queue.ack(...all.map(({ token }) => token));
  },
);

queueTest(
  "ClusterQueue.putMany() puts as many as there is room for, in order",
  { maxSize: 3 },
  async (queue) => {
    const items = ["a", "b", "c", "d"].map(bytes);
    assertEquals(await queue.putMany(items), { taken: 3, duplicates: 0 });
    assertEquals(await queue.putMany(items), { taken: 0, duplicates: 0 });
    assertEquals((await queue.drain()).map(text), ["a", "b", "c"]);
  },
);

queueTest("ClusterQueue.putMany() of many items loses none", {}, async (queue) => {
  const items = Array.from({ length: 3_000 }, (_, index) => bytes(String(index)));
  assertEquals(await queue.putMany(items), { taken: 3_000, duplicates: 0 });
  assertEquals((await queue.status()).size, 3_000);
  assertEquals((await queue.peek(3)).map(text), ["0", "1", "2"]);
  assertEquals(await queue.purge(), 3_000);
});

queueTest(
  "ClusterQueue.delete() turns away who waits, and the name is free",
  { maxSize: 1 },
  async (queue, { store, name }) => {
    const other = await ClusterQueue.open(store, name);
    await queue.put(bytes("a"));
    const put = follow(other.put(bytes("b")));
    await reaching(queue, { waitingToPut: 1 });
    assertEquals(await queue.delete(), 1);
    await settled([put]);
    assert(put.reason instanceof ClosedError, String(put.reason));
    await assertRejects(() => queue.get(), ClosedError, "deleted");
    assertEquals(await ClusterQueue.exists(store, name), false);
    const next = await ClusterQueue.open(store, name, { kind: "priority" });
    const get = follow(next.get());
    await reaching(next, { waitingToGet: 1 });
    await next.delete();
    await settled([get]);
    assert(get.reason instanceof ClosedError, String(get.reason));
  },
);

queueTest(
  "ClusterConsumer has at most `concurrency` items, and gives back what it did not hand out",
  {},
  async (queue, { store, name }) => {
    await queue.putMany(["a", "b", "c", "d"].map(bytes));
    const reach = new ClusterReach(store);
    const consumer = await reach.consumer(name, { concurrency: 2 });
    const [first, second] = [await consumer.next(), await consumer.next()];
    assertEquals([first, second].map((received) => text(received!.item)), ["a", "b"]);
    const third = follow(consumer.next());
    await reaching(queue, { size: 2, unfinished: 4 });
    assertEquals(third.state, "waiting");
    consumer.done(first!.token);
    assertEquals(text((await third.promise)!.item), "c");
    consumer.giveBack(second!.token, { delayMs: 10, error: "no" });
    consumer.done(third.value!.token);
    await consumer.close();
    await eventually(async () => {
      const { size, leased, delayed } = await queue.status();
      assertEquals({ size, leased, delayed }, { size: 2, leased: 0, delayed: 0 });
    });
    const rest = await queue.receiveMany(9);
    assertEquals(rest.map(({ item, attempts }) => [text(item), attempts]), [["d", 1], ["b", 2]]);
    await queue.ack(...rest.map(({ token }) => token));
  },
);

queueTest(
  "ClusterConsumer with untilEmpty ends once every item is dealt with",
  {},
  async (queue, { store, name }) => {
    await queue.put(bytes("a"));
    const mine = await queue.receive();
    const consumer = await new ClusterReach(store).consumer(name, { untilEmpty: true });
    const next = follow(consumer.next());
    await reaching(queue, { unfinished: 1 });
    assertEquals(next.state, "waiting");
    await queue.ack(mine.token);
    assertEquals(await next.promise, undefined);
    await consumer.close();
  },
);

queueTest(
  "a wait for an item, whose link is cut, goes on once it is mended",
  {},
  async (queue, { name, url }) => {
    await using link = new Link(url, "?heartbeat=1");
    await using far = await ClusterStore.open(link.url);
    const get = (await ClusterQueue.open(far, name)).get();
    await reaching(queue, { waitingToGet: 1 });
    const { lost } = await far.connection();
    link.cut();
    await eventually(() => assert(lost.aborted));
    link.mend();
    await queue.put(bytes("a"));
    assertEquals(text(await get), "a");
  },
);

queueTest(
  "an item whose worker is cut off is another's, and the worker is told before",
  {},
  async (queue, { name, url }) => {
    await using link = new Link(url, "?heartbeat=1");
    await using far = await ClusterStore.open(link.url);
    await queue.put(bytes("a"));
    const consumer = await new ClusterReach(far).consumer(name);
    const lost: string[] = [];
    consumer.onLost = (token) => lost.push(token);
    const { token } = (await consumer.next())!;
    link.cut();
    const again = await queue.receive();
    assertEquals([text(again.item), again.attempts, lost], ["a", 2, [token]]);
    // Nothing happens to what is not ours any more.
    consumer.done(token);
    consumer.giveBack(token, { dead: true });
    assertEquals((await queue.status()).dead, 0);
    await queue.ack(again.token);
    consumer[Symbol.dispose]();
  },
);

queueTest("a put through a link that is cut is done once it is mended", {}, async (queue, { name, url }) => {
  await using link = new Link(url, "?heartbeat=1");
  await using far = await ClusterStore.open(link.url);
  const distant = await ClusterQueue.open(far, name);
  await distant.put(bytes("a"));
  link.cut();
  const put = follow(distant.put(bytes("b")));
  const { lost } = await far.connection();
  await eventually(() => assert(lost.aborted));
  assertEquals(put.state, "waiting");
  link.mend();
  await put.promise;
  assertEquals((await queue.drain()).map(text), ["a", "b"]);
});

queueTest("ClusterQueue.join() times out while something is under way", {}, async (queue) => {
  await queue.put(bytes("a"));
  await assertRejects(() => queue.join({ timeoutMs: 30 }), TimeoutError);
  const { token } = await queue.receive();
  await assertRejects(() => queue.join({ timeoutMs: 30 }), TimeoutError);
  await queue.ack(token);
  await queue.join();
});
