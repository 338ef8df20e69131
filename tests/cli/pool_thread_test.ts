import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { conc, eventually, exists, inDirectory, lives, records, shell, start } from "./conc.ts";

const THREAD = ["pool", "--kind", "thread"];

function lines(count: number): string {
  return Array.from({ length: count }, (_, index) => `${index + 1}\n`).join("");
}

Deno.test("pool --kind thread maps a function over the lines of stdin, in order with -k", async () => {
  const { code, stdout, stderr } = await conc([...THREAD, "-j4", "-k", "-e", "n => n ** 2"], {
    stdin: lines(13),
  });
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout, Array.from({ length: 13 }, (_, index) => `${(index + 1) ** 2}\n`).join(""));
});

Deno.test("pool --kind thread passes every input, once, to the function as text", async () => {
  const { code, stdout } = await conc([...THREAD, "-e", "line => line"], { stdin: lines(20_000) });
  assertEquals(code, 0);
  const got = stdout.trimEnd().split("\n").map(Number).sort((a, b) => a - b);
  assertEquals(got, Array.from({ length: 20_000 }, (_, index) => index + 1));
  const types = await conc([...THREAD, "-k", "-e", "(...args) => args", ":::", "1", "a b", ":::", "", "x"]);
  assertEquals(types.stdout, '["1",""]\n["1","x"]\n["a b",""]\n["a b","x"]\n');
});

Deno.test("pool --kind thread prints text as it is, undefined not at all, and the rest as JSON", async () => {
  const source = "n => [undefined, 'a b', 1.5, null, { a: [1] }, 10n, '', true][n]";
  const { stdout } = await conc([...THREAD, "-k", "-e", source], { stdin: "0\n1\n2\n3\n4\n5\n6\n7\n" });
  assertEquals(stdout, 'a b\n1.5\nnull\n{"a":[1]}\n10\n\ntrue\n');
});

Deno.test("pool --kind thread passes bytes that are no UTF-8 through", async () => {
  const bytes = Uint8Array.of(0x61, 0xff, 0x62, 0x0a);
  const { stdoutBytes } = await conc([...THREAD, "-e", "line => line"], { stdin: bytes });
  assertEquals(stdoutBytes, bytes);
});

Deno.test("pool --kind thread runs an export of a module", async () => {
  await inDirectory(async (cwd) => {
    await Deno.mkdir(`${cwd}/odd #?% name`);
    const module = "odd #?% name/functions.js";
    await Deno.writeTextFile(
      `${cwd}/${module}`,
      "export default n => n * 2; export const add = async (a, b) => a + b;",
    );
    const double = await conc([...THREAD, "-k", "--module", module, ":::", "1", "2"], { cwd });
    assertEquals([double.code, double.stdout], [0, "2\n4\n"]);
    const add = await conc(
      [...THREAD, "--module", `./${module}`, "--export", "add", ":::", "a", ":::", "b"],
      { cwd },
    );
    assertEquals([add.code, add.stdout], [0, "ab\n"]);
  });
});

