/**
 * `conc lock run` and `conc sem run` at a broker: what a command runs under is held as long as the command lives, whatever becomes of conc.
 *
 * @module
 */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import { ClusterLock } from "../../lib/cluster/lock.ts";
import { ClusterSemaphore } from "../../lib/cluster/semaphore.ts";
import type { ClusterStore } from "../../lib/cluster/store.ts";
import { TimeoutError } from "../../lib/errors.ts";
import type { Holder } from "../../lib/named.ts";
import type { Lease, WaitOptions } from "../../lib/primitives.ts";
import { seededRandom } from "../../lib/random.ts";
import { exists, inDirectory, lives, pidIn, type Running, start } from "../cli/conc.ts";
import { eventually, reaching } from "../conformance/waits.ts";
import { brokerFaultTest, brokerTest, control, Link, uniqueName, withStore } from "./broker.ts";
import { CHAOS_SEED } from "./chaos.ts";
import { keepers, killKeepers } from "./keepers.ts";

/** What runs under it: writes down its process id, and lives until it is killed. */
const JOB = ["sh", "-c", "echo $$ > pid; exec sleep 1000"];
/** The same, whose first process ends at once. */
const ORPHAN = ["sh", "-c", "sh -c 'echo $$ > pid; exec sleep 1000' & exec true"];

/** What locks and semaphores have in common. */
interface Guarding {
  acquire(options?: WaitOptions): Promise<Lease>;
  tryAcquire(): Promise<Lease | undefined>;
  statistics(): Promise<{ waiting: number }>;
  status(): Promise<{ holders: Holder[] }>;
}

const OPENS: Record<"lock" | "sem", (store: ClusterStore, name: string) => Promise<Guarding>> = {
  lock: (store, name) => ClusterLock.open(store, name),
  sem: (store, name) => ClusterSemaphore.open(store, name),
};

interface Scene {
  cwd: string;
  name: string;
  /** Starts `conc KIND run NAME …`. */
  run(url: string, words: readonly string[], flags?: readonly string[]): Running;
}

/** Runs a test body, and leaves nothing running. */
function scene(kind: keyof typeof OPENS, body: (scene: Scene) => Promise<void>): Promise<void> {
  return inDirectory(async (cwd) => {
    const name = uniqueName();
    const run = (url: string, words: readonly string[], flags: readonly string[] = []) =>
      start([kind, "run", name, ...flags, ...words], { cwd, env: { CONC_STORE: url } });
    try {
      await body({ cwd, name, run });
    } finally {
      killKeepers(name);
      const pid = Number(await Deno.readTextFile(`${cwd}/pid`).catch(() => "0"));
      if (pid > 0 && lives(pid)) Deno.kill(pid, "SIGKILL");
    }
  });
}

function gone(pid: number): Promise<void> {
  return eventually(() => assertEquals(lives(pid), false));
}

function kept(name: string, count: number): Promise<void> {
  return eventually(() => assertEquals(keepers(name).length, count));
}

for (const kind of ["lock", "sem"] as const) {
  brokerTest(
    `${kind} run at a broker: SIGKILL of conc lets nobody in beside the orphaned job`,
    (url) =>
      scene(kind, ({ cwd, name, run }) =>
        withStore(url, async (store) => {
          const running = run(url, JOB);
          const pid = await pidIn(cwd);
          const object = await OPENS[kind](store, name);
          await eventually(async () => assertEquals((await object.status()).holders[0]?.jobPid, pid));
          running.kill("SIGKILL");
          await gone(running.pid);
          assertEquals(lives(pid), true);
          assertEquals(await object.tryAcquire(), undefined);
          assertEquals((await object.status()).holders.map(({ jobPid }) => jobPid), [pid]);
          const next = object.acquire();
          await reaching(object, { waiting: 1 });
          Deno.kill(pid, "SIGKILL");
          (await next).release();
          await kept(name, 0);
          await running.result();
        })),
  );
}

