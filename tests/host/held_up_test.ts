import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { HeldUpError, SystemError, TimeoutError } from "../../lib/errors.ts";
import { HostEvent } from "../../lib/host/event.ts";
import { describeWriter, writerOf } from "../../lib/host/held_up.ts";
import { HostConsumer } from "../../lib/host/consumer.ts";
import { HostLock } from "../../lib/host/lock.ts";
import { HostQueue } from "../../lib/host/queue.ts";
import { HostRLock } from "../../lib/host/rlock.ts";
import { HostSemaphore } from "../../lib/host/semaphore.ts";
import { Store } from "../../lib/host/store.ts";
import { eventually, follow, pause, reaching, settled, start } from "../conformance/waits.ts";
import { StoppedWriter, withStore } from "./stores.ts";

/** A stopped process is told from others, and the writer of a file is known, on Linux only. */
const ignore = Deno.build.os !== "linux";
const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("Store.writeWhenFree() has changed the store when it returns, if nobody is in the way", async () => {
  await withStore(async (store) => {
    const event = new HostEvent(store, "a");
    const written = store.writeWhenFree(() => (event.set(), "done"));
    assertEquals(event.isSet(), true);
    assertEquals(await written, "done");
    await assertRejects(
      () => store.writeWhenFree(() => event.clear(), { signal: AbortSignal.abort(new Error("early")) }),
      Error,
      "early",
    );
    await assertRejects(() => store.writeWhenFree(() => event.clear(), { timeoutMs: NaN }), RangeError);
    assertEquals(event.isSet(), true);
  });
});

Deno.test({
  name: "Store.writeWhenFree() gives up when it is to, changes nothing then, and says who is in the way",
  ignore,
  async fn() {
    await withStore(async (store) => {
      await using writer = await StoppedWriter.start(store.path);
      assertEquals(writerOf(store.path), writer.pid);
      const names = () => HostSemaphore.names(store);
      const make = () => new HostSemaphore(store, "a");
      const timedOut = await assertRejects(() => store.writeWhenFree(make, { timeoutMs: 30 }), HeldUpError);
      const who = `process ${writer.pid} \\(.*\\) is in the way, and is stopped: `;
      const advice = `let it go on \\(kill -CONT ${writer.pid}\\), or end it$`;
      assertMatch(
        timedOut.message,
        new RegExp(`^timed out as the store .* cannot be written: ${who}${advice}`),
      );
      const refused = await assertRejects(() => store.writeWhenFree(make, { timeoutMs: 0 }), SystemError);
      assertMatch(refused.message, new RegExp(`^gave up after 1 s as .*: ${who}${advice}`));
      const cancelled = start((signal) => store.writeWhenFree(make, { signal, timeoutMs: Infinity }));
      const patient = follow(store.writeWhenFree(make, { timeoutMs: Infinity }));
      await pause();
      cancelled.controller.abort("no more");
      await settled([cancelled]);
      assertEquals([cancelled.reason, patient.state, names()], ["no more", "waiting", []]);
      await writer.goOn();
      await settled([patient]);
      assertEquals([patient.state, names()], ["fulfilled", ["a"]]);
      assertEquals(writerOf(store.path), undefined);
      assertEquals(describeWriter(store.path), "another process is in the way: end it");
    });
  },
});

Deno.test({
  name: "a store that cannot be written is told of once, and not before long",
  ignore,
  async fn() {
    await withStore(async ({ path }) => {
      const told: string[] = [];
      using store = new Store(path, { onHeldUp: (text) => void told.push(text) });
      await using writer = await StoppedWriter.start(path);
      await assertRejects(() => store.writeWhenFree(() => {}, { timeoutMs: 50 }), TimeoutError);
      assertEquals(told, []);
      const waits = [1, 2].map(() => follow(store.writeWhenFree(() => {}, { timeoutMs: Infinity })));
      await eventually(() => assertEquals(told.length, 1));
      assertMatch(told[0]!, new RegExp(`cannot be written yet: process ${writer.pid} .* is stopped: `));
      await writer.goOn();
      await settled(waits);
      assertEquals(told.length, 1);
    });
  },
});