Deno.test("pool --kind thread runs a TypeScript module where the runtime can, and else says that it cannot", async () => {
  await inDirectory(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/typed.ts`, "export default (n: string): number => Number(n) * 2;");
    const { code, stdout, stderr } = await conc([...THREAD, "--module", "typed.ts", ":::", "3"], { cwd });
    if (code === 0) return assertEquals([stdout, stderr], ["6\n", ""]);
    assertEquals([code, stdout], [2, ""]);
    assertMatch(stderr, /^conc: [^\n]+: a compiled program runs no TypeScript: give it the JavaScript\n$/);
  });
});

Deno.test("pool --kind thread: what cannot run at all is a usage error in one line, before anything ran", async () => {
  await inDirectory(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/m.js`, "export const list = [];");
    await Deno.writeTextFile(`${cwd}/broken.js`, "export default n => {");
    const cases: [string[], string][] = [
      [["-e", "n =>"], "cannot run the function 'n =>': SyntaxError: "],
      [
        ["-e", "n => n); console.log(n => n"],
        "cannot run the function 'n => n); console.log(n => n': SyntaxError: ",
      ],
      [["-e", "42"], "cannot run the function '42': it must be a function: received number"],
      [["-e", "nothing"], "ReferenceError: nothing is not defined"],
      [["-e", " "], "cannot run an empty function"],
      [["--module", "m.js"], "it has no export 'default', only list"],
      [["--module", "m.js", "--export", "list"], "it must be a function: received object"],
      [["--module", "broken.js"], "broken.js': "],
      [["--module", "none.js"], "cannot read module 'none.js': No such file or directory"],
      [["--module", "."], "cannot read module '.': it is no file"],
      [["-e", "n => n", "--module", "m.js"], "-e and --module exclude each other"],
      [["-e", "n => n", "--export", "x"], "--export names an export of a module"],
      [[], "no function to run: -e 'n => n ** 2', or --module FILE.js"],
      [["-e", "n => n", "echo"], "unexpected word 'echo'"],
      [["-e", "n => n", "-u"], "--ungroup is about processes"],
      [["-e", "n => n", "--line-buffer"], "--line-buffer is about processes"],
      [["-e", "n => n", "--shell"], "--shell is about processes"],
    ];
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await conc([...THREAD, ...args, ":::", "1"], { cwd });
      assertEquals([code, stdout], [2, ""], stderr);
      assertStringIncludes(stderr, message);
      assertMatch(stderr, /^conc: [^\n]+\n$/);
    }
    const { code, stderr } = await conc(["pool", "-e", "n => n", ":::", "1"]);
    assertEquals([code, stderr], [2, "conc: --eval is about a function, and needs --kind thread\n"]);
  });
});

Deno.test("pool --kind thread: a job that fails, in any way, fails alone and is said in one line", async () => {
  const cases: [string, RegExp][] = [
    ["throw new RangeError('no')", /^conc: job 2: RangeError: no$/m],
    ["throw new Error('two\\nlines')", /^conc: job 2: Error: two …$/m],
    ["throw { code: 7 }", /^conc: job 2: threw \{ code: 7 \}$/m],
    ["return () => 1", /^conc: job 2: DataCloneError: /m],
    ["return [1n]", /^conc: job 2: TypeError: /m],
    ["self.close()", /^conc: job 2: WorkerDiedError: the Worker died: it called self\.close\(\)$/m],
    ["Deno.exit(0)", /^conc: job 2: WorkerDiedError: the Worker died: it called Deno\.exit\(\)$/m],
    ["process.exit(0)", /^conc: job 2: WorkerDiedError: the Worker died: it called process\.exit\(\)$/m],
    [
      "setTimeout(() => { throw new Error('late') }); return new Promise(() => {})",
      /: the Worker died: late$/m,
    ],
  ];
  for (const [statement, pattern] of cases) {
    for (const more of [[], ["--tag"]]) {
      const source = `n => { if (n === '2') { ${statement} } return n; }`;
      const { code, stdout, stderr } = await conc([
        ...THREAD,
        "-k",
        ...more,
        "-e",
        source,
        ":::",
        "1",
        "2",
        "3",
      ]);
      assertEquals(code, 1, statement);
      assertEquals(stdout.replace(/^\d\t/gm, ""), "1\n3\n", statement);
      assertMatch(stderr.replace(/^2\t/m, ""), pattern);
      assertMatch(stderr, /^conc: 1 of 3 jobs failed$/m);
    }
  }
});

Deno.test("pool --kind thread --timeout ends a job that never ends, and goes on", async () => {
  const source = "n => { while (n === '2'); return n; }";
  const { code, stdout } = await conc(
    [...THREAD, "-j1", "--timeout", "2", "--json", "-e", source, ":::", "1", "2", "3"],
  );
  assertEquals(code, 1);
  const all = records(stdout);
  const jobs = all.filter(({ type }) => type === "job");
  assertEquals(jobs.map(({ seq, cause, exitCode, stdout }) => [seq, cause, exitCode, stdout]), [
    [1, "exit", 0, "1\n"],
    [2, "timeout", 124, ""],
    [3, "exit", 0, "3\n"],
  ]);
  const { succeeded, failed } = all.at(-1)!;
  assertEquals([succeeded, failed], [2, 1]);
});

