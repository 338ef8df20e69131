import { assert, assertEquals, assertThrows } from "@std/assert";
import { SpawnError } from "../../lib/errors.ts";
import { adoptsOrphans, descendantsOf, MARK } from "../../lib/process/descendants.ts";
import { readEnvironment } from "../../lib/process/proc.ts";
import { spawn } from "../../lib/process/spawn.ts";
import { eventually, exists, inDirectory, lives } from "../cli/conc.ts";

// Opens the C library here, as it stays open until the process ends.
adoptsOrphans();

const ignore = Deno.build.os === "windows";

Deno.test({
  name: "spawn() says how the child ended",
  ignore,
  async fn() {
    const cases = [
      ["exit 0", { exitCode: 0, signal: undefined, cause: undefined }],
      ["exit 200", { exitCode: 200, signal: undefined, cause: undefined }],
      ["kill -9 $$", { exitCode: 137, signal: "SIGKILL", cause: undefined }],
    ] as const;
    for (const [script, expected] of cases) assertEquals(await spawn(["sh", "-c", script]).status, expected);
  },
});

Deno.test({
  name: "spawn() gives the child words, variables, a directory, and an empty stdin",
  ignore,
  async fn() {
    await inDirectory(async (cwd) => {
      const script = 'cat; pwd; printf "%s|" "$CONC_X" "$1" "$HOME"';
      const env = { CONC_X: "a b" };
      const child = spawn(["sh", "-c", script, "sh", "\udcff'"], { stdout: "piped", env, cwd });
      const [bytes] = await Promise.all([new Response(child.stdout).bytes(), child.status]);
      const real = await Deno.realPath(cwd);
      const expected = [...new TextEncoder().encode(`${real}\na b|`), 0xff];
      assertEquals([...bytes].slice(0, expected.length), expected);
      assert(new TextDecoder().decode(bytes).endsWith(`'|${Deno.env.get("HOME") ?? ""}|`));
    });
  },
});

Deno.test({
  name: "spawn() says 127 of what is not there and 126 of what cannot be executed, in one line",
  ignore,
  async fn() {
    await inDirectory(async (directory) => {
      await Deno.writeTextFile(`${directory}/data`, "no program", { mode: 0o644 });
      const cases = [["conc-no-such-command", 127, "command not found"], [
        `${directory}/data`,
        126,
        "ermission denied",
      ]];
      for (const [program, exitCode, text] of cases as [string, number, string][]) {
        const error = assertThrows(() => spawn([program]), SpawnError, text);
        assertEquals([error.exitCode, error.fault], [exitCode, "program"]);
        assert(error.message.startsWith(`cannot run '${program}': `) && !/\n|os error/.test(error.message));
      }
      const tooLong = assertThrows(() => spawn(["true", "x".repeat(2 ** 20)]), SpawnError, "too long");
      assertEquals([tooLong.exitCode, tooLong.fault], [126, "arguments"]);
    });
  },
});

Deno.test({
  name: "Child.end() asks with the signal first, and the first cause stays",
  ignore,
  async fn() {
    await inDirectory(async (directory) => {
      const script = `trap 'exit 7' USR1; touch '${directory}/ready'; while :; do sleep 0.01; done`;
      const child = spawn(["sh", "-c", script]);
      await eventually("it is ready", () => exists(`${directory}/ready`));
      const ends = [child.end("timeout", { signal: "SIGUSR1" }), child.end("halted")];
      assertEquals(await child.status, { exitCode: 7, signal: undefined, cause: "timeout" });
      await Promise.all(ends);
    });
  },
});

Deno.test({
  name: "Child.end() kills what ignores the signal when the grace is over",
  ignore,
  async fn() {
    await inDirectory(async (directory) => {
      const script = `trap '' TERM; touch '${directory}/ready'; while :; do sleep 0.01; done`;
      const child = spawn(["sh", "-c", script]);
      await eventually("it is ready", () => exists(`${directory}/ready`));
      await child.end("timeout", { graceMs: 50 });
      assertEquals(await child.status, { exitCode: 137, signal: "SIGKILL", cause: "timeout" });
      assert(!lives(child.pid));
    });
  },
});

Deno.test({
  name: "Child.end() obeys escalate in the middle of the grace, also when it comes with a second call",
  ignore,
  async fn() {
    await inDirectory(async (directory) => {
      const script = `trap '' TERM; touch '${directory}/ready'; while :; do sleep 0.01; done`;
      const child = spawn(["sh", "-c", script]);
      await eventually("it is ready", () => exists(`${directory}/ready`));
      const first = child.end("halted", { graceMs: 3_600_000 });
      const second = child.end("interrupted", { escalate: AbortSignal.abort() });
      await Promise.all([first, second]);
      assertEquals(await child.status, { exitCode: 137, signal: "SIGKILL", cause: "halted" });
    });
  },
});

Deno.test({
  name: "Child.end() after the child has ended changes nothing of how it ended",
  ignore,
  async fn() {
    const child = spawn(["sh", "-c", "exit 3"]);
    const status = await child.status;
    await child.end("timeout");
    assertEquals([status.cause, await child.status], [undefined, status]);
  },
});

Deno.test({
  name: "Child.end() ends grandchildren, in the same group, in a session of their own, and orphans",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await inDirectory(async (directory) => {
      const note = (name: string) => `echo $$ > ${name}.tmp; mv ${name}.tmp ${name}`;
      const script = `cd '${directory}'
        sh -c '${note("same")}; exec sleep 300' &
        setsid sh -c '${note("away")}; exec sleep 300' &
        (setsid sh -c '${note("orphan")}; exec sleep 300' &)
        exec sleep 300`;
      const child = spawn(["sh", "-c", script]);
      const names = ["same", "away", "orphan"];
      for (const name of names) await eventually(name, () => exists(`${directory}/${name}`));
      const pids = names.map((name) => Number(Deno.readTextFileSync(`${directory}/${name}`)));
      const mark = readEnvironment(child.pid).find((entry) => entry.startsWith(`${MARK}=`))!.slice(
        MARK.length + 1,
      );
      assertEquals(
        descendantsOf(child.pid, mark).map(({ pid }) => pid).sort(),
        [child.pid, ...pids].sort(),
      );
      await child.end("halted");
      assertEquals(pids.filter(lives), []);
      assertEquals((await child.status).cause, "halted");
    });
  },
});

Deno.test({
  name: "Child.end() leaves other children and what descends from them alone",
  ignore,
  async fn() {
    const [one, other] = [spawn(["sleep", "300"]), spawn(["sh", "-c", "sleep 300; true"])];
    await one.end("halted");
    assert(lives(other.pid));
    assert(!lives(one.pid));
    await other.end("halted");
  },
});

Deno.test({
  name: "Child.end() leaves no zombie of what it ended",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const child = spawn(["sh", "-c", "setsid sleep 300 & echo $!; wait"], { stdout: "piped" });
    const reader = child.stdout.getReader();
    const pid = Number(new TextDecoder().decode((await reader.read()).value));
    await child.end("test");
    // Deno waits for the child itself, in its own time.
    await child.status;
    assertEquals([exists(`/proc/${child.pid}`), exists(`/proc/${pid}`)], [false, false]);
    await reader.cancel();
  },
});
