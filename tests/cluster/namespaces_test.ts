/**
 * Two hosts, one broker: the command lines of the host reach between them, and what becomes of them when the link of one is cut.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { ClusterEvent } from "../../lib/cluster/event.ts";
import { ClusterLock } from "../../lib/cluster/lock.ts";
import { ClusterSemaphore } from "../../lib/cluster/semaphore.ts";
import type { ClusterStore } from "../../lib/cluster/store.ts";
import { inDirectory, type Result, type Running } from "../cli/conc.ts";
import { reaching } from "../conformance/waits.ts";
import { BROKER_URL, uniqueName, withStore } from "./broker.ts";
import { hostsTest } from "./two_hosts.ts";

/** Seconds. Short, so that a loss is noticed soon; not so short that a busy machine looks like a cut link. */
const HEARTBEAT = "?heartbeat=2";
/** Says on stderr that it runs, and ends once there is a file `go`. */
const UNTIL_GO = "echo begun >&2; until [ -e go ]; do sleep 0.02; done; echo done";

hostsTest(
  "a permit is in one hand at a time on two hosts, and its fence grows",
  (...hosts) =>
    inDirectory(async (cwd) => {
      const name = uniqueName();
      const job = "mkdir inside && echo $CONC_FENCE >>fences && sleep 0.05 && rmdir inside";
      const runs = [0, 1, 2, 3].flatMap(() =>
        hosts.map((host) => host.conc(["sem", "run", name, "-n1", "--", "sh", "-c", job], { cwd }))
      );
      for (const run of runs) await succeeds(run);
      const fences = (await Deno.readTextFile(`${cwd}/fences`)).trim().split("\n").map(Number);
      assertEquals(fences.length, runs.length);
      assertEquals(fences, [...new Set(fences)].sort((one, other) => one - other));
    }),
);

hostsTest("a lock that another host holds says which one it is", (one, other) =>
  inDirectory(async (cwd) => {
    const name = uniqueName();
    const holder = one.conc(["lock", "run", name, "--", "sh", "-c", UNTIL_GO], { cwd });
    await begun(holder);
    const refused = await other.conc(["lock", "run", name, "--no-wait", "true"], { cwd }).result();
    assertEquals(refused.code, 75, refused.stderr);
    assertMatch(refused.stderr, new RegExp(`the lock '${name}' is held by process \\d+ on ${one.name} `));
    const { stdout } = await succeeds(other.conc(["lock", "status", name, "--json"], { cwd }));
    const [holding] = stdout.trim().split("\n").map((line) => JSON.parse(line));
    assertEquals([holding.type, holding.host], ["holder", one.name]);
    await Deno.writeTextFile(`${cwd}/go`, "");
    await succeeds(holder);
    await succeeds(other.conc(["lock", "run", name, "--no-wait", "true"], { cwd }));
  }));

hostsTest(
  "an event that is set on one host wakes who waits on the other",
  (one, other) =>
    inDirectory((cwd) =>
      withBroker(async (store) => {
        const name = uniqueName();
        const waiter = one.conc(["event", "wait", name, "--timeout", "60s"], { cwd });
        await reaching(new ClusterEvent(store, name), { waiting: 1 });
        await succeeds(other.conc(["event", "set", name, "--data", "from afar"], { cwd }));
        await succeeds(waiter);
        const { stdout } = await succeeds(one.conc(["event", "list", "--json"], { cwd }));
        assertMatch(stdout, new RegExp(`"${name}"`));
      })
    ),
);

hostsTest(
  "what one host puts into a queue the other gets, or works off",
  (one, other) =>
    inDirectory(async (cwd) => {
      const name = uniqueName();
      await succeeds(one.conc(["queue", "put", name, "first", "second", "third"], { cwd }));
      const got = await succeeds(other.conc(["queue", "get", name], { cwd }));
      assertEquals(got.stdout, "first\n");
      await succeeds(
        other.conc(["queue", "work", name, "--until-empty", "sh", "-c", "echo $0 >>worked"], { cwd }),
      );
      assertEquals(await Deno.readTextFile(`${cwd}/worked`), "second\nthird\n");
      await succeeds(one.conc(["queue", "join", name, "--timeout", "60s"], { cwd }));
      await succeeds(one.conc(["queue", "delete", name], { cwd }));
    }),
);

