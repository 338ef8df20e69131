import { assertEquals } from "@std/assert";
import type { BrokerChannel } from "../../lib/cluster/channel.ts";
import { exclusively, makeOnce } from "../../lib/cluster/creation.ts";
import { Log } from "../../lib/cluster/log.ts";
import { ClusterStore, objectName } from "../../lib/cluster/store.ts";
import { brokerTest, uniqueName, withStore } from "./broker.ts";

brokerTest(
  "Log.last() is what was appended last, however much was",
  (url) =>
    withStore(url, async (store) => {
      const channel = await (await store.connection()).channel("a log");
      const log = new Log<{ n: number; padding: string }>(objectName("event", uniqueName(), "log"));
      const padding = "x".repeat(3_000);
      await log.make(channel, { n: 0, padding });
      for (let n = 1; n <= 600; n++) {
        await log.append(channel, { n, padding });
        if (n % 60 === 0) assertEquals((await log.last(channel)).n, n);
      }
      await channel.ask((raw) => raw.queueDelete(log.queue));
    }),
);

brokerTest(
  "Log.follow() gets the last entry and every later one, and begins with any",
  (url) =>
    withStore(url, async (store) => {
      const connection = await store.connection();
      const channel = await connection.channel("a log");
      const log = new Log<number>(objectName("event", uniqueName(), "log"));
      await log.make(channel, 0);
      await log.append(channel, 1);
      const follower = await log.follow(await connection.channel("a log"));
      const first = await follower.next();
      assertEquals(first.state, 1);
      for (let n = 2; n <= 20; n++) await log.append(channel, n);
      for (let n = 2; n <= 20; n++) assertEquals((await follower.next()).state, n);
      const later = await log.follow(await connection.channel("a log"), first.offset);
      for (let n = 1; n <= 20; n++) assertEquals((await later.next()).state, n);
      await channel.ask((raw) => raw.queueDelete(log.queue));
    }),
);

/** An object that consists of a log. */
function creation(name: string, log: Log<number>, made: () => Promise<void>) {
  const object = objectName("event", name);
  return {
    what: `the event '${name}'`,
    object,
    mark: object,
    make: async (channel: BrokerChannel) => {
      await log.make(channel, 0);
      await made();
    },
  };
}

brokerTest("makeOnce() has one make the object, over however many connections they try", async (url) => {
  const name = uniqueName();
  const log = new Log<number>(objectName("event", name, "log"));
  const stores = await Promise.all(Array.from({ length: 4 }, () => ClusterStore.open(url)));
  let making = 0;
  const made = await Promise.all(
    [...stores, ...stores].map(async (store) => {
      const connection = await store.connection();
      return await makeOnce(
        connection,
        creation(name, log, () => Promise.resolve(void assertEquals(++making, 1))),
      );
    }),
  );
  assertEquals(made.filter((did) => did).length, 1);
  const channel = await (await stores[0]!.connection()).channel("an event");
  assertEquals(await log.last(channel), 0);
  await channel.ask((raw) => raw.queueDelete(log.queue));
  await channel.ask((raw) => raw.exchangeDelete({ exchange: objectName("event", name) }));
  for (const store of stores) await store.close();
});

brokerTest("makeOnce() makes anew what somebody left half made", async (url) => {
  const name = uniqueName();
  const log = new Log<number>(objectName("event", name, "log"));
  const crashing = await ClusterStore.open(url);
  const connection = await crashing.connection();
  const { promise: halfway, resolve } = Promise.withResolvers<void>();
  const crashed = makeOnce(
    connection,
    creation(name, log, () => {
      resolve();
      return new Promise(() => {});
    }),
  );
  void crashed.catch(() => {});
  await halfway;
  await withStore(url, async (store) => {
    const connection = await store.connection();
    const making = makeOnce(connection, creation(name, log, () => Promise.resolve()));
    await crashing.close();
    assertEquals(await making, true);
    const channel = await connection.channel("an event");
    assertEquals(await log.last(channel), 0);
    await channel.ask((raw) => raw.queueDelete(log.queue));
    await channel.ask((raw) => raw.exchangeDelete({ exchange: objectName("event", name) }));
  });
});

brokerTest("exclusively() lets one work at a time, in one connection and between them", async (url) => {
  const object = objectName("lock", uniqueName());
  const stores = await Promise.all([ClusterStore.open(url), ClusterStore.open(url)]);
  let inside = 0;
  await Promise.all(Array.from({ length: 12 }, async (_, index) => {
    const connection = await stores[index % 2]!.connection();
    await exclusively(connection, { what: "a lock", object }, async (channel) => {
      assertEquals(++inside, 1);
      await channel.raw.basicQos({ prefetchCount: 1 });
      inside -= 1;
    });
  }));
  for (const store of stores) await store.close();
});