Deno.test({
  name: "waits of every kind begin, end in time and are cancelled while nobody can write",
  ignore,
  async fn() {
    await withStore(async (store) => {
      const held = new HostRLock(store, "held");
      using _held = await held.acquire();
      const full = new HostQueue(store, "full", { maxSize: 1 });
      await full.put(bytes("first"));
      const begin: ((options: { signal: AbortSignal; timeoutMs: number }) => Promise<unknown>)[] = [
        (options) => new HostLock(store, "a").acquire(options),
        (options) => held.acquire(options),
        (options) => new HostRLock(store, "free").acquire(options),
        (options) => new HostEvent(store, "a").wait(options),
        (options) => full.put(bytes("second"), options),
        (options) => full.receive(options),
        (options) => full.join(options),
      ];
      await using writer = await StoppedWriter.start(store.path);
      for (const wait of begin) {
        const signal = new AbortController().signal;
        await assertRejects(() => wait({ signal, timeoutMs: 20 }), HeldUpError);
      }
      const waits = begin.map((wait) => start((signal) => wait({ signal, timeoutMs: Infinity })));
      await pause();
      for (const { controller } of waits) controller.abort("no more");
      await settled(waits);
      assertEquals(waits.map(({ reason }) => reason), begin.map(() => "no more"));
      await writer.goOn();
      assertEquals(held.statistics(), { held: true, depth: 1, waiting: 0 });
      const { size, waitingToPut, waitingToGet } = full.statistics();
      assertEquals({ size, waitingToPut, waitingToGet }, { size: 1, waitingToPut: 0, waitingToGet: 0 });
    });
  },
});

Deno.test({
  name: "who gives up in line while nobody can write leaves later, and what it was granted is taken back",
  ignore,
  async fn() {
    await withStore(async (store) => {
      const semaphore = new HostSemaphore(store, "a");
      const { token } = await semaphore.acquire();
      const wait = start((signal) => semaphore.acquire({ signal }));
      const behind = follow(semaphore.acquire());
      await reaching(semaphore, { waiting: 2 });
      await using writer = await StoppedWriter.start(store.path, "release", "a", token);
      wait.controller.abort("no more");
      await settled([wait]);
      assertEquals([wait.state, wait.reason], ["rejected", "no more"]);
      await writer.goOn();
      await settled([behind]);
      assertEquals([behind.state, semaphore.statistics().waiting], ["fulfilled", 0]);
      behind.value!.release();
    });
  },
});

Deno.test({
  name: "an item is not put by one who gave up while nobody could write",
  ignore,
  async fn() {
    await withStore(async (store) => {
      const queue = new HostQueue(store, "a", { maxSize: 1 });
      await queue.put(bytes("first"));
      const put = start((signal) => queue.put(bytes("second"), { signal }));
      const behind = follow(queue.put(bytes("third")));
      await reaching(queue, { waitingToPut: 2 });
      await using writer = await StoppedWriter.start(store.path, "get", "a");
      put.controller.abort("no more");
      await settled([put]);
      assertEquals(put.reason, "no more");
      await writer.goOn();
      await settled([behind]);
      assertEquals(new TextDecoder().decode(await queue.get()), "third");
      assertEquals(queue.statistics().size, 0);
    });
  },
});

Deno.test({
  name: "HostConsumer goes on once it can write again, and has lost nothing that was settled",
  ignore,
  async fn() {
    await withStore(async (store) => {
      const queue = new HostQueue(store, "a");
      for (const item of ["one", "two"]) await queue.put(bytes(item));
      using consumer = new HostConsumer(store, queue);
      const first = (await consumer.next())!;
      await using writer = await StoppedWriter.start(store.path);
      consumer.done(first.token);
      const waits = [follow(consumer.next()), follow(consumer.next())];
      await pause();
      assertEquals(waits.map(({ state }) => state), ["waiting", "waiting"]);
      await writer.goOn();
      const { token, item } = (await Promise.race(waits.map(({ promise }) => promise)))!;
      assertEquals(new TextDecoder().decode(item), "two");
      consumer.done(token);
      await consumer.close();
      await settled(waits);
      const { size, leased } = queue.status();
      assertEquals({ size, leased }, { size: 0, leased: 0 });
    });
  },
});