brokerTest(
  "a keeper holds for what a job has left, once conc is killed",
  (url) =>
    scene("lock", ({ cwd, name, run }) =>
      withStore(url, async (store) => {
        // What conc would end, had it the time: it is stopped before.
        const running = run(url, ["sh", "-c", `${ORPHAN[2]!.replace("exec true", "kill -STOP $PPID")}`]);
        const pid = await pidIn(cwd);
        running.kill("SIGKILL");
        await gone(running.pid);
        const lock = await ClusterLock.open(store, name);
        assertEquals(await lock.tryAcquire(), undefined);
        Deno.kill(pid, "SIGKILL");
        (await lock.acquire({ timeoutMs: 10_000 })).release();
        await kept(name, 0);
        await running.result();
      })),
);

brokerTest(
  "a conc that is killed while it waits is not in line any more",
  (url) =>
    scene("sem", ({ name, run }) =>
      withStore(url, async (store) => {
        const semaphore = await ClusterSemaphore.open(store, name);
        using _lease = await semaphore.acquire();
        const running = run(url, JOB);
        await reaching(semaphore, { waiting: 1 });
        assertEquals((await semaphore.status()).waiters.map(({ pid }) => pid), [running.pid]);
        running.kill("SIGKILL");
        await reaching(semaphore, { waiting: 0 });
        await kept(name, 0);
        await running.result();
      })),
);

brokerTest(
  "a keeper that is killed is a loss: conc says so, and ends the job",
  (url) =>
    scene("lock", async ({ cwd, name, run }) => {
      const running = run(url, JOB);
      const pid = await pidIn(cwd);
      killKeepers(name);
      const { code, stderr } = await running.result();
      assertEquals([code, lives(pid)], [125, false]);
      assertMatch(
        stderr,
        /^conc: lost the lock '.*': the process that kept it was ended: somebody else may have it from now on, so the command is ended\n$/,
      );
    }),
);

brokerTest(
  "a keeper that is stopped is a loss: the job is ended before the next one is let in",
  (url) =>
    scene("lock", ({ cwd, name, run }) =>
      withStore(url, async (store) => {
        const running = run(`${url}?heartbeat=2`, JOB);
        const pid = await pidIn(cwd);
        const lock = await ClusterLock.open(store, name);
        const next = lock.acquire();
        await reaching(lock, { waiting: 1 });
        Deno.kill(keepers(name)[0]!, "SIGSTOP");
        const lease = await next;
        assertEquals(lives(pid), false);
        lease.release();
        killKeepers(name);
        const { code, stderr } = await running.result();
        assertEquals(code, 125);
        assertMatch(stderr, /: the process that keeps it shows no life: somebody else may have it/);
      })),
);

brokerTest(
  "a keeper that is stopped does not keep conc: a signal ends its wait, the end of its job ends it",
  (url) =>
    scene("lock", ({ cwd, name, run }) =>
      withStore(url, async (store) => {
        const lock = await ClusterLock.open(store, name);
        const lease = await lock.acquire();
        const waiting = run(url, JOB);
        await reaching(lock, { waiting: 1 });
        Deno.kill(keepers(name)[0]!, "SIGSTOP");
        waiting.kill("SIGTERM");
        assertEquals((await waiting.result()).code, 143);
        await reaching(lock, { waiting: 0 });
        lease.release();
        const running = run(url, JOB);
        const pid = await pidIn(cwd);
        Deno.kill(keepers(name)[0]!, "SIGSTOP");
        Deno.kill(pid, "SIGTERM");
        const { code, stderr } = await running.result();
        assertEquals([code, stderr, keepers(name)], [143, "", []]);
        (await lock.acquire({ timeoutMs: 10_000 })).release();
      })),
);

brokerTest("a keeper ends the job of a conc that is stopped and hears of no loss", async (url) => {
  await using link = new Link(url, "?heartbeat=1");
  await scene("lock", ({ cwd, name, run }) =>
    withStore(url, async (store) => {
      const running = run(link.url, JOB);
      const pid = await pidIn(cwd);
      const lock = await ClusterLock.open(store, name);
      const next = lock.acquire();
      await reaching(lock, { waiting: 1 });
      running.kill("SIGSTOP");
      link.cut();
      (await next).release();
      assertEquals(lives(pid), false);
      running.kill("SIGCONT");
      assertEquals((await running.result()).code > 0, true);
      await kept(name, 0);
    }));
});

