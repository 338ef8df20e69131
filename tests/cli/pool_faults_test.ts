import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { conc, eventually, exists, inDirectory, lives, records, shell, start } from "./conc.ts";

/** Bad command lines: what they say, and that nothing ran. */
const USAGE_ERRORS: [string, string[], string][] = [
  ["an unknown flag", ["--jbos=2", "touch", ":::", "ran"], "conc: unknown flag --jbos: did you mean --jobs?"],
  ["no jobs at all", ["-j0", "touch", ":::", "ran"], "received '0'"],
  ["fewer than no jobs", ["-j", "-1", "touch", ":::", "ran"], "received '-1'"],
  ["a bad duration", ["--timeout", "1x", "touch", ":::", "ran"], "such as 250ms or 1.5s: received '1x'"],
  ["a bad size", ["--memfree", "lots", "touch", ":::", "ran"], "received 'lots'"],
  ["a bad rate", ["--rate", "0/s", "touch", ":::", "ran"], "received '0/s'"],
  ["a bad halt rule", ["--halt", "later", "touch", ":::", "ran"], "received 'later'"],
  ["a bad regular expression", ["--colsep", "(", "touch", ":::", "ran"], "received '('"],
  [
    "a missing input file",
    ["touch", "ran", "::::", "missing"],
    "conc: cannot read inputs from 'missing': No such file",
  ],
  ["a directory as input file", ["touch", "ran", "::::", "."], "cannot read inputs from '.'"],
  ["no command", [":::", "ran"], "conc: no command"],
  ["a value that is missing", ["--timeout"], "conc: --timeout needs a value: --timeout D|P%"],
  [
    "a flag given twice",
    ["--joblog", "a", "--joblog", "b", "touch", ":::", "ran"],
    "--joblog: given more than once",
  ],
  ["resuming without a log", ["--resume", "touch", ":::", "ran"], "--joblog FILE"],
  [
    "a log that is none",
    ["--joblog", "junk", "--resume", "touch", ":::", "ran"],
    "cannot resume from 'junk'",
  ],
  ["a log that is a directory", ["--joblog", ".", "touch", ":::", "ran"], "cannot write joblog '.'"],
  [
    "results where nothing can be written",
    ["--results", "junk/r", "touch", ":::", "ran"],
    "cannot write results to",
  ],
  [
    "results in a directory without a name",
    ["--results", "", "touch", ":::", "ran"],
    "cannot write results to ''",
  ],
  ["a value that is empty", ["--timeout", "", "touch", ":::", "ran"], "such as 250ms or 1.5s: received ''"],
  ["modes that exclude each other", ["-u", "--json", "touch", ":::", "ran"], "exclude each other"],
  ["a link to nothing", ["touch", ":::+", "ran"], "nothing to link"],
];

for (const [what, args, message] of USAGE_ERRORS) {
  Deno.test(`pool says in one line what is wrong with ${what}, exits 2 and runs nothing`, async () => {
    await inDirectory(async (cwd) => {
      await Deno.writeTextFile(`${cwd}/junk`, "this is no joblog\n");
      const { code, stdout, stderr } = await conc(["pool", ...args], { cwd });
      assertEquals({ code, stdout }, { code: 2, stdout: "" }, stderr);
      assertStringIncludes(stderr, message);
      assertEquals(stderr.split("\n").length, 2, stderr);
      assert(!exists(`${cwd}/ran`));
      assertEquals(await Deno.readTextFile(`${cwd}/junk`), "this is no joblog\n");
    });
  });
}

Deno.test("pool says once that a command is not found, and exits 127", async () => {
  const { code, stdout, stderr } = await shell("seq 1000 | conc pool no-such-command; echo $?", { cwd: "." });
  assertEquals({ code, stdout }, { code: 0, stdout: "127\n" });
  assertEquals(stderr, "conc: cannot run 'no-such-command': command not found: check its name and PATH\n");
});

Deno.test("pool says once that a command cannot be executed, and exits 126", async () => {
  const { stdout, stderr } = await shell("seq 1000 | conc pool -j2 /etc/passwd; echo $?", { cwd: "." });
  assertEquals([stdout, stderr], ["126\n", "conc: cannot run '/etc/passwd': Permission denied\n"]);
});

Deno.test("pool takes a callback that cannot take a long input for one that failed, and goes on", async () => {
  const { code, stdout, stderr } = await conc([
    "pool",
    "-k",
    "-n2",
    "--on-done",
    "echo done #",
    "printf '%.1s' {}",
  ], {
    stdin: `${"x".repeat(100_000)}\n${"y".repeat(100_000)}\nb\nc\n`,
  });
  assertEquals({ code, stdout }, { code: 1, stdout: "bcdone\n" }, stderr);
  assertStringIncludes(
    stderr,
    "the --on-done command of job 1 failed: cannot run 'sh': Argument list too long",
  );
});

