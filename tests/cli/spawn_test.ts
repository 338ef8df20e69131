import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  CONC,
  conc,
  eventually,
  exists,
  inDirectory,
  lives,
  records,
  type Result,
  shell,
  start,
} from "./conc.ts";
import { fixture, killMarked, mark, marked } from "./processes.ts";

const isLinux = Deno.build.os === "linux";
const RUN_KEYS = [
  ...["type", "index", "pid", "command", "cause", "exitCode", "signal", "startedAt", "durationMs", "userMs"],
  ...["systemMs", "maxRssBytes", "attempts", "survivors"],
];

/** Bad command lines: what they say, and that nothing ran. */
const USAGE_ERRORS: [string, string[], string][] = [
  ["no command", [], "too few words"],
  ["an empty command", [""], "cannot run an empty command"],
  ["an unknown flag", ["--timout=1", "touch", "ran"], "did you mean --timeout?"],
  ["none at all", ["-n0", "touch", "ran"], "received '0'"],
  ["a bad duration", ["--timeout", "1x", "touch", "ran"], "received '1x'"],
  ["a bad signal", ["-s", "FOO", "touch", "ran"], "such as TERM or 15: received 'FOO'"],
  ["a signal of no number", ["-s", "0", "touch", "ran"], "received '0'"],
  ["a back-off of nothing", ["--backoff", "0", "touch", "ran"], "received '0'"],
  ["a back-off the wrong way round", ["--backoff", "2s..1s", "touch", "ran"], "received '2s..1s'"],
  [
    "an unknown policy",
    ["--restart", "sometimes", "touch", "ran"],
    "must be one of never, on-failure, always",
  ],
  ["restarts without a policy", ["--max-restarts", "2", "touch", "ran"], "--restart on-failure"],
  ["a variable without a value", ["--env", "NAME", "touch", "ran"], "received 'NAME'"],
  ["a directory that is none", ["--cwd", "missing", "touch", "ran"], "received 'missing'"],
  ["a pidfile without a name", ["--pidfile", "", "touch", "ran"], "cannot use '' as a file"],
  ["a pidfile that is something else", ["--pidfile", "junk", "touch", "ran"], "is something else"],
  ["a pidfile that is a device", ["--pidfile", "/dev/null", "touch", "ran"], "is something else"],
  ["a target of another kind", ["--ready", "pid:1", "touch", "ran"], "received 'pid:1'"],
  ["a target that is incomplete", ["--ready", "tcp:x", "touch", "ran"], "an address must be HOST:PORT"],
  ["an event's name that is a path", ["--event", "a/b", "touch", "ran"], "received 'a/b'"],
  ["formats that contradict", ["--prefix", "--json", "touch", "ran"], "contradict each other"],
  ["the same, detached", ["--detach", "--prefix", "--json", "touch", "ran"], "contradict each other"],
];

for (const [what, args, message] of USAGE_ERRORS) {
  Deno.test(`spawn says in one line what is wrong with ${what}, exits 2 and runs nothing`, async () => {
    await inDirectory(async (cwd) => {
      await Deno.writeTextFile(`${cwd}/junk`, "no process id\n");
      const { code, stdout, stderr } = await conc(["spawn", ...args], { cwd });
      assertEquals({ code, stdout }, { code: 2, stdout: "" }, stderr);
      assertStringIncludes(stderr, message);
      assertEquals(stderr.split("\n").length, 2, stderr);
      assert(!exists(`${cwd}/ran`));
      assertEquals(await Deno.readTextFile(`${cwd}/junk`), "no process id\n");
    });
  });
}

Deno.test("spawn gives the command conc's streams, its words untouched, a directory and variables", async () => {
  await inDirectory(async (cwd) => {
    await Deno.mkdir(`${cwd}/below`);
    const args = ["--cwd", "below", "--env", "A=1=2", "--env", "B=", "sh", "-c"];
    const script = 'cat; pwd; echo "$A,$B,$CONC_SEQ,$1"; echo err >&2';
    const { stdout, stderr } = await conc(["spawn", ...args, script, "sh", "$(x) 'y"], {
      cwd,
      stdin: "in\n",
    });
    assertEquals([stdout, stderr], [`in\n${await Deno.realPath(cwd)}/below\n1=2,,1,$(x) 'y\n`, "err\n"]);
  });
});

