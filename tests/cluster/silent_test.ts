/**
 * What is held at a broker by a keeper that is stopped: it does not answer who asks, and holds it all the same.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { conc, eventually, inDirectory, pidIn, records, type Running, start } from "../cli/conc.ts";
import { brokerTest, uniqueName } from "./broker.ts";
import { keepers } from "./keepers.ts";

const SILENT = "held by somebody who does not answer";

/** Has a test look at what the stopped keeper of a `conc … sleep` holds. */
function whileStopped(
  url: string,
  words: readonly string[],
  body: (run: (...words: string[]) => ReturnType<typeof conc>) => Promise<void>,
): Promise<void> {
  return inDirectory(async (cwd) => {
    // Its connection outlives the test.
    const env = { CONC_STORE: `${url}?heartbeat=60` };
    const holder: Running = start([...words, "--", "sh", "-c", "echo begun >&2; exec sleep 60"], {
      cwd,
      env,
    });
    assertMatch(await holder.firstComplaint(), /begun/);
    const keeper = await eventually("what it waits for is kept", () => keepers(words[2]!)[0]);
    Deno.kill(keeper, "SIGSTOP");
    try {
      await stopped(keeper);
      await body((...words) => conc(words, { cwd, env }));
    } finally {
      Deno.kill(keeper, "SIGCONT");
      holder.kill("SIGTERM");
      await holder.result();
    }
  });
}

async function stopped(pid: number): Promise<void> {
  await eventually("it is stopped", () => /^State:\tT/m.test(Deno.readTextFileSync(`/proc/${pid}/status`)));
}

brokerTest("a lock whose holder does not answer is not called free", (url) => {
  const name = uniqueName();
  return whileStopped(url, ["lock", "run", name], async (run) => {
    assertEquals((await run("lock", "status", name)).stdout, `${name}: ${SILENT}\n`);
    assertEquals(records((await run("lock", "status", name, "--json")).stdout), [
      { type: "lock", name, held: true, shared: false, holders: 0, waiting: 0 },
    ]);
    assertMatch((await run("lock", "status")).stdout, new RegExp(`^${name}: ${SILENT}$`, "m"));
    const { code, stderr } = await run("lock", "run", name, "--no-wait", "true");
    assertEquals(code, 75);
    assertMatch(stderr, new RegExp(`^conc: the lock '${name}' is ${SILENT}: its process is stopped`));
  });
});

brokerTest("permits whose holder does not answer are not called free", (url) => {
  const name = uniqueName();
  return whileStopped(url, ["sem", "run", name, "-n3", "-w2"], async (run) => {
    const { stdout } = await run("sem", "status", name);
    assertEquals(stdout, `${name}: 3 permits, 1 free, 0 waiting, 2 ${SILENT}\n`);
    assertEquals((await run("sem", "run", name, "true")).code, 0);
    const { code, stderr } = await run("sem", "run", name, "-w2", "--no-wait", "true");
    assertEquals(code, 75);
    assertMatch(stderr, new RegExp(`is ${SILENT}`));
  });
});

brokerTest("queue join that gives up names what nobody can know", (url) =>
  inDirectory(async (cwd) => {
    const name = uniqueName();
    const options = { cwd, env: { CONC_STORE: `${url}?heartbeat=60` } };
    assertEquals((await conc(["queue", "put", name, "one"], options)).code, 0);
    const worker = start(["queue", "work", name, "--", "sh", "-c", "echo $$ > pid; exec sleep 60"], options);
    await pidIn(cwd);
    worker.kill("SIGSTOP");
    try {
      await stopped(worker.pid);
      const { code, stderr } = await conc(["queue", "join", name, "--timeout", "2s"], options);
      assertEquals([code, stderr], [
        124,
        `conc: timed out after 2s: 0 items wait in the queue '${name}', 0 are worked on, and somebody who does not answer may have more: allow more time\n`,
      ]);
    } finally {
      worker.kill("SIGCONT");
      worker.kill("SIGTERM");
      await worker.result();
      await conc(["queue", "delete", name], options);
    }
  }));

brokerTest("lock status makes no lock", async (url) => {
  const name = uniqueName();
  const { stdout } = await conc(["lock", "status", name], { env: { CONC_STORE: url } });
  assertEquals(stdout, `${name}: free\n`);
  const all = await conc(["lock", "status"], { env: { CONC_STORE: url } });
  assertEquals(all.stdout.includes(name), false);
});
