/**
 * What becomes of items when a worker is killed, or the broker.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { ClusterQueue } from "../../lib/cluster/queue.ts";
import { SystemError } from "../../lib/errors.ts";
import { follow } from "../conformance/waits.ts";
import { brokerFaultTest, brokerTest, control, uniqueName, withStore } from "./broker.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (item: Uint8Array) => new TextDecoder().decode(item);

brokerTest(
  "the item of a worker that was killed comes back, and has been tried once",
  (url) =>
    withStore(url, async (store) => {
      const name = uniqueName();
      const queue = await ClusterQueue.open(store, name);
      await queue.put(bytes("a"));
      const worker = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", import.meta.resolve("./queue_worker.ts"), url, name],
        ...{ stdin: "piped", stdout: "piped" },
      }).spawn();
      const reader = worker.stdout.getReader();
      assertEquals(text((await reader.read()).value!), "a\n");
      assertEquals((await queue.status()).leased, 1);
      worker.kill("SIGKILL");
      const { item, attempts, token } = await queue.receive();
      assertEquals([text(item), attempts], ["a", 2]);
      await queue.ack(token);
      await worker.status;
      await worker.stdin.close().catch(() => {});
      await reader.cancel();
      await queue.delete();
    }),
);

for (const way of ["stop", "kill"]) {
  brokerFaultTest(
    `a broker that restarts under load (${way}) loses no item, and gives out none that was acknowledged`,
    (url) =>
      withStore(url, async (store) => {
        const name = uniqueName();
        const queue = await ClusterQueue.open(store, name);
        const putting = (async () => {
          for (let index = 0; index < 400; index++) await queue.put(bytes(String(index)));
        })();
        const acked: string[] = [];
        for (let count = 0; count < 20; count++) {
          const { item, token } = await queue.receive();
          await queue.ack(token);
          acked.push(text(item));
        }
        const held = await queue.receive();
        const restarting = control(way).then(() => control("start"));
        await restarting;
        const settling = follow(queue.ack(held.token));
        await putting;
        await settling.promise.catch(() => {});
        assert(settling.state === "rejected", "what was received over a connection that is lost is not held");
        const rest: string[] = [];
        while (rest.length < 5_000) {
          const result = await queue.tryGet();
          if (result.state !== "ok") break;
          rest.push(text(result.item));
        }
        const all = Array.from({ length: 400 }, (_, index) => String(index));
        assertEquals(new Set([...acked, ...rest]), new Set(all));
        assertEquals(rest.filter((item) => acked.includes(item)), []);
        assert(rest.includes(text(held.item)));
        // What was on its way when the connection was lost may be there twice: one put is under way at a time.
        assert(rest.length + acked.length <= all.length + 1);
        await queue.delete();
      }),
  );
}

brokerFaultTest(
  "a put that cannot be finished in time says that nobody knows",
  (url) =>
    withStore(url, async (store) => {
      const name = uniqueName();
      const queue = await ClusterQueue.open(store, name);
      const puts = [];
      const stopping = control("kill");
      for (let index = 0; index < 2_000; index++) {
        puts.push(follow(queue.put(bytes(String(index)), { timeoutMs: 3_000 })));
      }
      await stopping;
      await Promise.allSettled(puts.map(({ promise }) => promise));
      await control("start");
      const known = puts.filter(({ state }) => state === "fulfilled").length;
      const unknown = puts.filter(({ reason }) => reason instanceof SystemError).length;
      const { size } = await queue.status();
      assert(size >= known && size <= known + unknown, `${size} of ${known} and perhaps ${unknown}`);
      await queue.delete();
    }),
);