Deno.test("spawn -n starts as many at once as it says, and joins them", async () => {
  await inDirectory(async (cwd) => {
    // Each waits until all are there.
    const script =
      "touch {#}; until [ -e 1 ] && [ -e 2 ] && [ -e 3 ]; do sleep 0.01; done; exit $(({#} == 2))";
    const { code, stderr } = await conc(["spawn", "-n3", "--report", "r", script], { cwd });
    assertEquals([code, stderr], [1, "conc: 1 of 3 failed\n"]);
    const runs = records(await Deno.readTextFile(`${cwd}/r`));
    assertEquals(runs.map(({ index }) => index).sort(), [1, 2, 3]);
    for (const { index, exitCode } of runs) assertEquals(exitCode, index === 2 ? 1 : 0);
    const all = await conc(["spawn", "-n", "3", "sh", "-c", "read -r x || test {#} -gt 0"], { stdin: "x\n" });
    assertEquals(all.code, 0);
  });
});

Deno.test("spawn -n with a command that is not there says so once", async () => {
  const { code, stderr } = await conc(["spawn", "-n", "20", "no-such-command"]);
  assertEquals([code, stderr], [
    127,
    "conc: cannot run 'no-such-command': command not found: check its name and PATH\n",
  ]);
});

Deno.test("spawn --prefix begins each line with name and index, in colour only if that is asked for", async () => {
  const args = ["spawn", "-n", "2", "--prefix"];
  const { stdout, stderr } = await conc([...args, "sh", "-c", "printf 'a\\nb'; echo err{#} >&2"]);
  assertEquals(stdout.replaceAll(/b(?=sh)/g, "b\n").trimEnd().split("\n").sort(), [
    ...["sh.1\ta", "sh.1\tb", "sh.2\ta", "sh.2\tb"],
  ]);
  assertEquals(stderr.trimEnd().split("\n").sort(), ["sh.1\terr1", "sh.2\terr2"]);
  const colored = await conc([...args, "--color", "always", "echo", "x"]);
  assertMatch(colored.stdout.replaceAll("\x1b", "ESC"), /^ESC\[3\dmecho\.[12]ESC\[0m\tx$/m);
});

Deno.test("spawn --restart ends with the last exit code, and says how long it waits", async () => {
  await inDirectory(async (cwd) => {
    const script = 'echo x >> runs; test "$(wc -l < runs)" -lt 3 || exit 5; exit 4';
    const flags = ["--restart", "on-failure", "--max-restarts", "2", "--backoff", "10ms..1s"];
    const { code, stderr } = await conc(["spawn", ...flags, "--report", "r", "sh", "-c", script], { cwd });
    assertEquals(code, 5);
    assertMatch(stderr, /exit code 4: restart 1 in 10ms\n.*exit code 4: restart 2 in 20ms\n$/);
    const runs = records(await Deno.readTextFile(`${cwd}/r`));
    assertEquals(runs.map(({ attempts, exitCode }) => [attempts, exitCode]), [[1, 4], [2, 4], [3, 5]]);
    const quiet = await conc(["spawn", "-q", ...flags, "false"]);
    assertEquals([quiet.code, quiet.stderr], [1, ""]);
    const fine = await conc(["spawn", ...flags, "true"]);
    assertEquals([fine.code, fine.stderr], [0, ""]);
  });
});

Deno.test("spawn --json prints a record for each run and a summary, with the keys that the help names", async () => {
  const { code, stdout } = await conc(["spawn", "--json", "sh", "-c", "echo out; echo err >&2; exit 3"]);
  assertEquals(code, 3);
  const [run, summary, ...more] = records(stdout);
  assertEquals(more, []);
  assertEquals(Object.keys(run!), [...RUN_KEYS, "stdout", "stderr"]);
  const { cause, exitCode, signal, survivors, stdout: out, stderr: err } = run!;
  assertEquals([cause, exitCode, signal, survivors, out, err], ["exit", 3, null, [], "out\n", "err\n"]);
  assertEquals(Object.keys(summary!), [
    "type",
    "count",
    "succeeded",
    "failed",
    "runs",
    "exitCode",
    "durationMs",
  ]);
  const missing = await conc(["spawn", "--json", "no-such-command"]);
  assertEquals(missing.code, 127);
  const [failed] = records(missing.stdout);
  assertEquals([failed!.pid, failed!.exitCode, failed!.userMs], [null, 127, null]);
  assertStringIncludes(String(failed!.error), "command not found");
});

Deno.test({
  name: "spawn --report has the kernel's figures of each run, appended to what was there",
  ignore: !isLinux,
  async fn() {
    await inDirectory(async (cwd) => {
      const work =
        "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; head -c 300000000 /dev/zero | tail -c 300000000 >/dev/null";
      for (const script of [work, "true"]) {
        await conc(["spawn", "--report", "r", "sh", "-c", script], { cwd });
      }
      const [busy, idle] = records(await Deno.readTextFile(`${cwd}/r`));
      assertEquals(Object.keys(busy!), RUN_KEYS);
      assert(Number(busy!.userMs) > 10, `${busy!.userMs}`);
      assert(Number(busy!.maxRssBytes) > 300_000_000, `${busy!.maxRssBytes}`);
      assert(typeof idle!.userMs === "number" && typeof idle!.systemMs === "number");
      assertEquals(idle!.maxRssBytes, null);
    });
  },
});

Deno.test({
  name: "spawn --timeout ends what hides in another session, reports it, and exits 124",
  ignore: !isLinux,
  async fn() {
    await inDirectory(async (cwd) => {
      const token = mark();
      const hidden = `trap "" TERM; sleep 300.000${token}`;
      const script = `setsid sh -c '${hidden}' & sleep 300.000${token}`;
      const args = ["spawn", "--timeout", "1s", "-k", "0.2s", "--report", "r", "sh", "-c", script];
      const { code, stderr } = await conc(args, { cwd });
      assertEquals(code, 124, stderr);
      assertMatch(
        stderr,
        /^conc: timed out after 1s: .* was ended\nconc: killed \d processes that did not end/,
      );
      assertEquals(marked(token), []);
      const [{ cause, signal, survivors }] = records(await Deno.readTextFile(`${cwd}/r`)) as [
        Record<string, unknown>,
      ];
      assertEquals([cause, signal], ["timeout", "SIGTERM"]);
      const commands = (survivors as { pid: number; command: string }[]).map(({ command }) => command);
      assert(commands.includes(`sh -c ${hidden}`), commands.join("\n"));
    });
  },
});

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

Deno.test("spawn --event sets the event once --ready holds, and not by what an earlier run has logged", async () => {
  await inDirectory(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/l`, "ready\n");
    const script = `conc spawn --log l --ready 'log:l=~^ready$' --event up sh -c '
        touch started; until [ -e go ]; do sleep 0.01; done; echo ready; until [ -e end ]; do sleep 0.01; done' &
      until [ -e started ]; do sleep 0.01; done
      conc event wait up --timeout 0.3s -q 2>/dev/null; echo "before: $?"
      touch go; conc event wait up --timeout 20s -q; echo "after: $?"; touch end; wait $!; echo "exit: $?"`;
    const { stdout } = await shell(script, { cwd });
    assertEquals(stdout, "before: 124\nafter: 0\nexit: 0\n");
  });
});

Deno.test("a log on a full disk is said once, and the command goes on", async () => {
  const script = "for i in 1 2 3; do echo $i; sleep 0.05; done; exit 6";
  const { code, stderr } = await conc(["spawn", "--log", "/dev/full", "sh", "-c", script]);
  assertEquals([code, stderr], [
    6,
    "conc: cannot write the log '/dev/full': No space left on device: what was to go there is lost\n",
  ]);
  const report = await conc(["spawn", "--report", "/dev/full", "sh", "-c", "exit 6"]);
  assertEquals([report.code, report.stderr], [
    6,
    "conc: cannot write the report '/dev/full': No space left on device\n",
  ]);
  const never = await conc(["spawn", "--log", "/no/such/log", "echo", "ran"]);
  assertEquals([never.code, never.stdout], [125, ""]);
});

Deno.test({
  name: "a command that floods what nobody reads waits, and conc's memory stays as it is",
  ignore: !isLinux,
  async fn() {
    await inDirectory(async (cwd) => {
      const token = mark();
      const [program, ...first] = CONC;
      const child = new Deno.Command(program!, {
        args: [...first, "spawn", "--prefix", fixture("floods"), token],
        ...{ cwd, stdin: "null", stdout: "piped", stderr: "null" },
      }).spawn();
      try {
        const flooder = await eventually(
          "it floods",
          () => marked(token).find(({ command }) => command.includes("yes")),
        );
        // Who has written and waits for its reader is asleep in the pipe.
        await eventually(
          "it waits",
          () => /pipe/.test(Deno.readTextFileSync(`/proc/${flooder.pid}/wchan`)) || stands(flooder.pid),
        );
        const kib = Number(/VmRSS:\s*(\d+)/.exec(await Deno.readTextFile(`/proc/${child.pid}/status`))![1]);
        assert(kib < 200 * 1_024, `${kib} KiB`);
        await child.stdout.cancel();
        assertEquals((await child.status).code, 141);
        assertEquals(marked(token), []);
      } finally {
        killMarked(token);
      }
    });
  },
});

/** Whether a process took no time of a processor for a while. */
function stands(pid: number): boolean {
  const ticks = () =>
    Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ").slice(11, 13).join();
  const before = ticks();
  const endMs = performance.now() + 100;
  while (performance.now() < endMs);
  return before === ticks();
}

/** The process id that a command has written to `pid`. */
function pidIn(cwd: string): Promise<number> {
  return eventually("it runs", () => exists(`${cwd}/pid`) && Number(Deno.readTextFileSync(`${cwd}/pid`)));
}

Deno.test({
  name: "SIGTSTP to a job of a shell stops the command and conc, SIGCONT continues both",
  ignore: !isLinux,
  async fn() {
    await inDirectory(async (cwd) => {
      // A shell with job control is there to continue what is stopped: without one the kernel stops nobody.
      const script = 'set -m; "$@" & echo $! > conc; while kill -0 $!; do wait $!; done';
      const shell = new Deno.Command("bash", {
        args: ["-c", script, "bash", ...CONC, "spawn", "sh", "-c", "echo $$ > pid; exec sleep 300"],
        ...{ cwd, stdin: "null", stdout: "null", stderr: "null" },
      }).spawn();
      const pid = await pidIn(cwd);
      const program = Number(await Deno.readTextFile(`${cwd}/conc`));
      Deno.kill(program, "SIGTSTP");
      await eventually("both are stopped", () => stateOf(pid) === "T" && stateOf(program) === "T");
      Deno.kill(program, "SIGCONT");
      await eventually("both go on", () => stateOf(pid) !== "T" && stateOf(program) !== "T");
      Deno.kill(program, "SIGTERM");
      await shell.status;
      assert(!lives(pid));
    });
  },
});

Deno.test({
  name: "SIGTSTP in a session of its own stops neither the command nor conc, as nobody would continue them",
  ignore: !isLinux,
  async fn() {
    await inDirectory(async (cwd) => {
      const script = `trap "" TSTP; trap "echo > heard" USR1; echo $$ > pid; while :; do sleep 0.02; done`;
      const { stdout } = await conc(["spawn", "--detach", "--pidfile", "conc.pid", "sh", "-c", script], {
        cwd,
      });
      const program = Number(stdout);
      const pid = await pidIn(cwd);
      Deno.kill(program, "SIGTSTP");
      // Signals are heard in the order of their numbers, and one that comes later is heard later.
      await eventually("the next signal comes through", () => {
        Deno.kill(program, "SIGUSR1");
        return exists(`${cwd}/heard`);
      });
      assert(stateOf(program) !== "T");
      Deno.kill(program, "SIGTERM");
      await eventually("both are gone", () => !lives(pid) && !exists(`${cwd}/conc.pid`));
    });
  },
});

Deno.test({
  name: "conc runs commands also if whoever started it ignores SIGCHLD",
  ignore: !isLinux || !await ignoresOf("CHLD"),
  async fn() {
    for (
      const [args, code] of [
        [["spawn", "sh", "-c", "exit 4"], 4],
        [["pool", "-j3", "test", "{}", "=", "a", ":::", "a", "a", "a", "a"], 0],
      ] as const
    ) {
      const { code: actual, stderr } = await outputOf(["env", "--ignore-signal=CHLD", ...CONC, ...args]);
      assertEquals({ code: actual, stderr }, { code, stderr: "" });
    }
  },
});

Deno.test({
  name: "SIGHUP ends conc spawn, but not under nohup",
  ignore: !isLinux || !await ignoresOf("HUP"),
  async fn() {
    const words = [...CONC, "spawn", "sh", "-c", "kill -HUP $PPID; read line; exit 6"];
    // The first waits for its input, which does not end before it has heard of the signal.
    const held = new Deno.Command("env", {
      args: ["--default-signal=HUP", ...words],
      ...{ stdin: "piped", stdout: "null", stderr: "null" },
    }).spawn();
    assertEquals((await held.status).code, 129);
    await held.stdin.close().catch(() => {});
    // The command ignores it, too.
    const both = "kill -HUP $PPID; kill -HUP $$; read line; exit 6";
    const immune = ["env", "--ignore-signal=HUP", ...CONC, "spawn", "sh", "-c", both];
    assertEquals(await outputOf(immune), { code: 6, stderr: "" });
  },
});

/** Whether env(1) can set what a signal does to what it starts. */
async function ignoresOf(signal: string): Promise<boolean> {
  try {
    return (await outputOf(["env", `--ignore-signal=${signal}`, "true"])).code === 0;
  } catch {
    return false;
  }
}

async function outputOf(words: readonly string[]): Promise<{ code: number; stderr: string }> {
  const [program, ...args] = words;
  const { code, stderr } = await new Deno.Command(program!, { args, stdin: "null" }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

/** The state of a process, as ps shows it. */
function stateOf(pid: number): string | undefined {
  return Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]![0];
}

Deno.test({
  name: "conc spawn as pid 1 passes signals on, reaps what it adopts, and ends with the command's code",
  ignore: !isLinux || Deno.uid() !== 0 || !exists("/usr/bin/unshare"),
  async fn() {
    await inDirectory(async (cwd) => {
      const script = `for s in USR1 USR2 QUIT ALRM HUP; do trap "echo $s >> got" $s; done
        (sh -c 'sleep 0.05' &) ; (setsid sleep 0.05 &)
        touch ready; until [ -e end ]; do sleep 0.01; done
        n=5; until ! ps -e -o stat= | grep -q Z || [ $n = 0 ]; do n=$((n-1)); sleep 0.5; done; echo "zombies: $(ps -e -o stat= | grep -c Z)"; exit 8`;
      const child = new Deno.Command("unshare", {
        args: ["-pf", "--mount-proc", ...CONC, "spawn", "sh", "-c", script],
        ...{ cwd, stdin: "null", stdout: "piped", stderr: "piped" },
      }).spawn();
      await eventually("it is ready", () => exists(`${cwd}/ready`));
      const first = await eventually("conc is there", () => {
        const text = Deno.readTextFileSync(`/proc/${child.pid}/task/${child.pid}/children`).trim();
        return /^\d+$/.test(text) && Number(text);
      });
      for (const [count, signal] of (["SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGALRM"] as const).entries()) {
        Deno.kill(first, signal);
        await eventually(
          `${signal} came through`,
          () => exists(`${cwd}/got`) && Deno.readTextFileSync(`${cwd}/got`).split("\n").length > count + 1,
        );
      }
      await Deno.writeTextFile(`${cwd}/end`, "");
      const { code, stdout } = await child.output();
      assertEquals([code, new TextDecoder().decode(stdout)], [8, "zombies: 0\n"]);
      assertEquals(await Deno.readTextFile(`${cwd}/got`), "USR1\nUSR2\nQUIT\nALRM\n");
    });
  },
});
