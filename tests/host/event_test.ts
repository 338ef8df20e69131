import { assertEquals } from "@std/assert";
import { HostEvent } from "../../lib/host/event.ts";
import { Store } from "../../lib/host/store.ts";
import { eventually, inDirectory, lives, start } from "../cli/conc.ts";

Deno.test("HostEvent outlives the store's closing, with its data and generation", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/conc.db`;
    {
      using store = new Store(path);
      const event = new HostEvent(store, "ready");
      event.set("one");
      event.set("two\nlines");
      event.pulse("lost");
    }
    using store = new Store(path);
    const event = new HostEvent(store, "ready");
    const occurrence = { generation: 3, data: "two\nlines" };
    assertEquals(event.statistics(), { set: true, waiting: 0, ...occurrence });
    assertEquals(await event.wait({ timeoutMs: 0 }), occurrence);
    event.clear();
    assertEquals(event.statistics(), { set: false, waiting: 0, generation: 3, data: undefined });
  });
});

Deno.test("HostEvent.list() has every event by its name, with how it stands", async () => {
  await inDirectory(async (directory) => {
    using store = new Store(`${directory}/conc.db`);
    assertEquals(HostEvent.list(store), []);
    const before = Date.now();
    new HostEvent(store, "b").set("data");
    new HostEvent(store, "a").clear();
    const waiting = new HostEvent(store, "a").wait();
    const list = HostEvent.list(store);
    for (const { since } of list) assertEquals(since.getTime() >= before, true);
    assertEquals(list.map(({ since: _, ...rest }) => rest), [
      { name: "a", set: false, generation: 0, data: undefined, waiting: 1 },
      { name: "b", set: true, generation: 1, data: "data", waiting: 0 },
    ]);
    new HostEvent(store, "a").set();
    await waiting;
  });
});

Deno.test("HostEvent: a waiter that is killed is counted no longer, and is in nobody's way", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/conc.db`;
    using store = new Store(path);
    const event = new HostEvent(store, "ready");
    event.clear();
    const waiting = () => HostEvent.list(store)[0]!.waiting;
    const killed = start(["event", "wait", "ready", "--store", path]);
    await eventually("it waits", () => waiting() === 1);
    const other = start(["event", "wait", "ready", "--store", path]);
    await eventually("both wait", () => waiting() === 2);
    killed.kill("SIGKILL");
    await killed.result();
    await eventually("it is gone", () => !lives(killed.pid));
    assertEquals(waiting(), 1);
    event.set("go on");
    assertEquals((await other.result()).stdout, "go on\n");
    assertEquals(waiting(), 0);
  });
});
