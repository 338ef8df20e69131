import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { conc, eventually, exists, inDirectory, lives, records, shell, start } from "./conc.ts";

/** Ignores SIGTERM and SIGINT, and has a grandchild in a session of its own. */
const STUBBORN =
  "trap '' TERM INT; setsid sleep 300 & echo $! > away; echo $$ > pid.new; mv pid.new pid; while :; do sleep 300; done";

/** What a run as {@link STUBBORN} left in its files is gone. */
async function assertGone(cwd: string): Promise<void> {
  for (const name of ["pid", "away"]) {
    const pid = Number(await Deno.readTextFile(`${cwd}/${name}`));
    assert(pid > 0 && !lives(pid), name);
  }
}

Deno.test("timer after passes exit codes through, conc's own 124, 126 and 127 apart", async () => {
  await inDirectory(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/plain`, "");
    const cases: [string[], number, RegExp][] = [
      [["true"], 0, /^$/],
      [["exit 7"], 7, /^$/],
      [["sh", "-c", "exit 124"], 124, /^$/],
      [["sh", "-c", "kill -9 $$"], 137, /^$/],
      [["--timeout", "0.1s", "sleep", "300"], 124, /^conc: timed out after 100ms: 'sleep 300' was ended\n$/],
      [["./plain"], 126, /^conc: cannot run '.\/plain': Permission denied\n$/],
      [["no-such-command"], 127, /^conc: cannot run 'no-such-command': command not found: .*\n$/],
    ];
    for (const [args, expected, message] of cases) {
      const { code, stderr } = await conc(["timer", "after", "0", ...args], { cwd });
      assertEquals(code, expected, args.join(" "));
      assertMatch(stderr, message);
    }
  });
});

Deno.test("timer after gives the command its stdin and its words untouched, and options stop there", async () => {
  const args = [
    "timer",
    "after",
    "1ms",
    "sh",
    "-c",
    'cat; printf "<%s>" "$@"',
    "sh",
    "a  b",
    "$(x)",
    "--json",
    "-n",
  ];
  const { code, stdout } = await conc(args, { stdin: "from stdin\n" });
  assertEquals([code, stdout], [0, "from stdin\n<a  b><$(x)><--json><-n>"]);
});

Deno.test("timer sends one word with white space to a shell, and --shell and --no-shell force either", async () => {
  assertEquals((await conc(["timer", "after", "0", "echo a; echo b"])).stdout, "a\nb\n");
  assertEquals((await conc(["timer", "after", "0", "--shell", "echo", "a;", "echo", "b"])).stdout, "a\nb\n");
  assertEquals((await conc(["timer", "after", "0", "--no-shell", "echo a"])).code, 127);
});

Deno.test("timer after --json puts the run and its output into one record", async () => {
  const { code, stdout } = await conc(["timer", "after", "1ms", "--json", "echo out; echo err >&2; exit 3"]);
  assertEquals(code, 3);
  const [run, ...others] = records(stdout);
  assertEquals(others, []);
  const { scheduledAt, startedAt, driftMs, durationMs, ...rest } = run!;
  assertEquals(rest, {
    type: "run",
    number: 1,
    command: "echo out; echo err >&2; exit 3",
    missed: 0,
    cause: "exit",
    exitCode: 3,
    signal: null,
    stdout: "out\n",
    stderr: "err\n",
  });
  for (const time of [scheduledAt, startedAt]) assertMatch(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  for (const ms of [driftMs, durationMs]) assertEquals(typeof ms, "number");
});

Deno.test("timer at runs the command when the wall clock shows the time, and not before", async () => {
  const dueMs = Math.ceil(Date.now() / 1_000 + 2) * 1_000;
  const time = new Date(dueMs).toISOString().slice(0, 19);
  const { code, stdout } = await conc(["timer", "at", "--tz", "UTC", time, "date", "+%s%3N"]);
  assertEquals(code, 0);
  assert(Number(stdout) >= dueMs, `${stdout} ${dueMs}`);
});

Deno.test("timer every runs as often as it was told; a run that is not over makes it skip", async () => {
  const { code, stdout, stderr } = await conc([
    "timer",
    "every",
    "20ms",
    "-n",
    "3",
    "echo $CONC_SEQ; sleep 0.1",
  ]);
  assertEquals(code, 0);
  assertEquals(stdout.split("\n").length, 4);
  assertMatch(
    stderr,
    /^conc: skipped \d+ of \d+ ticks as a run was not over: --overlap knows what else to do\n$/,
  );
});

Deno.test("timer every --overlap queue and parallel leave out no tick", async () => {
  for (const overlap of ["queue", "parallel"]) {
    const { stdout } = await conc([
      "timer",
      "every",
      "30ms",
      "-n3",
      "--overlap",
      overlap,
      "--json",
      "sleep 0.1",
    ]);
    const summary = records(stdout).at(-1)!;
    assertEquals([summary.type, summary.runs, summary.succeeded], ["summary", 3, 3], overlap);
  }
});

Deno.test("timer every --overlap parallel has runs side by side", async () => {
  await inDirectory(async (cwd) => {
    // Each waits for the other: one at a time would never end.
    const meet = "touch $CONC_SEQ; until [ $(ls | wc -l) -ge 2 ]; do sleep 0.01; done";
    const { code } = await conc(["timer", "every", "20ms", "-n2", "--overlap", "parallel", meet], { cwd });
    assertEquals(code, 0);
  });
});

Deno.test("timer every --overlap kill ends a run with all that it started before the next begins", async () => {
  await inDirectory(async (cwd) => {
    // A run that finds another's files says whether that one is gone.
    const look = "if [ -e pid ]; then kill -0 $(cat pid) || kill -0 $(cat away) && exit 9; exit 0; fi";
    const args = ["--overlap", "kill", "--kill-after", "50ms", "--until-success", "--json"];
    const { code, stdout } = await conc(["timer", "every", "200ms", ...args, `${look}; ${STUBBORN}`], {
      cwd,
    });
    const runs = records(stdout).filter(({ type }) => type === "run");
    const last = runs.pop()!;
    assertEquals([code, last.cause, last.exitCode], [0, "exit", 0], stdout);
    assert(runs.length > 0 && runs.every(({ cause }) => cause === "replaced"), stdout);
    await assertGone(cwd);
  });
});

Deno.test("timer every --until-success goes on until a run succeeds", async () => {
  await inDirectory(async (cwd) => {
    const { code, stdout } = await conc([
      "timer",
      "every",
      "10ms",
      "--until-success",
      "echo $CONC_SEQ >> runs; [ $(wc -l < runs) -ge 3 ]",
    ], { cwd });
    assertEquals([code, stdout], [0, ""]);
    assertEquals((await Deno.readTextFile(`${cwd}/runs`)).trimEnd().split("\n").length, 3);
  });
  const { code, stderr } = await conc(["timer", "every", "10ms", "--until-success", "-n2", "false"]);
  assertEquals([code, stderr.split("\n").at(-2)], [1, "conc: 2 of 2 runs failed"]);
});

Deno.test("timer every exits 1 if a run failed or took too long, and says so", async () => {
  const { code, stderr } = await conc(["timer", "every", "50ms", "-n1", "--timeout", "0.1s", "sleep 300"]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "conc: run 1 timed out after 100ms\n");
  assertStringIncludes(stderr, "conc: 1 of 1 runs failed\n");
});

Deno.test("timer every says once that there is no such command, and exits 127", async () => {
  const { code, stderr } = await conc(["timer", "every", "5ms", "no-such-command"]);
  assertEquals(code, 127);
  assertEquals(stderr, "conc: cannot run 'no-such-command': command not found: check its name and PATH\n");
});

Deno.test("timer cron runs at whole seconds, and its runs read an empty stdin", async () => {
  const args = ["timer", "cron", "* * * * * *", "-n1", "--tz", "Asia/Tokyo", "--json", "cat; date +%s"];
  const { code, stdout } = await conc(args, { stdin: "not for the runs" });
  assertEquals(code, 0);
  const [run, summary] = records(stdout);
  assertMatch(String(run!.scheduledAt), /:\d\d\.000Z$/);
  assert(Number(run!.stdout) >= Date.parse(String(run!.scheduledAt)) / 1_000);
  assertEquals(Object.keys(summary!), [
    ...["type", "runs", "succeeded", "failed", "replaced", "cancelled", "skipped", "exitCode", "durationMs"],
  ]);
});

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
  for (const argv of [["after", "0"], ["every", "10ms"]]) {
    Deno.test(`timer ${argv[0]} passes ${signal} on, leaves nothing running, and exits ${code}`, async () => {
      await inDirectory(async (cwd) => {
        const running = start(["timer", ...argv, "--kill-after", "0.1", STUBBORN], { cwd });
        await eventually("it runs", () => exists(`${cwd}/pid`));
        running.kill(signal);
        const result = await running.result();
        assertEquals([result.code, result.stderr], [code, ""]);
        await assertGone(cwd);
      });
    });
  }
}

Deno.test("timer passes the signal itself on: the command may end well", async () => {
  await inDirectory(async (cwd) => {
    const polite = "trap 'touch told; exit 0' INT; touch ready; while :; do sleep 0.01; done";
    const running = start(["timer", "after", "0", polite], { cwd });
    await eventually("it runs", () => exists(`${cwd}/ready`));
    running.kill("SIGINT");
    assertEquals((await running.result()).code, 130);
    assert(exists(`${cwd}/told`));
  });
});

Deno.test("timer kills at once at the second signal", async () => {
  await inDirectory(async (cwd) => {
    const running = start(["timer", "after", "0", "--kill-after", "1h", STUBBORN], { cwd });
    await eventually("it runs", () => exists(`${cwd}/pid`));
    running.kill("SIGTERM");
    // The second counts only once the first was seen: it is sent until conc has ended.
    const again = setInterval(() => {
      try {
        running.kill("SIGTERM");
      } catch {
        clearInterval(again);
      }
    }, 20);
    assertEquals((await running.result()).code, 143);
    clearInterval(again);
    await assertGone(cwd);
  });
});

Deno.test("timer that waits ends at a signal", async () => {
  for (
    const argv of [["after", "1d"], ["at", "2999-01-01T00:00"], ["every", "1d", "true"], [
      "cron",
      "@yearly",
      "true",
    ]]
  ) {
    const running = start(["timer", ...argv]);
    await eventually("it listens", () => catches(running.pid, 2));
    running.kill("SIGINT");
    const { code, stdout, stderr } = await running.result();
    assertEquals([code, stdout, stderr], [130, "", ""], argv.join(" "));
  }
});

Deno.test("timer ends what its command left running", async () => {
  await inDirectory(async (cwd) => {
    const script = "setsid sleep 300 & echo $! > away; setsid sleep 300 & echo $! > pid";
    assertEquals((await conc(["timer", "after", "0", script], { cwd })).code, 0);
    await assertGone(cwd);
  });
});

for (
  const [what, args, first] of [
    ["ticks", "every 1ms", /^ {3}1 {2}/],
    ["runs", "every 1ms echo hi", /^hi$/],
    ["records", "every 1ms --json echo hi", /^\{"type":"(run|skipped)"/],
    ["times", "next '* * * * *' -n 100000", /^\d{4}-/],
  ] as const
) {
  Deno.test(`timer ends quietly when nobody reads its ${what} any more`, async () => {
    const script = `conc timer ${args} | head -1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await shell(script, { cwd: "." });
    const [line, code] = stdout.split("\n");
    assertMatch(line!, first);
    assertEquals([code, stderr], ["141", ""]);
  });
}