Deno.test("pool waits for a job to end where the system has no room for another", async () => {
  const script = "ulimit -n 40; seq 40 | conc pool -k -j40 'sleep 0.1; echo {}'; echo $?";
  const { stdout, stderr } = await shell(script, { cwd: "." });
  const numbers = Array.from({ length: 40 }, (_, index) => index + 1);
  assertEquals([stdout, stderr], [`${numbers.join("\n")}\n0\n`, ""]);
});

Deno.test("pool says of each input that names no command that it failed, and goes on", async () => {
  const { code, stdout, stderr } = await conc(["pool", "-k", "{}", ":::", "no-such-command", "pwd"]);
  assertEquals(code, 1);
  assertMatch(stdout, /^\/.*\n$/);
  assertStringIncludes(stderr, "conc: job 1: cannot run 'no-such-command'");
});

Deno.test("pool fails a job whose input is longer than the system passes on, and goes on", async () => {
  const { code, stdout, stderr } = await conc(["pool", "-k", "echo"], {
    stdin: `${"x".repeat(10 * 2 ** 20)}\nb\n`,
  });
  assertEquals({ code, stdout }, { code: 1, stdout: "b\n" });
  assertStringIncludes(stderr, "conc: job 1: cannot run 'echo': Argument list too long");
  assertEquals(stderr.trimEnd().split("\n").length, 2);
});

Deno.test("pool refuses an input line with a NUL byte and says how to read such input", async () => {
  const { code, stdout, stderr } = await conc(["pool", "-k", "echo"], { stdin: "a\nb\0c\n" });
  assertEquals({ code, stdout }, { code: 2, stdout: "a\n" });
  assertStringIncludes(stderr, "line 2 of stdin as it holds a NUL byte: separate inputs with -0");
});

Deno.test("pool cannot read a joblog without permission, or a store that is full", async () => {
  if (!exists("/dev/full")) return;
  const { code, stderr } = await conc(["pool", "--joblog", "/dev/full", "echo", ":::", "a"]);
  assertEquals(code, 125);
  assertMatch(stderr, /^conc: cannot write joblog '\/dev\/full': No space left on device.*\n$/);
});

Deno.test("pool exits 125 when stdout is full", async () => {
  const { stdout, stderr } = await shell("conc pool echo ::: a > /dev/full; echo $?", { cwd: "." });
  assertEquals(stdout, "125\n");
  assertStringIncludes(stderr, "conc: cannot write to stdout: No space left on device");
});

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
  Deno.test(`pool passes ${signal} on, leaves nothing running, and exits ${code}`, async () => {
    await inDirectory(async (cwd) => {
      const script = `trap '' TERM INT HUP; echo $$ > stubborn.tmp; mv stubborn.tmp stubborn
        setsid sh -c 'echo $$ > away.tmp; mv away.tmp away; exec sleep 300' &
        while :; do sleep 300; done #`;
      const running = start(["pool", "-j2", "--kill-after", "0.2", script, ":::", "a"], { cwd });
      const pids = [];
      for (const name of ["stubborn", "away"]) {
        await eventually(`${name} runs`, () => exists(`${cwd}/${name}`));
        pids.push(Number(await Deno.readTextFile(`${cwd}/${name}`)));
      }
      running.kill(signal);
      const result = await running.result();
      assertEquals(result.code, code);
      assertEquals(result.stderr, `conc: stopped by ${signal}: 0 jobs had ended, 1 were cut off\n`);
      for (const pid of pids) assert(!exists(`/proc/${pid}`), `${pid} is still there`);
    });
  });
}

Deno.test("pool kills at once at the second signal", async () => {
  await inDirectory(async (cwd) => {
    const script = "trap 'touch asked' INT; touch ready; while :; do sleep 0.01; done #";
    const running = start(["pool", "--kill-after", "1h", script, ":::", "a"], { cwd });
    await eventually("the job is ready", () => exists(`${cwd}/ready`));
    running.kill("SIGINT");
    await eventually("the job was asked", () => exists(`${cwd}/asked`));
    running.kill("SIGINT");
    assertEquals((await running.result()).code, 130);
  });
});

Deno.test("pool's joblog is complete for what ended before a signal, and resuming does the rest", async () => {
  await inDirectory(async (cwd) => {
    const command = ["pool", "-j2", "--joblog", "log"];
    const script = "touch started{}; [ {} -le 3 ] || [ -e go ] || sleep 300; echo {}";
    const running = start([...command, script], { cwd, stdin: "1\n2\n3\n4\n5\n6\n" });
    await eventually("two jobs hang", () => exists(`${cwd}/started4`) && exists(`${cwd}/started5`));
    await eventually("three are logged", () => Deno.readTextFileSync(`${cwd}/log`).split("\n").length === 5);
    running.kill("SIGTERM");
    const cut = await running.result();
    assertEquals(cut.code, 143);
    assertEquals(cut.stdout.split("\n").sort().join(""), "123");
    await Deno.writeTextFile(`${cwd}/go`, "");
    const rest = await conc([...command, "--resume", "-k", script], { cwd, stdin: "1\n2\n3\n4\n5\n6\n" });
    assertEquals([rest.code, rest.stdout], [0, "4\n5\n6\n"]);
  });
});

