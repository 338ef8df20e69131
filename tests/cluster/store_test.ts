import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { ClusterLock } from "../../lib/cluster/lock.ts";
import { ClusterStore, objectName } from "../../lib/cluster/store.ts";
import { ClosedError, NotHeldError, SystemError, TimeoutError } from "../../lib/errors.ts";
import { brokerFaultTest, brokerTest, control, Link, uniqueName, withStore } from "./broker.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const QUORUM = { durable: true, arguments: { "x-queue-type": "quorum" } } as const;

function aborted(signal: AbortSignal): Promise<unknown> {
  if (signal.aborted) return Promise.resolve(signal.reason);
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(signal.reason), { once: true })
  );
}

brokerTest("ClusterStore.open() says so if the password is wrong, and does not print it", async (url) => {
  const wrong = new URL(url);
  wrong.password = "s3cret";
  const error = await assertRejects(() => ClusterStore.open(wrong.href), SystemError, "refuses user 'conc'");
  assertEquals(Deno.inspect(error).includes("s3cret"), false);
});

brokerTest("ClusterStore.open() says so if there is no such vhost", async (url) => {
  await assertRejects(() => ClusterStore.open(`${url}/nowhere`), SystemError, "has no vhost 'nowhere'");
});

brokerTest(
  "BrokerChannel.publish() resolves once the broker has the message",
  (url) =>
    withStore(url, async (store) => {
      const queue = objectName("queue", uniqueName());
      const channel = await (await store.connection()).channel("a queue");
      await channel.ask((raw) => raw.queueDeclare({ queue, ...QUORUM }));
      const results = await Promise.all(
        Array.from({ length: 300 }, (_, i) => channel.publish({ routingKey: queue }, bytes(`item ${i}`))),
      );
      assertEquals(new Set(results), new Set(["confirmed"]));
      const first = await channel.ask((raw) => raw.basicGet({ queue, noAck: true }));
      assertEquals([String(first!.body), first!.messageCount], ["item 0", 299]);
      await channel.ask((raw) => raw.queueDelete({ queue }));
    }),
);

brokerTest(
  "BrokerChannel.publish() tells a queue that is not there from one that is full",
  (url) =>
    withStore(url, async (store) => {
      const queue = objectName("queue", uniqueName());
      const channel = await (await store.connection()).channel("a queue");
      assertEquals(await channel.publish({ routingKey: queue }, bytes("a")), "unroutable");
      const limits = { "x-max-length": 1, "x-overflow": "reject-publish" } as const;
      await channel.ask((raw) => raw.queueDeclare({ queue, durable: true, arguments: limits }));
      assertEquals(await channel.publish({ routingKey: queue }, bytes("a")), "confirmed");
      assertEquals(await channel.publish({ routingKey: queue }, bytes("b")), "rejected");
      await channel.ask((raw) => raw.queueDelete({ queue }));
    }),
);

brokerTest(
  "BrokerChannel.ask() says so if a queue has other properties, and ends that channel only",
  (url) =>
    withStore(url, async (store) => {
      const queue = objectName("queue", uniqueName());
      const connection = await store.connection();
      const [channel, other] = [await connection.channel("the queue 'jobs'"), await connection.channel("b")];
      await other.ask((raw) => raw.queueDeclare({ queue, ...QUORUM }));
      const error = await assertRejects(
        () => channel.ask((raw) => raw.queueDeclare({ queue, durable: true })),
        SystemError,
        "cannot use the queue 'jobs' at",
      );
      assertStringIncludes(error.message, "exists with other properties: inequivalent arg 'x-queue-type'");
      await aborted(channel.lost);
      assertEquals([connection.lost.aborted, other.lost.aborted], [false, false]);
      await other.ask((raw) => raw.queueDelete({ queue }));
    }),
);

