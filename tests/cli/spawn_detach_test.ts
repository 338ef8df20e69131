import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { conc, eventually, exists, inDirectory, lives, pidIn, records, type Result, start } from "./conc.ts";
import { mark, marked } from "./processes.ts";

const isLinux = Deno.build.os === "linux";

Deno.test("spawn --detach returns at once, writes pid and log, and what it started goes on", async () => {
  await inDirectory(async (cwd) => {
    const script = "echo begun; until [ -e go ]; do sleep 0.01; done; echo out; echo err >&2; exit 5";
    const flags = ["--detach", "--pidfile", "p", "--log", "l", "--report", "r"];
    const { code, stdout, stderr } = await conc(["spawn", ...flags, "sh", "-c", script], { cwd });
    assertEquals([code, stderr], [0, ""]);
    assertEquals(await Deno.readTextFile(`${cwd}/p`), stdout);
    const pid = Number(stdout);
    assert(lives(pid));
    if (isLinux) {
      const [, sid] = /^\d+ \(.*\) \S \d+ \d+ (\d+)/s.exec(await Deno.readTextFile(`/proc/${pid}/stat`))!;
      assertEquals(Number(sid), pid);
    }
    const second = await conc(["spawn", ...flags, "touch", "ran"], { cwd });
    assertEquals([second.code, exists(`${cwd}/ran`)], [75, false]);
    assertMatch(second.stderr, /^conc: process \d+ .* runs already, says the pidfile 'p': end it first\n$/);
    await Deno.writeTextFile(`${cwd}/go`, "");
    await eventually("it has ended", () => !lives(pid));
    assertEquals(await Deno.readTextFile(`${cwd}/l`), "begun\nout\nerr\n");
    assert(!exists(`${cwd}/p`));
    assertEquals(records(await Deno.readTextFile(`${cwd}/r`))[0]!.exitCode, 5);
  });
});

Deno.test("spawn --detach still says what is wrong at the start, and supervises until it is told to end", async () => {
  await inDirectory(async (cwd) => {
    const missing = await conc(["spawn", "--detach", "no-such-command"], { cwd });
    assertEquals([missing.code, missing.stdout], [127, ""]);
    assertStringIncludes(missing.stderr, "command not found");
    const token = mark();
    const flags = ["--detach", "--json", "--restart", "always", "--backoff", "10ms", "--log", "l"];
    const { stdout } = await conc(["spawn", ...flags, "sh", "-c", "echo run; exit 1", token], { cwd });
    const [{ type, pid, commandPid }] = records(stdout) as [Record<string, number>];
    assertEquals([type, typeof commandPid], ["detached" as never, "number"]);
    await eventually("it runs again", () => Deno.readTextFileSync(`${cwd}/l`).split("run\n").length > 3);
    assertStringIncludes(await Deno.readTextFile(`${cwd}/l`), "ended with exit code 1: restart 1 in 10ms");
    Deno.kill(pid!, "SIGTERM");
    await eventually("it has ended", () => !lives(pid!));
    assertEquals(isLinux ? marked(token) : [], []);
  });
});

Deno.test({
  name: "of many that want one pidfile at once, one runs, and the file is gone afterwards",
  ignore: !isLinux,
  async fn() {
    await inDirectory(async (cwd) => {
      const args = [
        "spawn",
        "--pidfile",
        "p",
        "sh",
        "-c",
        "echo won >> winners; until [ -e go ]; do sleep 0.01; done",
      ];
      const contenders = Array.from({ length: 6 }, () => start(args, { cwd }));
      const codes: number[] = [];
      for (const each of contenders) void each.result().then(({ code }) => codes.push(code));
      await eventually("all but one gave up", () => codes.length === 5);
      await Deno.writeTextFile(`${cwd}/go`, "");
      await Promise.all(contenders.map((each) => each.result().catch(() => {})));
      await eventually("all have ended", () => codes.length === 6);
      assertEquals(codes.toSorted(), [0, 75, 75, 75, 75, 75]);
      assertEquals(await Deno.readTextFile(`${cwd}/winners`), "won\n");
      assert(!exists(`${cwd}/p`));
    });
  },
});

Deno.test({
  name: "spawn --pidfile replaces the file of a conc that was killed",
  ignore: !isLinux,
  async fn() {
    await inDirectory(async (cwd) => {
      const first = start(["spawn", "--daemon", "--pidfile", "p", "sleep", "300"], { cwd });
      await eventually("it runs", () => exists(`${cwd}/p`) && Deno.readTextFileSync(`${cwd}/p`) !== "");
      first.kill("SIGKILL");
      await first.result();
      const { code, stdout } = await conc(["spawn", "--pidfile", "p", "cat", "p"], { cwd });
      assertEquals(code, 0);
      assertMatch(stdout, /^\d+\n$/);
    });
  },
});

Deno.test({
  name: "spawn --daemon: the command dies with conc, also when conc is killed",
  ignore: !isLinux || !exists("/usr/bin/setpriv"),
  async fn() {
    await inDirectory(async (cwd) => {
      const running = start(["spawn", "--daemon", "sh", "-c", "echo $$ > pid; exec sleep 300"], { cwd });
      const pid = await pidIn(cwd);
      running.kill("SIGKILL");
      await running.result();
      await eventually("it is gone", () => !lives(pid));
    });
    const { code, stderr } = await conc(["spawn", "--daemon", "true"], { env: { PATH: "/nowhere" } });
    assertEquals(code, 125);
    assertMatch(
      stderr,
      /^conc: cannot start a daemon as that takes setpriv .*: install it, or leave out --daemon\n$/,
    );
  },
});

Deno.test({
  name:
    "spawn --daemon says of a command that is not there, or no program, what spawn says, and does not try again",
  ignore: !isLinux || !exists("/usr/bin/setpriv"),
  async fn() {
    await inDirectory(async (cwd) => {
      await Deno.writeTextFile(`${cwd}/text`, "");
      await Deno.writeTextFile(`${cwd}/program`, "#!/bin/sh\nexit 3\n", { mode: 0o755 });
      const modes = [[], ["--daemon"], ["--daemon", "--restart", "always", "--max-restarts", "1"]];
      for (const command of [["nope"], ["./nope"], ["./text"], ["/etc"], ["--env", "PATH=/nope", "true"]]) {
        const ends = await Promise.all(modes.map((mode) => conc(["spawn", ...mode, ...command], { cwd })));
        const [{ code, stderr }] = ends as [Result, ...Result[]];
        for (const end of ends) assertEquals([end.code, end.stderr], [code, stderr]);
      }
      assertEquals((await conc(["spawn", "--daemon", "./program"], { cwd })).code, 3);
      assertEquals((await conc(["spawn", "--daemon", "--cwd", cwd, "./program"])).code, 3);
      assertEquals((await conc(["spawn", "--daemon", "--env", `PATH=${cwd}:/bin`, "program"])).code, 3);
    });
  },
});