Deno.test("pool --kind thread: what goes with processes goes with threads: retries, halt, joblog, resume, tag, trace", async () => {
  await inDirectory(async (cwd) => {
    const flaky =
      "n => { globalThis.tries = (globalThis.tries ?? 0) + 1; if (tries < 3) throw new Error('not yet'); return tries; }";
    const retried = await conc([...THREAD, "-j1", "--retries", "3", "-e", flaky, ":::", "x"], { cwd });
    assertEquals([retried.code, retried.stdout], [0, "3\n"]);
    const halt = [
      "-j1",
      "--halt",
      "now,fail=1",
      "--joblog",
      "log",
      "-e",
      "n => { if (n > 2) throw 0; return n; }",
    ];
    const halted = await conc([...THREAD, ...halt], { cwd, stdin: lines(100) });
    assertEquals([halted.code, halted.stdout], [1, "1\n2\n"]);
    const resumed = await conc(
      [...THREAD, "--resume", "--tag", "-k", "--trace", "trace.json", ...halt.slice(3), ":::", "1", "2", "0"],
      { cwd },
    );
    assertEquals([resumed.code, resumed.stdout], [0, "0\t0\n"]);
    const trace = JSON.parse(await Deno.readTextFile(`${cwd}/trace.json`));
    assertEquals(trace.filter(({ ph }: { ph: string }) => ph === "X").length, 1);
    const dry = await conc([...THREAD, "--dry-run", "-e", "n => n", ":::", "a b"], { cwd });
    assertEquals(dry.stdout, "'n => n' 'a b'\n");
  });
});

Deno.test("pool --kind thread ends by a signal, whatever its Workers do, and tells how far it was", async () => {
  await inDirectory(async (cwd) => {
    const source = `n => { Deno.writeTextFileSync("begun" + n, ""); for (;;); }`;
    for (const more of ["--no-keep-order", "--keep-order", "--tag"]) {
      const running = start([...THREAD, "-j1", more, "-e", source, ":::", "1", "2"], { cwd });
      await eventually("the task begins", () => exists(`${cwd}/begun1`));
      running.kill("SIGINT");
      const { code, stdout, stderr } = await running.result();
      assertEquals([code, stdout], [130, ""]);
      assertEquals(stderr, "conc: stopped by SIGINT: 0 jobs had ended, 1 were cut off\n");
      assert(!lives(running.pid));
      assert(!exists(`${cwd}/begun2`));
      await Deno.remove(`${cwd}/begun1`);
    }
  });
});

Deno.test("pool --kind thread ends quietly when nobody reads, also where inputs never end", async () => {
  for (const more of ["", "--tag", "--json"]) {
    const script =
      `yes | conc pool --kind thread ${more} -e 'n => n.repeat(1000)' | head -c 1; echo " \${PIPESTATUS[1]}"`;
    const { stdout, stderr } = await shell(script, { cwd: "." });
    assertMatch(stdout, /^[y{] 141\n$/);
    assertEquals(stderr, "");
  }
});

for (const kind of ["process", "thread"]) {
  Deno.test(`pool demo --kind ${kind} squares thirteen numbers on four workers`, async () => {
    const { code, stdout } = await conc(["pool", "demo", "--kind", kind, "--delay", "5ms..20ms", "--json"]);
    assertEquals(code, 0);
    const all = records(stdout);
    const results = all.filter(({ type }) => type === "result");
    const squares = results.map(({ task, square }) => [Number(task), square]).sort(([a], [b]) =>
      Number(a) - Number(b)
    );
    assertEquals(squares, Array.from({ length: 13 }, (_, index) => [index + 1, (index + 1) ** 2]));
    const { tasks, workers } = all.at(-1)!;
    assertEquals([tasks, workers], [13, 4]);
    const text = await conc(["pool", "demo", "--kind", kind, "--delay", "1ms", "--tasks", "2"]);
    assertMatch(text.stdout, /(pid|worker) \d+: 2 squared is 4$/m);
    assertMatch(text.stdout, /^2 tasks on 4 workers, done in [\d.]+m?s\n$/m);
  });
}

Deno.test("pool runs a command that is named demo behind --, or by its path", async () => {
  await inDirectory(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/demo`, "#!/bin/sh\necho mine $1\n", { mode: 0o755 });
    const env = { PATH: `${cwd}:${Deno.env.get("PATH")}` };
    for (const words of [["--", "demo"], ["./demo"]]) {
      assertEquals((await conc(["pool", ...words, ":::", "a"], { cwd, env })).stdout, "mine a\n");
    }
  });
});