for (
  const [what, args, message] of [
    ["a cron line that never fires", ["cron", "0 0 30 2 *", "touch", "ran"], "never due"],
    [
      "a moment that has passed",
      ["at", "2020-01-01T00:00", "touch", "ran"],
      "has passed: give a time to come",
    ],
    ["no interval", ["every", "0", "touch", "ran"], "must be 1ms or more: received '0'"],
    ["a zone that is none", ["at", "18:30", "--tz", "Nowhere", "touch", "ran"], "received 'Nowhere'"],
    ["too much jitter", ["every", "1ms", "--jitter", "200%", "touch", "ran"], "received '200%'"],
    ["an unknown subcommand", ["evry", "1ms", "touch", "ran"], "did you mean conc timer every?"],
  ] as const
) {
  Deno.test(`timer says in one line what is wrong with ${what}, exits 2 and runs nothing`, async () => {
    await inDirectory(async (cwd) => {
      const { code, stdout, stderr } = await conc(["timer", ...args], { cwd });
      assertEquals({ code, stdout }, { code: 2, stdout: "" });
      assertStringIncludes(stderr, message);
      assertEquals(stderr.split("\n").length, 2);
      assert(!exists(`${cwd}/ran`));
    });
  });
}

/** Whether a process catches a signal, as Linux says it. */
function catches(pid: number, signal: number): boolean {
  const [, mask = "0"] = /^SigCgt:\s*(\w+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
  return (BigInt(`0x${mask}`) >> BigInt(signal - 1) & 1n) === 1n;
}
