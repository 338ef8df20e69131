import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { CONC, conc, eventually, exists, inDirectory, lives, records, start } from "./conc.ts";

/** A server that answers `/ok`, refuses `/no`, and never answers anything else. */
function serve(): { url: string; close(): Promise<void> } {
  const stop = new AbortController();
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", signal: stop.signal, onListen: () => {} },
    ({ url, signal }) => {
      const { pathname } = new URL(url);
      if (pathname === "/ok") return new Response("welcome\n");
      if (pathname === "/no") return new Response("go away\n", { status: 403 });
      return new Promise<Response>((resolve) =>
        signal.addEventListener("abort", () => resolve(new Response("late")))
      );
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    async close() {
      stop.abort();
      await server.finished;
    },
  };
}

function summaries(stdout: string): string[] {
  return records(stdout).filter(({ type }) => type === "task").map(({ name, cause, exitCode }) =>
    `${name} ${cause} ${exitCode}`
  );
}

Deno.test("gather runs tasks at once and prints them in the order given, each under its name", async () => {
  await inDirectory(async (cwd) => {
    // Each waits for the other to have begun: one after the other they would never end.
    const meet = (me: string, other: string) =>
      `touch ${me}; until [ -e ${other} ]; do sleep 0.01; done; echo ${me}`;
    const { code, stdout } = await conc(
      ["gather", `eat=${meet("a", "b")}; sleep 0.2`, `play=${meet("b", "a")}`],
      { cwd },
    );
    assertEquals(code, 0);
    assertMatch(stdout, /^== eat: exit 0, [\d.]+m?s\na\n== play: exit 0, [\d.]+m?s\nb\n$/);
  });
});

Deno.test("gather puts a name on a line of its own, whatever was printed before it", async () => {
  for (const more of [[], ["--stream", "--limit", "1"]]) {
    const { stdout } = await conc(["gather", ...more, "a=printf 1", "b=printf 2; printf x >&2; exit 1"]);
    const lines = stdout.split("\n").map((line) => line.replace(/, [\d.]+m?s$/, ""));
    assertEquals(
      lines,
      more.length === 0
        ? ["== a: exit 0", "1", "== b: exit 1", "2"]
        : ["a\t1", "== a: exit 0", "b\t2", "== b: exit 1", ""],
    );
  }
  const { stderr } = await conc(["gather", "printf x >&2; exit 1"]);
  assertEquals(stderr, "x\nconc: 1 of 1 tasks failed\n");
});

Deno.test("gather -q prints the output alone, and stderr apart", async () => {
  const { stdout, stderr } = await conc(["gather", "-q", "echo out; echo err >&2", "echo two"]);
  assertEquals([stdout, stderr], ["out\ntwo\n", "err\n"]);
});

Deno.test("gather --mode settled runs all, and exits 1 if one failed", async () => {
  const { code, stdout, stderr } = await conc(["gather", "--json", "a=exit 3", "b=kill -9 $$", "c=true"]);
  assertEquals(code, 1);
  assertEquals(summaries(stdout), ["a exit 3", "b signal 137", "c exit 0"]);
  assertEquals(stderr, "conc: 2 of 3 tasks failed\n");
});

const HANG =
  "hang=trap '' TERM; echo $$ > pid.new; mv pid.new pid; setsid sleep 300 & echo $! > away; while :; do sleep 300; done";

for (
  const [mode, other, expected] of [
    ["all", "exit 3", ["hang cancelled 137", "other exit 3"]],
    ["any", "true", ["hang cancelled 137", "other exit 0"]],
    ["race", "exit 3", ["hang cancelled 137", "other exit 3"]],
  ] as const
) {
  Deno.test(`gather --mode ${mode} cancels the rest and waits until it is gone`, async () => {
    await inDirectory(async (cwd) => {
      const task = `other=until [ -e pid ]; do sleep 0.01; done; ${other}`;
      const { code, stdout } = await conc(
        ["gather", "--json", "--mode", mode, "--kill-after", "0.2", HANG, task],
        { cwd },
      );
      assertEquals(summaries(stdout), [...expected]);
      assertEquals(code, mode === "any" ? 0 : 1);
      for (const name of ["pid", "away"]) {
        assert(!exists(`/proc/${(await Deno.readTextFile(`${cwd}/${name}`)).trim()}`), name);
      }
    });
  });
}

Deno.test("gather --mode any fails if all fail", async () => {
  const { code, stderr } = await conc(["gather", "--mode", "any", "false", "exit 2"]);
  assertEquals([code, stderr], [1, "conc: 2 of 2 tasks failed\n"]);
});

Deno.test("gather fetches URLs: a body, a refusal, a server that is not there", async () => {
  const server = serve();
  try {
    const { code, stdout } = await conc([
      "gather",
      "--json",
      `${server.url}/ok`,
      `no=${server.url}/no`,
      "gone=http://127.0.0.1:9/",
    ]);
    assertEquals(code, 1);
    const [ok, no, gone] = records(stdout);
    assertEquals([ok!.cause, ok!.status, ok!.exitCode, ok!.stdout], ["response", 200, 0, "welcome\n"]);
    assertEquals([no!.name, no!.status, no!.exitCode, no!.stdout], ["no", 403, 1, "go away\n"]);
    assertEquals([gone!.cause, gone!.exitCode], ["error", 1]);
    assertEquals(typeof gone!.error, "string");
  } finally {
    await server.close();
  }
});

