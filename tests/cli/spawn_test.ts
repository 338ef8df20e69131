import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { CONC, conc, eventually, exists, inDirectory, records, shell } from "./conc.ts";
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