/** What is held in the tests of a cut link. */
interface Held {
  /** What runs a command under it. */
  words: (name: string) => string[];
  /** Tells how many wait for it. */
  open: (store: ClusterStore, name: string) => Promise<{ statistics(): Promise<{ waiting: number }> }>;
}

const SEMAPHORE: Held = {
  words: (name) => ["sem", "run", name, "-n1"],
  open: (store, name) => ClusterSemaphore.open(store, name, { permits: 1 }),
};
const LOCK: Held = {
  words: (name) => ["lock", "run", name],
  open: (store, name) => ClusterLock.open(store, name),
};

for (const [what, { words, open }] of Object.entries({ "a permit": SEMAPHORE, "a lock": LOCK })) {
  hostsTest(
    `who holds ${what} over a link that is cut ends its job before the other host gets it`,
    (one, other) =>
      inDirectory((cwd) =>
        withBroker(async (store) => {
          const name = uniqueName();
          const told = "trap 'echo ended >>log; exit' TERM; echo fence $CONC_FENCE >>log; echo begun >&2";
          const job = `${told}; while :; do sleep 0.02; done`;
          const holder = one.conc([...words(name), "--", "sh", "-c", job], { cwd, parameters: HEARTBEAT });
          await begun(holder);
          const next = other.conc([...words(name), "--", "sh", "-c", "echo fence $CONC_FENCE >>log"], {
            cwd,
          });
          await reaching(await open(store, name), { waiting: 1 });
          await one.cut();
          const { code, stderr } = await holder.result();
          assertEquals(code, 125, stderr);
          assertMatch(stderr, /conc: lost .* somebody else may have it from now on, so the command is ended/);
          await succeeds(next);
          const log = await Deno.readTextFile(`${cwd}/log`);
          const [, first, second] = /^fence (\d+)\nended\nfence (\d+)\n$/.exec(log) ?? [];
          assert(Number(first) < Number(second), log);
        })
      ),
  );
}

hostsTest(
  "with --on-lost warn a job goes on though another host has its permit",
  (one, other) =>
    inDirectory((cwd) =>
      withBroker(async (store) => {
        const name = uniqueName();
        const line = SEMAPHORE.words(name);
        const holder = one.conc([...line, "--on-lost", "warn", "--", "sh", "-c", UNTIL_GO], {
          ...{ cwd, parameters: HEARTBEAT },
        });
        await begun(holder);
        const next = other.conc([...line, "true"], { cwd });
        await reaching(await SEMAPHORE.open(store, name), { waiting: 1 });
        await one.cut();
        await succeeds(next);
        await Deno.writeTextFile(`${cwd}/go`, "");
        const { stdout, stderr } = await succeeds(holder);
        assertEquals(stdout, "done\n");
        assertMatch(stderr, /conc: lost .* somebody else may have it from now on, and the command goes on/);
      })
    ),
);

hostsTest(
  "who waits over a link that is cut gets its turn once it is mended",
  (one, other) =>
    inDirectory((cwd) =>
      withBroker(async (store) => {
        const name = uniqueName();
        const holder = other.conc(["lock", "run", name, "--", "sh", "-c", UNTIL_GO], { cwd });
        await begun(holder);
        const waiter = one.conc(["lock", "run", name, "echo", "mine"], { cwd, parameters: HEARTBEAT });
        const lock = await ClusterLock.open(store, name);
        await reaching(lock, { waiting: 1 });
        await one.cut();
        await reaching(lock, { waiting: 0 });
        await one.mend();
        await reaching(lock, { waiting: 1 });
        await Deno.writeTextFile(`${cwd}/go`, "");
        await succeeds(holder);
        assertEquals((await succeeds(waiter)).stdout, "mine\n");
      })
    ),
);

/** Has a test look at the broker from its own side. */
function withBroker(body: (store: ClusterStore) => Promise<void>): Promise<void> {
  return withStore(BROKER_URL!, body);
}

/** Waits until a job under conc says that it runs. */
async function begun(running: Running): Promise<void> {
  const line = await running.firstComplaint();
  if (!line.includes("begun")) throw new Error(`${line}\n${(await running.result()).stderr}`);
}

async function succeeds(running: Running): Promise<Result> {
  const result = await running.result();
  assertEquals(result.code, 0, result.stderr);
  return result;
}
