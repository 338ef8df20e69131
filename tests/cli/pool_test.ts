import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { conc, eventually, exists, inDirectory, records, shell, start } from "./conc.ts";

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

Deno.test("pool runs a command once for each argument and each line of stdin", async () => {
  assertEquals((await conc(["pool", "-k", "echo", ":::", "a", "b c", ""])).stdout, "a\nb c\n\n");
  assertEquals((await conc(["pool", "-k", "echo"], { stdin: "x\ny" })).stdout, "x\ny\n");
});

Deno.test("pool runs nothing and exits 0 without inputs", async () => {
  for (const args of [["pool", "false"], ["pool", "false", ":::"]]) {
    const { code, stdout, stderr } = await conc(args, { stdin: "" });
    assertEquals({ code, stdout, stderr }, { code: 0, stdout: "", stderr: "" });
  }
});

Deno.test("pool compresses real files, with and without --", async () => {
  await inDirectory(async (cwd) => {
    for (const separator of ["", "--"]) {
      await Deno.writeTextFile(`${cwd}/a.log`, "a".repeat(9_999));
      await Deno.writeTextFile(`${cwd}/b c.log`, "b".repeat(9_999));
      const { code, stderr } = await shell(`conc pool -j4 ${separator} gzip -9 -k {} ::: *.log`, { cwd });
      assertEquals({ code, stderr }, { code: 0, stderr: "" });
      const { stdout } = await shell("gzip -dc 'b c.log.gz' | wc -c; rm *.gz", { cwd });
      assertEquals(stdout.trim(), "9999");
    }
  });
});

Deno.test("pool gives what xargs gives, for every file name", async () => {
  await inDirectory(async (cwd) => {
    const names = ["plain", "with space", "quote'and\"quote", "$(touch pwned)", "new\nline", "-dash", "ü"];
    for (const name of names) await Deno.writeTextFile(`${cwd}/${name}`, "x\n".repeat(name.length));
    const find = "find . -type f -print0 | sort -z";
    const ours = await shell(`${find} | conc pool -0 -k wc -l`, { cwd });
    const theirs = await shell(`${find} | xargs -0 -n1 wc -l`, { cwd });
    assertEquals(ours.stdout, theirs.stdout);
    assert(lines(ours.stdout).length >= names.length);
    assert(!exists(`${cwd}/pwned`));
  });
});

Deno.test("pool passes bytes that are no UTF-8 to the command as they were", async () => {
  const input = new Uint8Array([0x61, 0xff, 0xfe, 0x27, 0x62, 0x0a, 0xc3, 0xa9, 0x0a]);
  for (const command of [["printf", "%s\\n"], ["printf '%s\\n' {}"]]) {
    const { stdoutBytes, code } = await conc(["pool", "-k", ...command], { stdin: input });
    assertEquals({ bytes: stdoutBytes, code }, { bytes: input, code: 0 });
  }
});

Deno.test("pool --json gives bytes that are no UTF-8 as Base64", async () => {
  const { stdout } = await conc(["pool", "--json", "printf", "%s"], { stdin: new Uint8Array([0xff, 0x0a]) });
  const [job] = records(stdout);
  assertEquals([job!.stdoutBase64, job!.argsBase64, job!.stdout], ["/w==", ["/w=="], undefined]);
});

Deno.test("pool never lets a shell see what an input holds", async () => {
  await inDirectory(async (cwd) => {
    const input = "$(touch pwned); `touch pwned`; touch pwned\n'; touch pwned; '\n";
    for (const command of [["echo"], ["echo {}"], ["echo {}; true"]]) {
      const { stdout } = await conc(["pool", "-k", ...command], { stdin: input, cwd });
      assertEquals(stdout, input);
    }
    assert(!exists(`${cwd}/pwned`));
  });
});