brokerTest(
  "BrokerChannel.lost tells of what the broker does not forgive",
  (url) =>
    withStore(url, async (store) => {
      const channel = await (await store.connection()).channel("the lock 'a'");
      channel.raw.basicAck({ deliveryTag: 1 });
      assertStringIncludes(String(await aborted(channel.lost)), "unknown delivery tag");
    }),
);

brokerTest(
  "BrokerConnection.lost is aborted before the broker gives to another what was held over a cut link",
  async (url) => {
    await using link = new Link(url, "?heartbeat=1");
    const queue = objectName("lock", uniqueName());
    await withStore(url, async (near) => {
      const channel = await (await near.connection()).channel("a lock");
      await channel.ask((raw) => raw.queueDeclare({ queue, ...QUORUM }));
      await channel.publish({ routingKey: queue }, bytes("token"));
      const far = await ClusterStore.open(link.url);
      const connection = await far.connection();
      const holder = await connection.channel("a lock");
      assert(await holder.ask((raw) => raw.basicGet({ queue })));
      let lostFirst: boolean | undefined;
      const handed = new Promise<void>((resolve) => {
        void channel.raw.basicConsume({ queue, noAck: true }, () => {
          lostFirst = connection.lost.aborted && holder.lost.aborted;
          resolve();
        });
      });
      link.cut();
      await handed;
      assertEquals(lostFirst, true);
      assertStringIncludes(String(connection.lost.reason), "no sign of life");
      await assertRejects(() => connection.channel("b"), SystemError, "lost the connection");
      await assertRejects(() => far.connection({ timeoutMs: 20 }), TimeoutError);
      link.mend();
      assertEquals((await far.connection()).isOpen, true);
      await far.close();
      await channel.ask((raw) => raw.queueDelete({ queue }));
    });
  },
);

brokerTest(
  "ClusterStore.close() ends in time though the link is cut, and leaves nothing behind",
  async (url) => {
    await using link = new Link(url);
    const store = await ClusterStore.open(link.url);
    const channel = await (await store.connection()).channel("a queue");
    link.cut();
    const asking = assertRejects(() => channel.ask((raw) => raw.basicQos({ prefetchCount: 1 })), ClosedError);
    await store.close();
    await asking;
    await assertRejects(() => store.connection(), ClosedError);
  },
);

brokerTest("ClusterStore.close() sends what was acknowledged before it", async (url) => {
  const queue = objectName("queue", uniqueName());
  await withStore(url, async (store) => {
    const channel = await (await store.connection()).channel("a queue");
    await channel.ask((raw) => raw.queueDeclare({ queue, ...QUORUM }));
    await channel.publish({ routingKey: queue }, bytes("a"));
    const message = await channel.ask((raw) => raw.basicGet({ queue }));
    channel.raw.basicAck(message!);
  });
  await withStore(url, async (store) => {
    const channel = await (await store.connection()).channel("a queue");
    assertEquals(await channel.ask((raw) => raw.queueDelete({ queue })), { messageCount: 0 });
  });
});

brokerTest(
  "ClusterStore.close() gives back what is held, and leaves no timer of it",
  (url) =>
    withStore(url, async (near) => {
      const name = uniqueName();
      const store = await ClusterStore.open(url);
      const lease = await (await ClusterLock.open(store, name)).acquire();
      await store.close();
      const lock = await ClusterLock.open(near, name);
      (await lock.acquire()).release();
      lease.release();
      assertEquals(lease.lost.aborted, false);
      assertThrows(() => lease.release(), NotHeldError);
    }),
);

brokerFaultTest(
  "ClusterStore.connection() connects again to a broker that was killed",
  (url) =>
    withStore(url, async (store) => {
      const first = await store.connection();
      const lost = aborted(first.lost);
      await control("kill");
      assertStringIncludes(String(await lost), "lost the connection to the broker");
      const again = store.connection();
      await control("start");
      assertEquals((await again).isOpen, true);
      assertEquals(await store.connection(), await again);
    }),
);