brokerTest(
  "a conc that is stopped with its job loses nothing",
  (url) =>
    scene("lock", ({ cwd, name, run }) =>
      withStore(url, async (store) => {
        const running = run(`${url}?heartbeat=1`, JOB);
        const pid = await pidIn(cwd);
        running.kill("SIGSTOP");
        const lock = await ClusterLock.open(store, name);
        // More than the broker would wait for conc itself.
        await assertRejects(() => lock.acquire({ timeoutMs: 4_000 }), TimeoutError);
        running.kill("SIGCONT");
        Deno.kill(pid, "SIGTERM");
        const { code, stderr } = await running.result();
        assertEquals([code, stderr], [143, ""]);
      })),
);

brokerTest(
  "a keeper that is asked to end does so when it is not needed any more",
  (url) =>
    scene("lock", ({ cwd, name, run }) =>
      withStore(url, async (store) => {
        const running = run(url, JOB);
        const pid = await pidIn(cwd);
        for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.kill(keepers(name)[0]!, signal);
        assertEquals(await (await ClusterLock.open(store, name)).tryAcquire(), undefined);
        assertEquals([keepers(name).length, lives(pid)], [1, true]);
        running.kill("SIGTERM");
        assertEquals(await running.result(), {
          ...{ code: 143, stdout: "", stderr: "" },
          stdoutBytes: new Uint8Array(),
        });
        assertEquals([keepers(name).length, lives(pid)], [0, false]);
      })),
);

for (const onLost of ["kill", "warn"] as const) {
  brokerTest(`a job whose conc was killed and whose link is cut: --on-lost ${onLost}`, async (url) => {
    await using link = new Link(url, "?heartbeat=1");
    await scene("lock", ({ cwd, name, run }) =>
      withStore(url, async (store) => {
        const running = run(link.url, JOB, ["--on-lost", onLost]);
        const pid = await pidIn(cwd);
        running.kill("SIGKILL");
        await gone(running.pid);
        const lock = await ClusterLock.open(store, name);
        const next = lock.acquire();
        await reaching(lock, { waiting: 1 });
        link.cut();
        (await next).release();
        assertEquals(lives(pid), onLost === "warn");
        await kept(name, 0);
        if (onLost === "warn") Deno.kill(pid, "SIGKILL");
        await running.result();
      }));
  });
}

brokerFaultTest(
  "sem run that waits goes on waiting at a broker that was killed, and says so",
  (url) =>
    scene("sem", ({ cwd, name, run }) =>
      withStore(url, async (store) => {
        const semaphore = await ClusterSemaphore.open(store, name);
        await semaphore.acquire();
        const running = run(url, JOB);
        await reaching(semaphore, { waiting: 1 });
        await control("kill");
        try {
          assertMatch(await running.firstComplaint(), /^conc: lost the connection .*: waiting for it$/);
        } finally {
          await control("start");
        }
        const pid = await pidIn(cwd);
        Deno.kill(pid, "SIGKILL");
        assertEquals((await running.result()).code, 137);
        await kept(name, 0);
      })),
);

/** Says so in a file if another job is at work, too. */
const ALONE = ["sh", "-c", "mkdir busy || echo overlap >> bad; sleep 0.05; rmdir busy; echo done >> done"];

brokerTest(
  `conc is killed at random moments: no two jobs overlap, and nothing stays held (seed ${CHAOS_SEED})`,
  (url) =>
    scene("lock", ({ cwd, name, run }) =>
      withStore(url, async (store) => {
        const random = seededRandom(CHAOS_SEED);
        const kills = async () => {
          for (let round = 0; round < 12; round++) {
            const running = run(url, ALONE);
            const ended = running.result();
            const over = new AbortController();
            void ended.then(() => over.abort());
            // It may have ended before.
            const killing = delay(50 + random() * 850, { signal: over.signal });
            await killing.then(() => running.kill("SIGKILL")).catch(() => {});
            await ended;
          }
        };
        await Promise.all([kills(), kills(), kills()]);
        assertEquals((await run(url, ALONE).result()).code, 0);
        await kept(name, 0);
        const lock = await ClusterLock.open(store, name);
        assertEquals(await lock.statistics(), { held: false, waiting: 0 });
        assertEquals(["bad", "busy", "done"].map((file) => exists(`${cwd}/${file}`)), [false, false, true]);
      })),
);