Deno.test("pool fills all placeholders", async () => {
  const { stdout } = await conc([
    "pool",
    "-j1",
    "echo",
    "{}|{.}|{/}|{//}|{/.}|{#}|{%}",
    ":::",
    "/d.x/f.tar.gz",
    "g",
  ]);
  assertEquals(stdout, "/d.x/f.tar.gz|/d.x/f.tar|f.tar.gz|/d.x|f.tar|1|1\ng|g|g|.|g|2|1\n");
});

Deno.test("pool combines sources, and links those that say so", async () => {
  const combined = await conc(["pool", "-k", "echo", "{2}{1}", ":::", "a", "b", ":::", "1", "2"]);
  assertEquals(lines(combined.stdout), ["1a", "2a", "1b", "2b"]);
  const linked = await conc(["pool", "-k", "echo", "{1}{2}", ":::", "a", "b", "c", ":::+", "1", "2"]);
  assertEquals(lines(linked.stdout), ["a1", "b2"]);
});

Deno.test("pool reads inputs from files, with -a and ::::", async () => {
  await inDirectory(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/one`, "a\nb\n");
    await Deno.writeTextFile(`${cwd}/two`, "1\n2\n");
    assertEquals((await conc(["pool", "-k", "-a", "one", "echo"], { cwd })).stdout, "a\nb\n");
    const before = await conc(["pool", "-k", "-a", "one", "echo", ":::", "1"], { cwd });
    assertEquals(before.stdout, "a 1\nb 1\n");
    assertEquals(
      (await conc(["pool", "-k", "echo", "::::", "one", "two"], { cwd })).stdout,
      "a 1\na 2\nb 1\nb 2\n",
    );
    assertEquals((await conc(["pool", "-k", "echo", "::::", "-"], { cwd, stdin: "s\n" })).stdout, "s\n");
  });
});

Deno.test("pool groups inputs with -n and splits them with --colsep", async () => {
  assertEquals((await conc(["pool", "-k", "-n2", "echo"], { stdin: "1\n2\n3\n" })).stdout, "1 2\n3\n");
  assertEquals((await conc(["pool", "-k", "-n0", "echo", "hi"], { stdin: "1\n2\n" })).stdout, "hi\nhi\n");
  assertEquals(
    (await conc(["pool", "--colsep", ":", "echo", "{2}-{1}-{3}"], { stdin: "a:b\n" })).stdout,
    "b-a-\n",
  );
});

Deno.test("pool --dry-run prints commands that a shell reads back, and runs nothing", async () => {
  const { stdout } = await conc(["pool", "--dry-run", "touch", "{}", ":::", "a b", "it's", "$(x)"]);
  assertEquals(stdout, `touch 'a b'\ntouch 'it'"'"'s'\ntouch '$(x)'\n`);
});

Deno.test("pool keeps each job's output in one block, and stdout apart from stderr", async () => {
  const script = "for i in 1 2 3; do echo {}; echo {} >&2; done";
  const { stdout, stderr } = await conc(["pool", "-j4", script, ":::", "a", "b", "c", "d"]);
  for (const text of [stdout, stderr]) {
    assertEquals(lines(text).length, 12);
    for (let i = 0; i < 12; i += 3) assertEquals(new Set(lines(text).slice(i, i + 3)).size, 1, text);
  }
});

Deno.test("pool -k prints in the order of the inputs, whatever ends first", async () => {
  await inDirectory(async (cwd) => {
    const script =
      "if [ {} = 1 ]; then until [ -e go ]; do sleep 0.01; done; fi; echo {}; [ {} != 4 ] || touch go";
    for (const flag of ["-k", "-k --line-buffer"]) {
      const { stdout } = await conc(["pool", "-j4", ...flag.split(" "), script, ":::", "1", "2", "3", "4"], {
        cwd,
      });
      assertEquals(stdout, "1\n2\n3\n4\n");
      await Deno.remove(`${cwd}/go`);
    }
  });
});

Deno.test("pool --line-buffer prints a line while the job still runs", async () => {
  await inDirectory(async (cwd) => {
    const script =
      `conc pool --line-buffer 'echo first; until [ -e go ]; do sleep 0.01; done; echo second; #' ::: a |
      while read -r line; do echo "got $line"; touch go; done`;
    assertEquals((await shell(script, { cwd })).stdout, "got first\ngot second\n");
  });
});

Deno.test("pool --tag begins each line with the input", async () => {
  const { stdout } = await conc(["pool", "-k", "--tag", "printf '1\\n2' #", ":::", "a", "b"]);
  assertEquals(stdout, "a\t1\na\t2b\t1\nb\t2");
  const lineWise = await conc([
    "pool",
    "-j1",
    "--tag",
    "--line-buffer",
    "printf '1\\n2\\n' #",
    ":::",
    "a",
    "b",
  ]);
  assertEquals(lineWise.stdout, "a\t1\na\t2\nb\t1\nb\t2\n");
});

Deno.test("pool -u lets output straight through, to results too", async () => {
  await inDirectory(async (cwd) => {
    assertEquals((await conc(["pool", "-u", "echo", ":::", "x"], { cwd })).stdout, "x\n");
    assertEquals((await conc(["pool", "-u", "--results", "r", "echo", ":::", "x"], { cwd })).stdout, "x\n");
    assertEquals(await Deno.readTextFile(`${cwd}/r/1/x/stdout`), "x\n");
  });
});

Deno.test("pool spills large output to disk and prints all of it", async () => {
  const { stdout } = await shell(
    "conc pool -j2 -k 'head -c 60000000 /dev/zero | tr \"\\\\0\" {}' ::: a b | sha256sum; " +
      "(head -c 60000000 /dev/zero | tr '\\0' a; head -c 60000000 /dev/zero | tr '\\0' b) | sha256sum",
    { cwd: "." },
  );
  const [ours, theirs] = lines(stdout);
  assertEquals(ours, theirs);
});

Deno.test("pool exits 1 and says how many jobs failed", async () => {
  const { code, stderr } = await conc(["pool", "test", "{}", "-ne", "7"], { stdin: "6\n7\n8\n" });
  assertEquals({ code, stderr }, { code: 1, stderr: "conc: 1 of 3 jobs failed\n" });
});

Deno.test("pool --json says how each job ended, and sums up", async () => {
  const script = "echo {}; [ {} != s ] || kill -9 $$; exit {}";
  const { code, stdout } = await conc(["pool", "-k", "--json", script, ":::", "3", "s"]);
  const [first, second, summary] = records(stdout);
  assertEquals(code, 1);
  assertEquals(Object.keys(first!), [
    ...[
      "type",
      "seq",
      "slot",
      "command",
      "args",
      "cause",
      "exitCode",
      "signal",
      "attempts",
      "startedAt",
      "durationMs",
    ],
    ...["stdout", "stderr"],
  ]);
  assertEquals([first!.type, first!.seq, first!.args, first!.cause, first!.exitCode], [
    "job",
    1,
    ["3"],
    "exit",
    3,
  ]);
  assertEquals([first!.stdout, first!.stderr, first!.signal], ["3\n", "", null]);
  assertEquals([second!.cause, second!.exitCode, second!.signal], ["signal", 137, "SIGKILL"]);
  assertMatch(String(first!.startedAt), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  const { durationMs, ...counts } = summary!;
  assertEquals(typeof durationMs, "number");
  assertEquals(counts, {
    ...{ type: "summary", jobs: 2, succeeded: 0, failed: 2, cut: 0, skipped: 0, onDoneFailed: 0 },
    ...{ halted: false, exitCode: 1 },
  });
});

Deno.test("pool reads inputs as slots free up", async () => {
  await inDirectory(async (cwd) => {
    const script = "(echo 1; until [ -e ran1 ]; do sleep 0.01; done; echo 2) | conc pool -j1 'touch ran{}'";
    assertEquals((await shell(script, { cwd })).code, 0);
    assert(exists(`${cwd}/ran2`));
  });
});

Deno.test("pool gives each job a slot of its own", async () => {
  const { stdout } = await conc(["pool", "-j3", "echo", "{%}", "$CONC_SLOT", "{}", ":::", ..."abcdefghi"]);
  assert(lines(stdout).every((line) => /^[123] \$CONC_SLOT [a-i]$/.test(line)), stdout);
  const { stdout: env } = await conc(["pool", "-j1", 'echo "$CONC_SEQ-$CONC_SLOT" #', ":::", "a", "b"]);
  assertEquals(env, "1-1\n2-1\n");
});

Deno.test("pool --timeout ends a job that takes too long, and what it started", async () => {
  await inDirectory(async (cwd) => {
    const script = "echo $$ > pid; setsid sh -c 'echo $$ > deep; exec sleep 300' & wait #";
    const { code, stdout } = await conc(["pool", "--json", "--timeout", "0.3", script, ":::", "a"], { cwd });
    const [job] = records(stdout);
    assertEquals({ code, cause: job!.cause, exitCode: job!.exitCode }, {
      code: 1,
      cause: "timeout",
      exitCode: 124,
    });
    for (const name of ["pid", "deep"]) {
      assert(!exists(`/proc/${(await Deno.readTextFile(`${cwd}/${name}`)).trim()}`));
    }
  });
});

Deno.test("pool --timeout P% ends a job that takes much longer than the others", async () => {
  const { code, stdout } = await conc(
    ["pool", "-j2", "--json", "--timeout", "1000%", "sleep {}", ":::", "0.02", "0.02", "0.02", "0.02", "300"],
  );
  const causes = records(stdout).filter(({ type }) => type === "job").map(({ cause }) => cause);
  assertEquals({ code, timeouts: causes.filter((cause) => cause === "timeout").length }, {
    code: 1,
    timeouts: 1,
  });
});

Deno.test("pool --retries runs a job until it works, and prints the last attempt only", async () => {
  await inDirectory(async (cwd) => {
    const script = "echo x >> tries; echo attempt $(wc -l < tries); [ $(wc -l < tries) -ge 3 ] #";
    const { code, stdout } = await conc(["pool", "--retries", "5", script, ":::", "a"], { cwd });
    assertEquals({ code, stdout }, { code: 0, stdout: "attempt 3\n" });
    const failing = await conc([
      "pool",
      "--json",
      "--retries",
      "2",
      "--retry-delay",
      "1ms",
      "false",
      ":::",
      "a",
    ]);
    assertEquals(records(failing.stdout)[0]!.attempts, 2);
  });
});

Deno.test("pool --halt now ends what runs, soon lets it finish", async () => {
  await inDirectory(async (cwd) => {
    const script = "[ {} != 1 ] || exit 1; touch started{}; sleep 0.5; echo {}";
    const soon = await conc(["pool", "-j2", "--halt", "soon,fail=1", script, ":::", "2", "1", "3", "4"], {
      cwd,
    });
    assertEquals([soon.code, soon.stdout], [1, "2\n"]);
    assertStringIncludes(soon.stderr, "1 of 2 jobs failed, and the rest was not run");
    assert(!exists(`${cwd}/started4`));
    const now = await conc([
      "pool",
      "-j2",
      "--halt",
      "now,fail=1",
      "[ {} != 1 ] || exit 1; sleep 300",
      ":::",
      "2",
      "1",
    ]);
    assertEquals([now.code, now.stdout], [1, ""]);
    const race = await conc([
      "pool",
      "-j2",
      "--halt",
      "now,success=1",
      "sleep {}; echo {}",
      ":::",
      "300",
      "0.1",
    ]);
    assertEquals([race.code, race.stdout], [0, "0.1\n"]);
  });
});

Deno.test("pool --delay and --rate keep starts apart", async () => {
  for (const flags of [["--delay", "40ms"], ["--rate", "25/s"]]) {
    const { stdout } = await conc(["pool", "-j8", "--json", ...flags, "true", ":::", ..."abcdef"]);
    const starts = records(stdout).filter(({ type }) => type === "job").map(({ startedAt }) =>
      Date.parse(String(startedAt))
    );
    starts.sort((a, b) => a - b);
    // Five gaps of 40 ms; a rate may catch up 50 ms of what it was late.
    assert(starts.at(-1)! - starts[0]! >= 140, String(starts));
  }
});

Deno.test("pool --load and --memfree hold jobs back while they do not hold", async () => {
  await inDirectory(async (cwd) => {
    const held = start(["pool", "--memfree", "900T", "touch", "ran", ":::", "a"], { cwd });
    for (const load of ["100000%", "1000"]) {
      const free = await conc(["pool", "--memfree", "1k", "--load", load, "touch", ":::", "free"], { cwd });
      assertEquals(free.code, 0);
    }
    assert(exists(`${cwd}/free`) && !exists(`${cwd}/ran`));
    held.kill("SIGINT");
    assertEquals((await held.result()).code, 130);
  });
});

Deno.test("pool --joblog has GNU parallel's columns", async () => {
  await inDirectory(async (cwd) => {
    const script = "case {} in t) sleep 300;; k) kill -9 $$;; *) echo x; exit {};; esac";
    await conc([
      "pool",
      "-j1",
      "--joblog",
      "log",
      "--timeout",
      "2",
      script,
      ":::",
      "0",
      "3",
      "k",
      "t",
      "a\nb",
    ], { cwd });
    const [header, ...rest] = lines(await Deno.readTextFile(`${cwd}/log`));
    assertEquals(header, "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand");
    const columns = rest.map((line) => line.split("\t"));
    assertEquals(
      columns.map(([seq, host, , , send, receive, exit, signal]) => [seq, host, send, receive, exit, signal]),
      [
        ["1", ":", "0", "2", "0", "0"],
        ["2", ":", "0", "2", "3", "0"],
        ["3", ":", "0", "0", "0", "9"],
        ["4", ":", "0", "0", "-1", "15"],
        ["5", ":", "0", "2", "2", "0"],
      ],
    );
    assertMatch(columns[0]![2]!, /^\d+\.\d{3}$/);
    assertMatch(columns[0]![3]!, /^ *\d+\.\d{3}$/);
    assertStringIncludes(columns[4]![8]!, "'a\0b'");
  });
});

Deno.test("pool --resume goes by the command, not by its number", async () => {
  await inDirectory(async (cwd) => {
    const first = await conc(["pool", "--joblog", "log", "test {} -ne 7; echo {}", ":::", "1", "7"], { cwd });
    assertEquals(first.code, 0);
    const second = await conc(["pool", "-k", "--joblog", "log", "--resume", "test {} -ne 7; echo {}"], {
      cwd,
      stdin: "9\n7\n1\n1\n",
    });
    assertEquals(second.stdout, "9\n1\n");
  });
});

Deno.test("pool --resume-failed runs what failed, until it works", async () => {
  await inDirectory(async (cwd) => {
    const run = (flag: string[]) =>
      shell(`seq 20 | conc pool -j3 -k --joblog j ${flag.join(" ")} 'echo {}; test {} -ne 7 -o -e fixed'`, {
        cwd,
      });
    const first = await run([]);
    assertEquals([first.code, lines(first.stdout).length], [1, 20]);
    const second = await run(["--resume-failed"]);
    assertEquals([second.code, second.stdout], [1, "7\n"]);
    await Deno.writeTextFile(`${cwd}/fixed`, "");
    assertEquals((await run(["--resume-failed"])).stdout, "7\n");
    assertEquals((await run(["--resume-failed"])).stdout, "");
  });
});

Deno.test("pool resumes from a log whose last line was not finished, and from GNU parallel's own", async () => {
  await inDirectory(async (cwd) => {
    const header = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";
    const log = `${header}1\t:\t1795464881.915\t     0.019\t0\t2\t0\t0\techo a\n2\t:\t17954648`;
    await Deno.writeTextFile(`${cwd}/log`, log);
    const { stdout } = await conc(["pool", "-k", "--joblog", "log", "--resume", "echo", ":::", "a", "b"], {
      cwd,
    });
    assertEquals(stdout, "b\n");
    assertEquals(lines(await Deno.readTextFile(`${cwd}/log`)).map((line) => line.split("\t").at(-1)), [
      "Command",
      "echo a",
      "echo b",
    ]);
  });
});

Deno.test("pool --results keeps the output of each job in GNU parallel's layout", async () => {
  await inDirectory(async (cwd) => {
    await conc(
      ["pool", "--results", "r", "sh -c 'echo out; echo err >&2' #", ":::", "a/b", "..", ":::", "x"],
      { cwd },
    );
    assertEquals(await Deno.readTextFile(`${cwd}/r/1/a\\_b/2/x/stdout`), "out\n");
    assertEquals(await Deno.readTextFile(`${cwd}/r/1/a\\_b/2/x/stderr`), "err\n");
    assertEquals(await Deno.readTextFile(`${cwd}/r/1/\\../2/x/seq`), "2\n");
    const long = "n".repeat(300);
    await conc(["pool", "--results", "l", "echo", ":::", `${long}a`, `${long}b`], { cwd });
    assertEquals((await Array.fromAsync(Deno.readDir(`${cwd}/l/1`))).length, 2);
  });
});

Deno.test("pool --on-done hands each result to a callback, one at a time", async () => {
  const callback = 'read -r n; echo "$CONC_INPUT squared is $n, exit $CONC_EXIT_CODE"';
  const { stdout, code } = await conc([
    "pool",
    "-k",
    "--on-done",
    callback,
    "echo $(({} * {}))",
    ":::",
    "2",
    "3",
  ]);
  assertEquals({ stdout, code }, {
    stdout: "4\n2 squared is 4, exit 0\n9\n3 squared is 9, exit 0\n",
    code: 0,
  });
  const failing = await conc(["pool", "--on-done", "exit 3", "true", ":::", "a"]);
  assertEquals(failing.code, 1);
  assertStringIncludes(failing.stderr, "the --on-done command of job 1 failed: exit code 3");
});

Deno.test("pool --progress prints lines where there is no terminal", async () => {
  const { stderr } = await conc(["pool", "--progress", "true", ":::", "a", "b"]);
  assertMatch(stderr, /^conc: 2\/2 done \(100%\), 0 running, [\d.]+\/s, took .+\n$/);
});

Deno.test("pool --timeline draws a row for each slot, with every job in it, on stderr", async () => {
  const { stdout, stderr } = await conc([
    "pool",
    "-j2",
    "--timeline",
    "sleep 0.{}; test {} -ne 3 #",
    ":::",
    "2",
    "3",
    "2",
  ]);
  assertEquals(stdout, "");
  const [first, second, scale] = lines(stderr);
  assertMatch(first!, /^slot 1 +\[1-+\] ?\[3-+\]$/);
  assertMatch(second!, /^slot 2 +\[2!+\]$/);
  assertMatch(scale!, /^ {7}0s .+m?s$/);
  for (const line of lines(stderr)) assert(line.length <= 80, line);
});

Deno.test("pool --trace writes the Trace Event Format, every attempt as one event in its slot", async () => {
  await inDirectory(async (cwd) => {
    const { code } = await conc([
      "pool",
      "-j2",
      "--retries",
      "2",
      "--trace",
      "t.json",
      "test {} -ne 2 #",
      ":::",
      "1",
      "2",
    ], { cwd });
    assertEquals(code, 1);
    const events = JSON.parse(await Deno.readTextFile(`${cwd}/t.json`));
    const bars = events.filter(({ ph }: { ph: string }) => ph === "X");
    assertEquals(
      bars.map((bar: { args: { seq: number; attempt: number } }) => `${bar.args.seq}.${bar.args.attempt}`)
        .sort(),
      [
        "1.1",
        "2.1",
        "2.2",
      ],
    );
    const named = new Set(
      events.filter(({ name }: { name: string }) => name === "thread_name").map(({ tid }: { tid: number }) =>
        tid
      ),
    );
    for (const { name, cat, ts, dur, pid, tid } of bars) {
      assert(name.startsWith("test ") && cat === "job" && pid === 1 && named.has(tid));
      assert(Number.isInteger(ts) && Number.isInteger(dur) && dur > 0);
    }
    const failed = await conc(["pool", "--trace", ".", "touch", ":::", "ran"], { cwd });
    assertEquals([failed.code, exists(`${cwd}/ran`)], [2, false]);
  });
});

Deno.test("pool --shuf runs every input once", async () => {
  const inputs = Array.from({ length: 40 }, (_, i) => String(i));
  const { stdout } = await conc(["pool", "--dry-run", "--shuf", "echo", ":::", ...inputs]);
  const order = lines(stdout).map((line) => line.slice(5));
  assertEquals([...order].sort(), [...inputs].sort());
  assert(order.join() !== inputs.join());
});

Deno.test("pool ends quietly when nobody reads any more", async () => {
  const { stdout, stderr } = await shell(
    "seq 100000 | conc pool --dry-run echo | head -1; echo ${PIPESTATUS[1]}",
    { cwd: "." },
  );
  assertEquals([stdout, stderr], ["echo 1\n141\n", ""]);
  const running = await shell("conc pool -j1 --line-buffer 'yes {}' ::: a | head -1; echo ${PIPESTATUS[0]}", {
    cwd: ".",
  });
  assertEquals([running.stdout, running.stderr], ["a\n141\n", ""]);
  const through = await shell("yes | conc pool -u echo | head -1; echo ${PIPESTATUS[1]}", { cwd: "." });
  assertEquals([through.stdout, through.stderr], ["y\n141\n", ""]);
  const failing = await shell("seq 3 | conc pool -u false | cat; echo ${PIPESTATUS[1]}", { cwd: "." });
  assertEquals([failing.stdout, failing.stderr], ["1\n", "conc: 3 of 3 jobs failed\n"]);
});

Deno.test("pool does not wait for what a job left behind, and ends it when it ends itself", async () => {
  await inDirectory(async (cwd) => {
    const { code, stdout, stderr } = await conc([
      "pool",
      "sleep 300 & echo $! > pid; echo started #",
      ":::",
      "a",
    ], { cwd });
    assertEquals({ code, stdout }, { code: 0, stdout: "started\n" });
    assertEquals(stderr, "conc: ended 1 process that jobs had left running\n");
    assert(!exists(`/proc/${(await Deno.readTextFile(`${cwd}/pid`)).trim()}`));
  });
});

Deno.test("pool runs a command of one word directly, with blanks through a shell, unless told otherwise", async () => {
  assertEquals((await conc(["pool", "echo $((1+1)) #", ":::", "x"])).stdout, "2\n");
  assertEquals((await conc(["pool", "echo", "$((1+1))", ":::", "x"])).stdout, "$((1+1)) x\n");
  assertEquals((await conc(["pool", "--shell", "echo", "$((1+1))", ":::", "a b"])).stdout, "2 a b\n");
  assertEquals((await conc(["pool", "--no-shell", "echo hi", ":::", "x"])).code, 127);
});

Deno.test("pool waits for the end of a slow input", async () => {
  await inDirectory(async (cwd) => {
    const running = shell(
      "(echo a; until [ -e go ]; do sleep 0.01; done; echo b) | conc pool -k 'touch {}; echo {}'",
      { cwd },
    );
    await eventually("job a ran", () => exists(`${cwd}/a`));
    await Deno.writeTextFile(`${cwd}/go`, "");
    assertEquals((await running).stdout, "a\nb\n");
  });
});
