/**
 * What commands do whose broker is gone for good, or the way to it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ClusterEvent } from "../../lib/cluster/event.ts";
import { ClusterQueue } from "../../lib/cluster/queue.ts";
import { ClusterSemaphore } from "../../lib/cluster/semaphore.ts";
import { HeldUpError } from "../../lib/errors.ts";
import { eventually as fulfilled, exists, inDirectory, type Running, start } from "../cli/conc.ts";
import { eventually, reaching } from "../conformance/waits.ts";
import { brokerFaultTest, brokerTest, control, Link, uniqueName, withStore } from "./broker.ts";

const BYTES = new TextEncoder().encode("an item");

brokerFaultTest(
  "commands that wait at a broker that is gone for good heed signals, and their time",
  (url) =>
    withStore(url, async (store) => {
      const name = uniqueName();
      const full = `${name}-full`;
      const queue = await ClusterQueue.open(store, name);
      const fullQueue = await ClusterQueue.open(store, full, { maxSize: 1 });
      await fullQueue.put(BYTES);
      const semaphore = await ClusterSemaphore.open(store, name, { permits: 1 });
      const lease = await semaphore.acquire();
      const run = (words: readonly string[]) => start(words, { env: { CONC_STORE: url } });
      const waits: Record<string, readonly string[]> = {
        put: ["queue", "put", full, "one more"],
        get: ["queue", "get", name],
        join: ["queue", "join", full],
        sem: ["sem", "run", name, "true"],
        event: ["event", "wait", name],
      };
      const limited = Object.values(waits).map(([group = "", verb = "", ...words]) =>
        run([group, verb, "--timeout", "5s", ...words])
      );
      const unlimited = [...Object.values(waits), ["queue", "work", name, "cat"]].map(run);
      // Those who wait with a limit may have given up before the last of the others waits.
      const least = (count: number, of: { statistics(): Promise<Waiting> }, key: keyof Waiting) =>
        eventually(async () => assert((await of.statistics())[key]! >= count, key));
      await least(2, queue, "waitingToGet");
      await least(1, fullQueue, "waitingToPut");
      await least(1, semaphore, "waiting");
      await least(1, new ClusterEvent(store, name), "waiting");
      await control("kill");
      try {
        await eventually(() => assertEquals(lease.lost.aborted, true));
        await assertRejects(() => queue.putMany([BYTES], { timeoutMs: 20 }), HeldUpError, "no connection");
        const controller = new AbortController();
        const putting = queue.putMany([BYTES], { signal: controller.signal });
        controller.abort(new RangeError("enough"));
        await assertRejects(() => putting, RangeError, "enough");
        for (const running of unlimited) {
          assertMatch(
            await running.firstComplaint(),
            /^conc: lost the connection to the broker at .*: waiting for it$/,
          );
        }
        for (const running of unlimited) running.kill("SIGTERM");
        for (const running of unlimited) {
          const { code, stderr } = await running.result();
          assertEquals(code, 143, stderr);
        }
        for (const running of limited) {
          const { code, stderr } = await running.result();
          assertEquals(code, 124, stderr);
        }
      } finally {
        await control("start");
      }
    }),
);

/** Of what is waited for. */
interface Waiting {
  waiting?: number;
  waitingToGet?: number;
  waitingToPut?: number;
}

/** Runs until there is a file `go`; says in a file `log` that it began, and that it was told to end. */
const UNTIL_GO =
  "exec 2>/dev/null; trap 'echo ended >>log; exit 1' TERM; echo begun >>log; until [ -e go ]; do sleep 0.02; done; echo done";

for (const onLost of ["kill", "warn"] as const) {
  const isEnded = onLost === "kill";

  brokerTest(
    `sem run --on-lost ${onLost} ${isEnded ? "ends" : "does not end"} its command if the link is cut`,
    (url) =>
      afterLoss(url, ["sem", "run", uniqueName(), "-n1", "--on-lost", onLost], async (running, log) => {
        const { code, stdout, stderr } = await running.result();
        assertEquals([code, stdout], isEnded ? [125, ""] : [0, "done\n"], stderr);
        assertEquals(await log(), isEnded ? "begun\nended\n" : "begun\n");
      }),
  );

  brokerTest(
    `queue work --on-lost ${onLost} ${isEnded ? "ends" : "does not end"} a job if the link is cut`,
    (url) =>
      withStore(url, async (store) => {
        const name = uniqueName();
        const queue = await ClusterQueue.open(store, name);
        await queue.put(BYTES);
        const words = ["queue", "work", name, "-j1", "--until-empty", "--stdin", "--on-lost", onLost];
        await afterLoss(url, words, async (running, log) => {
          // The item came back, and was done by the same worker over the next connection.
          const { code, stdout, stderr } = await running.result();
          assertEquals([code, stdout.endsWith("done\n")], [0, true], stderr);
          assertEquals(await log(), isEnded ? "begun\nended\nbegun\n" : "begun\nbegun\n");
        });
        await reaching(queue, { size: 0, unfinished: 0 });
        await queue.delete();
      }),
  );
}

/** Cuts the link of a conc under which a job runs, waits until it says so, and mends it. */
function afterLoss(
  url: string,
  words: readonly string[],
  body: (running: Running, log: () => Promise<string>) => Promise<void>,
): Promise<void> {
  return inDirectory(async (cwd) => {
    await using link = new Link(url, "?heartbeat=2");
    const running = start([...words, "--", "sh", "-c", UNTIL_GO], { cwd, env: { CONC_STORE: link.url } });
    await fulfilled("the job begins", () => exists(`${cwd}/log`));
    link.cut();
    assertMatch(await running.firstComplaint(), /^conc: .*no sign of life/);
    link.mend();
    if (words.includes("kill")) {
      await fulfilled("the job ends", () => Deno.readTextFileSync(`${cwd}/log`).includes("ended"));
    }
    await Deno.writeTextFile(`${cwd}/go`, "");
    await body(running, () => Deno.readTextFile(`${cwd}/log`));
  });
}
