/**
 * A broker that is short of memory takes nothing: what commands say then, and that signals and limits end them all the same.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { conc, start } from "../cli/conc.ts";
import { eventually } from "../conformance/waits.ts";
import { brokerFaultTest, control, uniqueName, withStore } from "./broker.ts";
import { ClusterQueue } from "../../lib/cluster/queue.ts";

/** Has the broker take nothing while a test looks. */
async function whileBlocked(body: () => Promise<void>): Promise<void> {
  await control("ctl", "set_vm_memory_high_watermark", "0");
  try {
    await body();
  } finally {
    await control("ctl", "set_vm_memory_high_watermark", "0.4");
  }
}

brokerFaultTest(
  "a broker that takes nothing: limits end commands, which say what nobody knows",
  (url) =>
    withStore(url, async (store) => {
      const name = uniqueName();
      const queue = await ClusterQueue.open(store, name);
      const run = (...words: string[]) => conc(words, { env: { CONC_STORE: url } });
      await whileBlocked(async () => {
        const [lock, put, wait] = await Promise.all([
          // To be told that the broker is short it must have sent something, which is late on a busy machine.
          run("lock", "run", uniqueName(), "--timeout", "8s", "true"),
          run("queue", "put", name, "an item", "--timeout", "3s"),
          run("event", "wait", uniqueName(), "--timeout", "3s"),
        ]);
        assertEquals(lock.code, 124, lock.stderr);
        assertMatch(lock.stderr, /^conc: timed out as the broker at .* cannot be used: it takes nothing/);
        assertEquals(put.code, 125, put.stderr);
        assertMatch(put.stderr, /cannot say whether the queue '.*' has an item/);
        assertEquals(wait.code, 124, wait.stderr);
        const set = await run("event", "set", name);
        assertEquals(set.code, 125, set.stderr);
        assertMatch(set.stderr, /^conc: cannot use /);
      });
      await queue.delete();
    }),
);

brokerFaultTest(
  "a broker that takes nothing: signals end commands that wait for it",
  (url) =>
    withStore(url, async (store) => {
      const name = uniqueName();
      const queue = await ClusterQueue.open(store, name);
      await whileBlocked(async () => {
        const lines = [
          ["lock", "run", uniqueName(), "true"],
          ["sem", "run", uniqueName(), "true"],
          ["queue", "put", name, "an item"],
          ["queue", "work", name, "true"],
          ["event", "wait", uniqueName()],
        ];
        const running = lines.map((words) => start(words, { env: { CONC_STORE: url } }));
        // Each is past the moment in which a signal ends it without a word.
        await eventually(async () => assertEquals((await connections(running)).length, lines.length));
        for (const each of running) each.kill("SIGTERM");
        for (const [index, each] of running.entries()) {
          const { code, stderr } = await each.result();
          assertEquals(code, 143, `${lines[index]!.join(" ")}: ${stderr}`);
        }
      });
      await queue.delete();
    }),
);

/** The processes among these that are connected to the broker. */
async function connections(running: readonly { pid: number }[]): Promise<number[]> {
  const said = await control("ctl", "list_connections", "client_properties");
  return running.map(({ pid }) => pid).filter((pid) => said.includes(`:${pid}"`));
}
