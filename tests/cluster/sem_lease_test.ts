/**
 * `conc sem acquire` and `release` at a broker: what is kept is free again when it should be.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { ClusterSemaphore } from "../../lib/cluster/semaphore.ts";
import { BROKER_URL, brokerFaultTest, brokerTest, control, uniqueName, withStore } from "./broker.ts";
import { keepers, killKeepers } from "./keepers.ts";
import { hostsTest } from "./two_hosts.ts";
import { CONC, conc, inDirectory, lives, records, shell, start } from "../cli/conc.ts";

const TOKEN = /^[0-9a-f]{16}\n$/;
const OPTIONS = { env: { CONC_STORE: BROKER_URL ?? "" } };

/** Runs conc at the broker. */
function run(...args: string[]) {
  return conc(args, OPTIONS);
}

/** Waits until something holds; fails after ten seconds. */
async function until(what: string, probe: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!await probe()) {
    if (performance.now() > deadline) throw new Error(`waited ten seconds in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function withSemaphore(url: string, body: (semaphore: ClusterSemaphore, name: string) => Promise<void>) {
  return withStore(url, async (store) => {
    const name = uniqueName();
    try {
      await body(await ClusterSemaphore.open(store, name), name);
    } finally {
      killKeepers(name);
    }
  });
}

brokerTest(
  "sem acquire at a broker binds permits to the calling shell, and release gives them back once",
  (url) =>
    inDirectory(async (cwd) => {
      const [db, other, lost, mine] = Array.from({ length: 4 }, uniqueName);
      const script = `export CONC_STORE='${url}'
      token=$(conc sem acquire ${db} -n2 -w2) || exit 9
      conc sem run ${db} --no-wait true; echo "held: $?"
      conc sem release ${db} "$token"; echo "released: $?"
      conc sem run ${db} --no-wait true; echo "free: $?"
      conc sem release ${db} "$token"; echo "twice: $?"
      other=$(conc sem acquire ${other})
      conc sem release ${db} "$other"; echo "foreign: $?"
      conc sem release ${other} nonsense; echo "unknown: $?"
      conc sem run ${other} --no-wait true; echo "unchanged: $?"
      conc sem release ${lost} "$other"; echo "no such semaphore: $?"
      sh -c 'conc sem acquire ${lost} > /dev/null; true'; conc sem run ${lost} --timeout 9s true; echo "owner gone: $?"
      conc sem acquire ${mine} --owner $$ > /dev/null; conc sem run ${mine} --no-wait true; echo "owner lives: $?"`;
      const { stdout, stderr } = await shell(script, { cwd });
      assertEquals(stdout.trim().split("\n"), [
        ...["held: 75", "released: 0", "free: 0", "twice: 1", "foreign: 1", "unknown: 1", "unchanged: 75"],
        ...["no such semaphore: 1", "owner gone: 0", "owner lives: 75"],
      ]);
      for (const line of stderr.trimEnd().split("\n")) assertMatch(line, /^conc: /);
      await until("nothing is kept for a shell that ended", () =>
        Promise.resolve([db, other, lost, mine].flatMap((name) => keepers(name!)).length === 0));
    }),
);

brokerTest(
  "sem acquire within what conc runs: permits outlast it, and hold nothing else",
  (url) =>
    inDirectory(async (cwd) => {
      const [outer, pooled, locked, lock] = Array.from({ length: 4 }, uniqueName);
      const script = `export CONC_STORE='${url}'
      conc pool sh -c 'conc sem acquire ${pooled} --ttl 1h; true' ::: 1 > pooled
      conc sem run ${pooled} --no-wait true; echo "pool: $?"
      conc lock run ${outer} sh -c 'conc sem acquire ${locked} --ttl 1h > locked'
      conc sem run ${locked} --no-wait true; echo "lock: $?"
      conc lock run ${lock} sh -c 'conc sem acquire ${locked}2 --ttl 1h > locked2; kill -9 $PPID'
      conc lock run ${lock} --timeout 9s true; echo "lock around: $?"
      exec 9> file; flock 9; conc sem acquire ${locked}3 --ttl 1h > locked3; exec 9>&-
      flock -n file true; echo "flock: $?"
      conc sem release ${pooled} $(cat pooled) && conc sem release ${locked} $(cat locked) &&
        conc sem release ${locked}2 $(cat locked2) && conc sem release ${locked}3 $(cat locked3); echo "released: $?"`;
      const { stdout } = await shell(script, { cwd });
      assertEquals(
        stdout.trim().split("\n"),
        ["pool: 75", "lock: 75", "lock around: 0", "flock: 0", "released: 0"],
      );
    }),
);

brokerTest(
  "sem acquire --ttl at a broker holds permits for a time, whoever lives",
  (url) =>
    withSemaphore(url, async (semaphore, name) => {
      const { stdout } = await run("sem", "acquire", name, "--ttl", "1h");
      assertMatch(stdout, TOKEN);
      const held = await run("sem", "run", name, "--no-wait", "true");
      assertEquals(held.code, 75);
      assertMatch(held.stderr, /is held by a token \(for 1h\) since /);
      assertEquals((await run("sem", "release", name, stdout.trim())).code, 0);
      const short = await run("sem", "acquire", name, "--ttl", "50ms", "--json");
      const { token: _, waitedMs: __, ...rest } = records(short.stdout)[0]!;
      assertEquals(rest, { type: "acquired", name, weight: 1, owner: null, ttlMs: 50 });
      (await semaphore.acquire({ timeoutMs: 10_000 })).release();
    }),
);

brokerTest(
  "sem acquire --timeout and --no-wait give up at a broker as sem run does",
  (url) =>
    withSemaphore(url, async (semaphore, name) => {
      using _lease = await semaphore.acquire();
      const late = await run("sem", "acquire", name, "--timeout", "2s");
      assertEquals([late.code, late.stdout], [124, ""]);
      assertMatch(late.stderr, /^conc: timed out after 2s: the semaphore '.*' is held by process /);
      const busy = await run("sem", "acquire", name, "--no-wait", "-E", "5");
      assertEquals([busy.code, busy.stdout], [5, ""]);
      const usual = await run("sem", "acquire", name, "--no-wait", "--json");
      assertEquals([usual.code, records(usual.stdout).at(-1)!.type], [75, "refused"]);
      const heavy = await run("sem", "acquire", name, "-w2");
      assertEquals([heavy.code, heavy.stdout], [2, ""]);
      const many = await run("sem", "acquire", uniqueName(), "-n", "65536");
      assertEquals([many.code, many.stderr.includes("65535 at most")], [2, true], many.stderr);
      assertEquals(keepers(name), []);
      assertEquals((await semaphore.statistics()).waiting, 0);
    }),
);

brokerTest(
  "sem status at a broker shows the owner of kept permits, and the URL is in no argument",
  (url) =>
    withSemaphore(url, async (_, name) => {
      const { stdout } = await run("sem", "acquire", name, "--owner", String(Deno.pid), "--store", url);
      const [holder] = records((await run("sem", "status", name, "--json")).stdout);
      assertEquals([holder!.type, holder!.pid, holder!.token], ["holder", Deno.pid, stdout.trim()]);
      const [keeper] = keepers(name);
      assert(!(await Deno.readTextFile(`/proc/${keeper}/cmdline`)).includes("amqp"));
      assertEquals((await run("sem", "release", name, stdout.trim())).code, 0);
      await until("the keeper has ended", () => Promise.resolve(!lives(keeper!)));
    }),
);

brokerTest(
  "two who release the same permits at once: one did",
  (url) =>
    withSemaphore(url, async (semaphore, name) => {
      const loan = await semaphore.keep();
      const released = await Promise.allSettled([1, 2, 3].map(() => semaphore.release(loan.token)));
      assertEquals(released.filter(({ status }) => status === "fulfilled").length, 1);
      await loan.ended;
      assertEquals((await semaphore.statistics()).available, 1);
      (await semaphore.acquire({ timeoutMs: 0 })).release();
      assertEquals((await run("sem", "release", name, loan.token)).code, 1);
    }),
);

brokerTest(
  "the end of an owner, and the death of a keeper, free what is kept at a broker",
  (url) =>
    withSemaphore(url, async (semaphore, name) => {
      await using owner = new Deno.Command("sleep", { args: ["1000"] }).spawn();
      const acquire = () => run("sem", "acquire", name, "--owner", String(owner.pid));
      assertMatch((await acquire()).stdout, TOKEN);
      Deno.kill(keepers(name)[0]!, "SIGKILL");
      (await semaphore.acquire({ timeoutMs: 10_000 })).release();
      const { stdout } = await acquire();
      assertEquals((await semaphore.statistics()).available, 0);
      owner.kill("SIGKILL");
      (await semaphore.acquire({ timeoutMs: 10_000 })).release();
      await until("the keeper has ended", () => Promise.resolve(keepers(name).length === 0));
      const late = await run("sem", "release", name, stdout.trim());
      assertEquals([late.code, late.stderr], [
        1,
        `conc: cannot release '${stdout.trim()}' as the semaphore '${name}' has no such lease: it was released already, or has ended\n`,
      ]);
    }),
);

for (const signal of ["SIGKILL", "SIGINT"] as const) {
  brokerTest(
    `a caller of sem acquire that gets ${signal} while it waits takes nothing`,
    (url) =>
      withSemaphore(url, async (semaphore, name) => {
        const lease = await semaphore.acquire();
        const caller = start(["sem", "acquire", name, "--ttl", "1h"], OPTIONS);
        await until("it waits", async () => (await semaphore.statistics()).waiting === 1);
        caller.kill(signal);
        assertEquals((await caller.result()).stdout, "");
        await until("its keeper has ended", () => Promise.resolve(keepers(name).length === 0));
        assertEquals((await semaphore.statistics()).waiting, 0);
        lease.release();
        (await semaphore.acquire({ timeoutMs: 10_000 })).release();
      }),
  );
}

brokerTest(
  "permits whose token nobody could be told are free again",
  (url) =>
    withSemaphore(url, async (semaphore, name) => {
      const words = [...CONC, "sem", "acquire", name, "--ttl", "1h"].map((word) => `'${word}'`).join(" ");
      const child = new Deno.Command("bash", {
        args: ["-c", `${words} > /dev/full; echo $?`],
        ...{ ...OPTIONS, stdout: "piped", stderr: "null" },
      });
      assertEquals(new TextDecoder().decode((await child.output()).stdout), "125\n");
      assertEquals(keepers(name), []);
      (await semaphore.acquire({ timeoutMs: 10_000 })).release();
    }),
);

hostsTest(
  "what one host acquired, another releases, and sees who holds it",
  (one, other) =>
    inDirectory(async (cwd) => {
      const name = uniqueName();
      const held = await one.conc(["sem", "acquire", name, "--owner", String(Deno.pid)], { cwd }).result();
      assertMatch(held.stdout, TOKEN);
      const [holder] = records(
        (await other.conc(["sem", "status", name, "--json"], { cwd }).result()).stdout,
      );
      assertEquals([holder!.host, holder!.pid], [one.name, Deno.pid]);
      const release = ["sem", "release", name, held.stdout.trim()];
      assertEquals((await other.conc(release, { cwd }).result()).code, 0);
      assertEquals((await one.conc(["sem", "run", name, "--no-wait", "true"], { cwd }).result()).code, 0);
      assertEquals((await one.conc(release, { cwd }).result()).code, 1);
      await until("the keeper has ended", () => Promise.resolve(keepers(name).length === 0));
    }),
);

brokerFaultTest("a keeper ends with the broker", (url) =>
  withSemaphore(url, async (_, name) => {
    assertMatch((await run("sem", "acquire", name, "--ttl", "1h")).stdout, TOKEN);
    assertEquals(keepers(name).length, 1);
    await control("stop");
    try {
      await until("the keeper has ended", () => Promise.resolve(keepers(name).length === 0));
    } finally {
      await control("start");
    }
    await until("the permits are free", async () =>
      (await run("sem", "run", name, "--no-wait", "true")).code === 0);
  }));