Deno.test("pool --json sums up with the exit code of a signal", async () => {
  await inDirectory(async (cwd) => {
    const running = start(["pool", "--json", "touch started; sleep 300 #", ":::", "a"], { cwd });
    await eventually("the job runs", () => exists(`${cwd}/started`));
    running.kill("SIGTERM");
    const { code, stdout } = await running.result();
    const [summary] = records(stdout);
    assertEquals([code, summary!.exitCode, summary!.cut], [143, 143, 1]);
  });
});

Deno.test("pool -k prints and logs what ended behind a job that was cut off", async () => {
  await inDirectory(async (cwd) => {
    const script = "touch started{}; [ {} != 1 ] || sleep 300; echo {}";
    const running = start(["pool", "-j2", "-k", "--joblog", "log", script, ":::", "1", "2", "3"], { cwd });
    await eventually("the last job has started", () => exists(`${cwd}/started3`));
    running.kill("SIGINT");
    const { stdout } = await running.result();
    assert(["2\n", "2\n3\n"].includes(stdout), stdout);
    const logged = (await Deno.readTextFile(`${cwd}/log`)).trimEnd().split("\n").length - 1;
    assertEquals(logged, stdout.split("\n").length - 1);
  });
});

Deno.test("pool's joblog does not lie after SIGKILL at any moment", async () => {
  await inDirectory(async (cwd) => {
    const inputs = Array.from({ length: 200 }, (_, i) => `${i}\n`).join("");
    const done = new Set<string>();
    for (let round = 0; round < 5; round++) {
      const resume = round === 0 ? [] : ["--resume"];
      const running = start(["pool", "-j2", "--joblog", "log", ...resume, "echo {} >> ran; echo {}"], {
        cwd,
        stdin: inputs,
      });
      await eventually(
        "some more jobs ran",
        () => exists(`${cwd}/log`) && loggedInputs(cwd).length >= done.size + 5,
      );
      running.kill("SIGKILL");
      const { stdout } = await running.result();
      for (const line of stdout.trimEnd().split("\n")) done.add(line);
      for (const input of loggedInputs(cwd)) {
        assert(done.has(input), `${input} is logged but was not printed`);
      }
    }
    const rest = await conc(["pool", "-j2", "--joblog", "log", "--resume", "echo {} >> ran; echo {}"], {
      cwd,
      stdin: inputs,
    });
    assertEquals(rest.code, 0);
    const ran = new Set((await Deno.readTextFile(`${cwd}/ran`)).trimEnd().split("\n"));
    assertEquals(ran.size, 200);
    assertEquals(new Set(loggedInputs(cwd)).size, 200);
  });
});

function loggedInputs(cwd: string): string[] {
  const log = Deno.readTextFileSync(`${cwd}/log`);
  const whole = log.slice(0, log.lastIndexOf("\n") + 1).split("\n").slice(1, -1);
  return whole.map((line) => line.split("\t")[8]!.split(" ")[1]!);
}

Deno.test("pool under a signal at any moment leaves nothing behind", async () => {
  await inDirectory(async (cwd) => {
    for (const delayMs of [0, 60, 120, 180, 240, 300]) {
      const mark = `conc-test-${crypto.randomUUID()}`;
      const running = start(["pool", "-j2", "setsid sleep 300 & sleep 300 #"], {
        cwd,
        env: { CONC_TEST: mark },
        stdin: "1\n2\n3\n",
      });
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      running.kill("SIGTERM");
      const { code } = await running.result();
      assertEquals(code, 143);
      assertEquals(marked(mark), []);
    }
  });
});

/** The living processes with a mark in their environment. */
function marked(mark: string): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => {
    try {
      return pid > 0 && lives(pid) && Deno.readTextFileSync(`/proc/${pid}/environ`).includes(mark);
    } catch {
      return false;
    }
  });
}

Deno.test("pool reaps the orphans that its jobs leave while it runs", async () => {
  await inDirectory(async (cwd) => {
    const script =
      "[ {} != 0 ] || { until [ -e go ]; do sleep 0.01; done; }; sh -c 'echo $$ > orphan{}; exit 0' & :";
    const running = start(["pool", "-j4", script, ":::", "0", "1", "2"], { cwd });
    await eventually("the orphans are gone, not zombies", () => {
      const pids = ["1", "2"].map((name) =>
        exists(`${cwd}/orphan${name}`) && Deno.readTextFileSync(`${cwd}/orphan${name}`).trim()
      );
      return pids.every((pid) => pid !== false && pid !== "" && !exists(`/proc/${pid}`));
    });
    await Deno.writeTextFile(`${cwd}/go`, "");
    assertEquals((await running.result()).code, 0);
  });
});

Deno.test("pool --json on a signal still sums up", async () => {
  await inDirectory(async (cwd) => {
    const running = start(["pool", "--json", "touch started; sleep 300 #", ":::", "a"], { cwd });
    await eventually("the job runs", () => exists(`${cwd}/started`));
    running.kill("SIGTERM");
    const { stdout, code } = await running.result();
    const [summary] = records(stdout);
    assertEquals([code, summary!.type, summary!.cut], [143, "summary", 1]);
  });
});