Deno.test("gather --timeout cancels what hangs, a command and a server alike, and exits 124", async () => {
  const server = serve();
  try {
    const args = [
      "--timeout",
      "0.5",
      "--limit",
      "3",
      "sleep 300",
      `${server.url}/hang`,
      "echo quick",
      "sleep 300",
    ];
    const { code, stdout, stderr } = await conc(["gather", "--json", ...args]);
    assertEquals(code, 124);
    assertEquals(records(stdout).map(({ cause }) => cause), [
      "timeout",
      "timeout",
      "exit",
      "timeout",
      undefined,
    ]);
    assertEquals(stderr, "conc: timed out after 500ms: 3 of 4 tasks were cancelled\n");
  } finally {
    await server.close();
  }
});

Deno.test("gather --limit runs no more than that at a time", async () => {
  await inDirectory(async (cwd) => {
    const task = "mkdir lock && sleep 0.05 && rmdir lock";
    const { code } = await conc(["gather", "--limit", "1", ...Array.from({ length: 5 }, () => task)], {
      cwd,
    });
    assertEquals(code, 0);
  });
});

Deno.test("gather --stream prints lines as they come, behind the task's name", async () => {
  await inDirectory(async (cwd) => {
    const slow = "slow=echo 1; until [ -e go ]; do sleep 0.01; done; echo 2";
    const running = start(["gather", "-q", "--stream", slow, "quick=echo 3; sleep 0.1; touch go"], { cwd });
    const { stdout } = await running.result();
    assertEquals(stdout.trimEnd().split("\n").sort(), ["quick\t3", "slow\t1", "slow\t2"]);
    assert(stdout.endsWith("slow\t2\n"));
  });
});

Deno.test("gather - reads tasks from stdin", async () => {
  const { stdout } = await conc(["gather", "-q", "echo first", "-"], {
    stdin: "echo second\n\nx=echo third\n",
  });
  assertEquals(stdout, "first\nsecond\nthird\n");
  const none = await conc(["gather", "-"], { stdin: "" });
  assertEquals([none.code, none.stdout], [0, ""]);
});

Deno.test("gather --timeline draws a row for each task", async () => {
  const { stderr } = await conc(["gather", "--timeline", "one=sleep 0.2", "two=sleep 0.1; exit 4"]);
  const [one, two] = stderr.split("\n");
  assertMatch(one!, /^one +\[exit 0-+\]$/);
  assertMatch(two!, /^two +\[exit 4!+\]$/);
});

Deno.test("gather passes SIGINT on, leaves nothing running, and exits 130", async () => {
  await inDirectory(async (cwd) => {
    const running = start(["gather", "--kill-after", "0.2", HANG, "sleep 300"], { cwd });
    const pid = Number(
      await eventually("it runs", () => exists(`${cwd}/pid`) && Deno.readTextFileSync(`${cwd}/pid`)),
    );
    running.kill("SIGINT");
    const { code, stdout } = await running.result();
    assertEquals(code, 130);
    assertStringIncludes(stdout, "== hang: interrupted");
    assert(!lives(pid));
  });
});

Deno.test("gather ends its tasks when nobody reads any more", async () => {
  await inDirectory(async (cwd) => {
    const running = new Deno.Command("bash", {
      args: ["-c", 'exec 3>&1; "$@" | head -1; echo ${PIPESTATUS[0]} >&3', "sh", ...CONC, ...[
        "gather",
        "--stream",
        "a=yes",
        "b=sleep 300",
      ]],
      cwd,
      stdout: "piped",
    });
    const { stdout } = await running.output();
    assertEquals(new TextDecoder().decode(stdout), "a\ty\n141\n");
  });
});

for (
  const [what, args, message] of [
    ["no task", [], "no task: conc gather [NAME=]TASK…"],
    ["an empty task", ["a="], "cannot run an empty task"],
    ["a URL that is none", ["http://a b/"], "this is no URL"],
    ["two tasks of one name", ["a=touch ran", "a=true"], "both are named 'a'"],
    ["an unknown mode", ["--mode", "some", "touch ran"], "must be one of settled, all, any, race"],
    ["no task at a time", ["--limit", "0", "touch ran"], "received '0'"],
    ["stdin twice", ["-", "-"], "stdin can be read only once"],
  ] as const
) {
  Deno.test(`gather says in one line what is wrong with ${what}, exits 2 and runs nothing`, async () => {
    await inDirectory(async (cwd) => {
      const { code, stdout, stderr } = await conc(["gather", ...args], { cwd });
      assertEquals({ code, stdout }, { code: 2, stdout: "" });
      assertStringIncludes(stderr, message);
      assertEquals(stderr.split("\n").length, 2);
      assert(!exists(`${cwd}/ran`));
    });
  });
}

Deno.test("gather demo eats and plays at once", async () => {
  const { stdout } = await conc(["gather", "demo", "--each", "50ms", "--json"]);
  const steps = records(stdout).map(({ name, step }) => `${name} ${step}`);
  assertEquals(steps.slice(0, 2), ["eat begins", "play begins"]);
  assertEquals(steps.slice(2, 4).sort(), ["eat ends", "play ends"]);
});
