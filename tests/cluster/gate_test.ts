import { assert, assertEquals, assertRejects } from "@std/assert";
import type { BrokerChannel } from "../../lib/cluster/channel.ts";
import { Gate } from "../../lib/cluster/gate.ts";
import { Inbox } from "../../lib/cluster/inbox.ts";
import { type ClusterStore, objectName } from "../../lib/cluster/store.ts";
import { SystemError } from "../../lib/errors.ts";
import { eventually, follow, settled } from "../conformance/waits.ts";
import { makeQuorumQueues } from "../../lib/cluster/quorum_queue.ts";
import { brokerTest, uniqueName, withStore } from "./broker.ts";

/** Has a test use a gate, with as many channels as it asks for. */
function withGate(
  url: string,
  body: (gate: Gate, channel: () => Promise<BrokerChannel>, store: ClusterStore) => Promise<void>,
): Promise<void> {
  return withStore(url, async (store) => {
    const gate = new Gate(objectName("lock", uniqueName(), "gate"));
    const connection = await store.connection();
    const channel = () => connection.channel("a gate");
    const maker = await channel();
    await makeQuorumQueues(maker, gate.queue, [{ queue: gate.queue }]);
    await gate.open(maker);
    await body(gate, channel, store);
    await maker.ask((raw) => raw.queueDelete(gate.queue));
  });
}

brokerTest(
  "Gate.enter() lets one in at a time, first come first served, and counts",
  (url) =>
    withGate(url, async (gate, channel) => {
      const looking = await channel();
      const order: number[] = [];
      const counts: number[] = [];
      let inside = 0;
      const first = await gate.enter(await channel());
      counts.push(first.count);
      const waits: Promise<void>[] = [];
      for (let index = 0; index < 8; index++) {
        waits.push((async () => {
          const pass = await gate.enter(await channel());
          assertEquals(++inside, 1);
          order.push(index);
          counts.push(pass.count);
          inside -= 1;
          pass.leave();
        })());
        await eventually(async () =>
          assertEquals(await gate.look(looking), { taken: true, waiting: index + 1 })
        );
      }
      first.leave();
      await Promise.all(waits);
      assertEquals(order, [0, 1, 2, 3, 4, 5, 6, 7]);
      assertEquals(counts, counts.toSorted((a, b) => a - b));
      assertEquals(new Set(counts).size, 9);
      await eventually(async () => assertEquals(await gate.look(looking), { taken: false, waiting: 0 }));
    }),
);

brokerTest(
  "Gate.tryEnter() goes inside only if nobody is there",
  (url) =>
    withGate(url, async (gate, channel) => {
      const pass = await gate.tryEnter(await channel());
      assert(pass !== undefined);
      assertEquals(await gate.tryEnter(await channel()), undefined);
      pass.leave();
      await eventually(async () => assert(await gate.tryEnter(await channel())));
    }),
);

brokerTest(
  "Gate: the end of a channel lets the next one in, whether it was inside or waited",
  (url) =>
    withGate(url, async (gate, channel) => {
      const [one, two, three] = [await channel(), await channel(), await channel()];
      const first = await gate.enter(one);
      const second = follow(gate.enter(two));
      const third = follow(gate.enter(three));
      await eventually(async () => assertEquals((await gate.look(three)).waiting, 2));
      await two.close();
      await one.close();
      await settled([third]);
      assert(third.value!.count > first.count);
      assertEquals(second.state, "waiting");
    }),
);

brokerTest(
  "Pass.renew() keeps its place, though others wait",
  (url) =>
    withGate(url, async (gate, channel) => {
      const pass = await gate.enter(await channel());
      const next = await channel();
      const waiting = follow(gate.enter(next));
      await eventually(async () => assertEquals((await gate.look(next)).waiting, 1));
      for (let round = 0; round < 20; round++) {
        await pass.renew();
        assertEquals(await gate.tryEnter(next), undefined);
      }
      assertEquals(waiting.state, "waiting");
      pass.leave();
      assert((await waiting.promise).count > pass.count + 20);
    }),
);

brokerTest(
  "Inbox.next() rejects if the queue is deleted, and if there is none",
  (url) =>
    withStore(url, async (store) => {
      const connection = await store.connection();
      const [channel, other] = [await connection.channel("a queue"), await connection.channel("a queue")];
      const queue = objectName("lock", uniqueName());
      await channel.ask((raw) => raw.queueDeclare({ queue, durable: true }));
      const inbox = await Inbox.open(channel, queue);
      const next = follow(inbox.next());
      await other.ask((raw) => raw.queueDelete(queue));
      await settled([next]);
      assert(next.reason instanceof SystemError);
      await assertRejects(() => Inbox.open(other, queue), SystemError);
    }),
);
