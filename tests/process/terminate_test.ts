import { assert, assertEquals } from "@std/assert";
import { adoptsOrphans, allDescendants, reapAdopted, type Target } from "../../lib/process/descendants.ts";
import { readProcess } from "../../lib/process/proc.ts";
import { spawn } from "../../lib/process/spawn.ts";
import { endProcesses } from "../../lib/process/terminate.ts";
import { eventually, exists, inDirectory, lives } from "../cli/conc.ts";

adoptsOrphans();

const ignore = Deno.build.os !== "linux";

/** The processes of these ids that live. */
function living(pids: readonly number[]): Target[] {
  return pids.filter(lives).map((pid) => {
    const { pgid, state, startTicks } = readProcess(pid)!;
    return { key: `${pid}@${startTicks}`, pid, pgid, stopped: state === "T", killId: pid };
  });
}

Deno.test({
  name: "endProcesses() sends each process the signal once",
  ignore,
  async fn() {
    await inDirectory(async (directory) => {
      const script = `cd '${directory}'; n=0
        trap 'n=$((n+1)); echo $n > count; test $n -lt 2 || exit; i=0; while [ $i -lt 30 ]; do i=$((i+1)); sleep 0.01; done; exit' USR1
        touch ready; while :; do sleep 0.01; done`;
      const child = spawn(["sh", "-c", script]);
      await eventually("it is ready", () => exists(`${directory}/ready`));
      const left = await endProcesses(() => living([child.pid]), { signal: "SIGUSR1" });
      assertEquals(left, []);
      await child.status;
      assertEquals(await Deno.readTextFile(`${directory}/count`), "1\n");
    });
  },
});

Deno.test({
  name:
    "endProcesses() sends no signal to what has it already, and kills it all the same when the grace is over",
  ignore,
  async fn() {
    await inDirectory(async (directory) => {
      const script =
        `trap 'touch "${directory}/asked"' TERM; touch '${directory}/ready'; while :; do sleep 0.01; done`;
      const child = spawn(["sh", "-c", script]);
      await eventually("it is ready", () => exists(`${directory}/ready`));
      await endProcesses(() => living([child.pid]), { graceMs: 50, delivered: () => true });
      assertEquals((await child.status).signal, "SIGKILL");
      assert(!exists(`${directory}/asked`));
    });
  },
});

Deno.test({
  name: "endProcesses() continues a stopped process, so that it sees the signal",
  ignore,
  async fn() {
    const child = spawn(["sleep", "300"]);
    Deno.kill(child.pid, "SIGSTOP");
    await eventually("it is stopped", () => readProcess(child.pid)?.state === "T");
    await endProcesses(() => living([child.pid]), { graceMs: 3_600_000 });
    assertEquals((await child.status).signal, "SIGTERM");
  },
});

Deno.test({
  name: "endProcesses() ends what is started while it works",
  ignore,
  async fn() {
    const pids: number[] = [];
    const children = [spawn(["sleep", "300"])];
    pids.push(children[0]!.pid);
    const find = () => {
      if (children.length < 4) {
        children.push(spawn(["sleep", "300"]));
        pids.push(children.at(-1)!.pid);
      }
      return living(pids);
    };
    assertEquals(await endProcesses(find), []);
    assertEquals(children.length, 4);
    for (const child of children) assertEquals((await child.status).signal, "SIGTERM");
  },
});

Deno.test({
  name: "endProcesses() kills at once what escalates, and ends early when it is told to",
  ignore,
  async fn() {
    await inDirectory(async (directory) => {
      const script = `trap '' TERM; touch '${directory}/ready'; while :; do sleep 0.01; done`;
      const child = spawn(["sh", "-c", script]);
      await eventually("it is ready", () => exists(`${directory}/ready`));
      const options = { graceMs: 3_600_000 };
      const left = await endProcesses(() => living([child.pid]), { ...options, until: Promise.resolve() });
      assertEquals(left.map(({ pid }) => pid), [child.pid]);
      const escalate = new AbortController();
      const ended = endProcesses(() => living([child.pid]), { ...options, escalate: escalate.signal });
      escalate.abort();
      assertEquals(await ended, []);
      assertEquals((await child.status).signal, "SIGKILL");
    });
  },
});

Deno.test({
  name: "endProcesses() gives up on what it may not signal, and says so",
  ignore: ignore || Deno.uid() === 0,
  async fn() {
    const init: Target = { key: "1", pid: 1, pgid: 1, stopped: false, killId: 1 };
    assertEquals(await endProcesses(() => [init], { graceMs: 0 }), [init]);
  },
});

Deno.test({
  name: "endAllDescendants() leaves no process behind, and says how many it found",
  ignore,
  async fn() {
    await inDirectory(async (directory) => {
      const module = (path: string) => JSON.stringify(import.meta.resolve(`../../lib/process/${path}`));
      // A process of its own: this one has other tests' children.
      const script = `
        import { spawn } from ${module("spawn.ts")};
        import { endAllDescendants } from ${module("terminate.ts")};
        const note = (name) => "echo $$ > " + name + ".tmp; mv " + name + ".tmp " + name;
        const script = \`trap "" TERM; (setsid sh -c '\${note("away")}; exec sleep 300' &); \${note("here")}
          while :; do sleep 0.01; done\`;
        spawn(["sh", "-c", script], { cwd: ${JSON.stringify(directory)} });
        const there = (name) => { try { return Deno.statSync(${
        JSON.stringify(`${directory}/`)
      } + name); } catch {} };
        while (!there("away") || !there("here")) await new Promise((resolve) => setTimeout(resolve, 5));
        const { found, left } = await endAllDescendants({ graceMs: 100 });
        console.log(found >= 2, left.length);
      `;
      const config = new URL("../../deno.json", import.meta.url).pathname;
      await Deno.writeTextFile(`${directory}/program.ts`, script);
      const command = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "--config", config, `${directory}/program.ts`],
        stderr: "inherit",
      });
      assertEquals(new TextDecoder().decode((await command.output()).stdout), "true 0\n");
      const pids = ["away", "here"].map((name) => Number(Deno.readTextFileSync(`${directory}/${name}`)));
      assertEquals(pids.filter(lives), []);
    });
  },
});

Deno.test({
  name: "endProcesses() kills what starts others faster than they are killed, and tells of each once",
  ignore,
  async fn() {
    const child = spawn([
      "sh",
      "-c",
      'trap "" TERM; n=0; while [ $n -lt 2000 ]; do n=$((n+1)); sleep 300 & done; wait',
    ]);
    await eventually("it has begun", () => allDescendants().length > 5);
    const killed: string[] = [];
    const left = await endProcesses(allDescendants, { graceMs: 0, killed: ({ key }) => killed.push(key) });
    assertEquals(left, []);
    assertEquals((await child.status).signal, "SIGKILL");
    assert(killed.length > 5);
    assertEquals(new Set(killed).size, killed.length);
    reapAdopted();
  },
});
