import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { HostEvent } from "../../lib/host/event.ts";
import { Store } from "../../lib/host/store.ts";
import {
  conc,
  eventually,
  exists,
  inDirectory,
  lives,
  records,
  type Result,
  type Running,
  type RunOptions,
  shell,
  start,
} from "./conc.ts";

/** `conc event` with a store of its own. */
class Events {
  readonly cwd: string;
  readonly #options: RunOptions;

  constructor(cwd: string) {
    this.cwd = cwd;
    this.#options = { cwd, env: { CONC_STORE: `${cwd}/store/conc.db` } };
  }

  start(...args: string[]): Running {
    return start(["event", ...args], this.#options);
  }

  run(...args: string[]): Promise<Result> {
    return conc(["event", ...args], this.#options);
  }

  /** Waits until so many wait for an event. */
  async waiting(name: string, count: number): Promise<void> {
    using store = new Store(`${this.cwd}/store/conc.db`);
    await eventually(
      `${count} wait for ${name}`,
      () =>
        (HostEvent.list(store).find((event) => event.name === name)?.waiting ??
          new HostEvent(store, name).statistics().waiting) === count,
    );
  }
}

function withEvents(body: (events: Events) => Promise<void>): Promise<void> {
  return inDirectory((cwd) => body(new Events(cwd)));
}

/** Where nobody listens. */
function closedPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

Deno.test("event wait returns with the data whether it begins before, during or after the set", async () => {
  await withEvents(async (events) => {
    const before = events.start("wait", "ready", "-q");
    await events.waiting("ready", 1);
    const during = [1, 2, 3].map(() => events.start("wait", "ready", "-q"));
    assertEquals(await events.run("set", "ready", "--data", "port 5432"), {
      ...{ code: 0, stdout: "", stderr: "", stdoutBytes: new Uint8Array() },
    });
    const after = events.start("wait", "ready", "-q");
    for (const waiter of [before, ...during, after]) {
      const { code, stdout, stderr } = await waiter.result();
      assertEquals([code, stdout, stderr], [0, "port 5432\n", ""]);
    }
  });
});

Deno.test("event pulse wakes who waits now, and nobody later", async () => {
  await withEvents(async (events) => {
    const present = events.start("wait", "reload", "-q");
    await events.waiting("reload", 1);
    await events.run("pulse", "reload", "--data", "now");
    assertEquals((await present.result()).stdout, "now\n");
    const { code, stderr } = await events.run("wait", "reload", "--timeout", "50ms");
    assertEquals([code, stderr], [124, "conc: timed out after 50ms: reload: is not set\n"]);
    assertEquals((await events.run("is-set", "reload")).code, 1);
  });
});

Deno.test("one event set wakes twenty processes", async () => {
  await withEvents(async (events) => {
    const waiters = Array.from({ length: 20 }, () => events.start("wait", "go", "--json"));
    await events.waiting("go", 20);
    await events.run("set", "go");
    for (const waiter of waiters) {
      const { code, stdout } = await waiter.result();
      assertEquals([code, records(stdout)[0]!.generation], [0, 1]);
    }
    await events.waiting("go", 0);
  });
});

Deno.test("many first users at once make one store, and none takes it for another program's", async () => {
  for (let round = 0; round < 3; round++) {
    await withEvents(async (events) => {
      const users = Array.from({ length: 16 }, () => events.start("pulse", "first"));
      for (const user of users) {
        const { code, stderr } = await user.result();
        assertEquals([code, stderr], [0, ""]);
      }
      const [event] = records((await events.run("list", "--json")).stdout);
      assertEquals(event!.generation, 16);
    });
  }
});

Deno.test("event wait does no harm to a store that lies beside a file that it waits for", async () => {
  await inDirectory(async (cwd) => {
    const options = { cwd, env: { CONC_STORE: "conc.db" } };
    const targets = ["ready", "file:ready", "log:app.log=~up", "--not", "-q"];
    await conc(["event", "set", "ready"], options);
    await Deno.writeTextFile(`${cwd}/ready`, "");
    await Deno.writeTextFile(`${cwd}/app.log`, "up\n");
    const waiters = Array.from({ length: 6 }, () => start(["event", "wait", ...targets], options));
    const more = Array.from({ length: 6 }, () => start(["event", "wait", "go", "file:go", "-q"], options));
    using store = new Store(`${cwd}/conc.db`);
    await eventually("they wait", () => new HostEvent(store, "go").statistics().waiting === 6);
    for (let round = 0; round < 50; round++) new HostEvent(store, "other").set(String(round));
    await conc(["event", "clear", "ready"], options);
    await Deno.remove(`${cwd}/ready`);
    await Deno.remove(`${cwd}/app.log`);
    await Deno.writeTextFile(`${cwd}/go`, "");
    await conc(["event", "set", "go"], options);
    for (const waiter of [...waiters, ...more]) {
      const { code, stderr } = await waiter.result();
      assertEquals([code, stderr], [0, ""]);
    }
    assertEquals(store.get("PRAGMA integrity_check"), { integrity_check: "ok" });
  });
});

Deno.test("event set, clear, is-set and list agree on how an event stands", async () => {
  await withEvents(async (events) => {
    const empty = await events.run("list");
    assertEquals([empty.stdout, empty.stderr], ["", "conc: there is no event: conc event set makes one\n"]);
    assertEquals((await events.run("is-set", "a")).code, 1);
    await events.run("set", "a", "--data", "one\ntwo");
    assertEquals((await events.run("is-set", "a")).code, 0);
    const list = await events.run("list");
    assertMatch(
      list.stdout,
      /^NAME +STATE +GENERATION +WAITING +SINCE +DATA\na +set +1 +0 +\d{4}-\S+ +one two\n$/,
    );
    const keys = { type: "event", name: "a", waiting: 0 };
    const [{ since, ...listed }] = records((await events.run("list", "--json")).stdout) as [
      Record<string, unknown>,
    ];
    assertEquals(listed, { ...keys, set: true, generation: 1, data: "one\ntwo" });
    assertMatch(String(since), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    const again = await events.run("set", "a", "--json");
    assertEquals(records(again.stdout), [{ ...keys, set: true, generation: 2, data: null }]);
    const pulsed = await events.run("pulse", "a", "--json", "--data", "x");
    assertEquals(records(pulsed.stdout), [{ ...keys, set: true, generation: 3, data: null }]);
    const cleared = await events.run("clear", "a", "--json");
    assertEquals(records(cleared.stdout), [{ ...keys, set: false, generation: 3, data: null }]);
    const isSet = await events.run("is-set", "a", "--json");
    assertEquals([isSet.code, records(isSet.stdout)], [1, [{
      ...keys,
      set: false,
      generation: 3,
      data: null,
    }]]);
  });
});

Deno.test("event wait for a port and a file exits 124 and says what is wrong with each, or 0 at once", async () => {
  await withEvents(async (events) => {
    const port = closedPort();
    const targets = [`tcp:127.0.0.1:${port}`, "file:ready"];
    const vain = await events.run("wait", ...targets, "--timeout", "0.3s");
    assertEquals([vain.code, vain.stdout, vain.stderr], [
      124,
      "",
      `conc: timed out after 300ms: tcp:127.0.0.1:${port}: connection refused; file:ready: no such file\n`,
    ]);
    await Deno.writeTextFile(`${events.cwd}/ready`, "");
    const half = await events.run("wait", ...targets, "--timeout", "0.3s");
    assertEquals(half.code, 124);
    assertMatch(
      half.stderr,
      /^conc: file:ready: is there \(after .*\)\nconc: timed out after 300ms: tcp:\S+: connection refused\n$/,
    );
    using _listener = Deno.listen({ hostname: "127.0.0.1", port });
    const met = await events.run("wait", ...targets);
    assertEquals([met.code, met.stdout], [0, ""]);
    assertStringIncludes(met.stderr, `conc: tcp:127.0.0.1:${port}: accepts connections (after `);
    assert(!exists(`${events.cwd}/store`), "no event was named");
  });
});

Deno.test("event wait waits for targets of every kind together", async () => {
  await withEvents(async (events) => {
    const sleeper = new Deno.Command("sleep", { args: ["300"] }).spawn();
    const port = closedPort();
    const waiter = events.start(
      "wait",
      ...["name", `tcp:localhost:${port}`, `http://127.0.0.1:${port}/`, "unix:socket", "file:new/file"],
      ...[`pid:${sleeper.pid}`, "log:app.log=~^ready \\d+$", "cmd:test -e flag"],
      ...["--interval", "20ms", "--json"],
    );
    await events.waiting("name", 1);
    await events.run("set", "name", "--data", "d");
    const server = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, () => new Response());
    using _socket = Deno.listen({ transport: "unix", path: `${events.cwd}/socket` });
    await Deno.mkdir(`${events.cwd}/new`);
    await Deno.writeTextFile(`${events.cwd}/new/file`, "");
    sleeper.kill("SIGKILL");
    await sleeper.status;
    await Deno.writeTextFile(`${events.cwd}/app.log`, "ready\n");
    await Deno.rename(`${events.cwd}/app.log`, `${events.cwd}/app.log.1`);
    await Deno.writeTextFile(`${events.cwd}/app.log`, "starting\nready 8080\n");
    await Deno.writeTextFile(`${events.cwd}/flag`, "");
    const { code, stdout, stderr } = await waiter.result();
    await server.shutdown();
    assertEquals([code, stderr], [0, ""]);
    const seen = records(stdout).filter(({ type }) => type === "target").map(({ target, state, seen }) =>
      `${target} ${state}: ${seen}`
    );
    assertEquals(
      seen.toSorted(),
      [
        "name held: happened",
        `tcp:localhost:${port} held: accepts connections`,
        `http://127.0.0.1:${port}/ held: answers HTTP 200`,
        "unix:socket held: accepts connections",
        "file:new/file held: is there",
        `pid:${sleeper.pid} held: has exited`,
        "log:app.log=~^ready \\d+$ held: has the line 'ready 8080'",
        "cmd:test -e flag held: succeeds",
      ].toSorted(),
    );
  });
});

Deno.test("event wait --any ends with the first, and says which", async () => {
  await withEvents(async (events) => {
    const waiter = events.start("wait", "--any", "never", "file:ready", "cmd:sleep 300", "tcp:127.0.0.1:1");
    await events.waiting("never", 1);
    await Deno.writeTextFile(`${events.cwd}/ready`, "");
    const { code, stdout, stderr } = await waiter.result();
    assertEquals([code, stdout], [0, ""]);
    assertMatch(stderr, /^conc: file:ready: is there \(after .*\)\n$/);
    await events.waiting("never", 0);
  });
});

Deno.test("event wait --not waits for the opposite", async () => {
  await withEvents(async (events) => {
    await events.run("set", "down");
    await Deno.writeTextFile(`${events.cwd}/lock`, "");
    await Deno.writeTextFile(`${events.cwd}/log`, "busy\n");
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    const targets = [
      "down",
      "file:lock",
      "log:log=~busy",
      `tcp:127.0.0.1:${port}`,
      "cmd:test -e lock",
      "pid:4194304",
    ];
    const vain = await events.run("wait", "--not", ...targets, "--timeout", "0");
    assertEquals([vain.code, vain.stderr], [
      124,
      `conc: looked once: down: is set; file:lock: is there; log:log=~busy: has the line 'busy'; tcp:127.0.0.1:${port}: ` +
      "accepts connections; cmd:test -e lock: succeeds; pid:4194304: there is no such process\n",
    ]);
    const waiter = events.start("wait", "--not", "--interval", "20ms", ...targets.slice(0, -1));
    await events.run("clear", "down");
    await Deno.remove(`${events.cwd}/lock`);
    await Deno.truncate(`${events.cwd}/log`);
    listener.close();
    assertEquals((await waiter.result()).code, 0);
    assertEquals((await events.run("wait", "--not", `pid:${Deno.pid}`)).code, 0);
  });
});

Deno.test("event wait runs its command once all hold, directly, with its stdin, exit code and the data", async () => {
  await withEvents(async (events) => {
    await events.run("set", "ready", "--data", "a  $(b)");
    const words = [
      "sh",
      "-c",
      'cat; printf "<%s>" "$CONC_EVENT_DATA" "$@"; exit 7',
      "sh",
      "x  y",
      "$(z)",
      "--",
      "--json",
    ];
    const { code, stdout, stderr } = await conc(["event", "wait", "ready", "-q", "--", ...words], {
      ...{ stdin: "from stdin\n", cwd: events.cwd, env: { CONC_STORE: `${events.cwd}/store/conc.db` } },
    });
    assertEquals([code, stdout, stderr], [7, "from stdin\n<a  $(b)><x  y><$(z)><--><--json>", ""]);
    const script = await events.run("wait", "ready", "-q", "--", "echo a; exit 3");
    assertEquals([script.code, script.stdout], [3, "a\n"]);
    const missing = await events.run("wait", "ready", "-q", "--", "no-such-command");
    assertEquals(missing.code, 127);
    const vain = await events.run("wait", "ready", "file:no", "--timeout", "50ms", "--", "touch", "ran");
    assertEquals([vain.code, exists(`${events.cwd}/ran`)], [124, false]);
  });
});

Deno.test("event wait --json prints documented records and keys", async () => {
  await withEvents(async (events) => {
    await events.run("set", "ready", "--data", "d");
    const met = await events.run("wait", "ready", "--json", "--", "sh", "-c", "echo out; echo err >&2");
    const [target, run, summary, ...none] = records(met.stdout) as [
      Record<string, unknown>,
      Record<string, unknown>,
      Record<string, unknown>,
    ];
    assertEquals([met.code, met.stderr, none], [0, "", []]);
    const { elapsedMs, ...targetRest } = target;
    assertEquals(targetRest, {
      ...{ type: "target", target: "ready", state: "held", seen: "happened", attempts: 0 },
      ...{ generation: 1, data: "d" },
    });
    const { waitedMs, startedAt, durationMs, ...runRest } = run;
    assertEquals(runRest, {
      ...{ type: "run", command: "sh -c 'echo out; echo err >&2'", cause: "exit", exitCode: 0, signal: null },
      ...{ stdout: "out\n", stderr: "err\n" },
    });
    assertMatch(String(startedAt), /^\d{4}-.*Z$/);
    const { durationMs: totalMs, ...summaryRest } = summary;
    assertEquals(summaryRest, {
      ...{ type: "summary", targets: 1, held: 1, mode: "all", not: false, outcome: "held", exitCode: 0 },
    });
    for (const ms of [elapsedMs, waitedMs, durationMs, totalMs]) assert(Number(ms) >= 0);
    const vain = await events.run("wait", "--any", "--not", "ready", "file:/", "--timeout", "50ms", "--json");
    assertEquals(vain.code, 124);
    assertEquals(
      records(vain.stdout).map(({ type, target, state, seen, outcome, exitCode, mode, not }) =>
        type === "target" ? [target, state, seen] : [outcome, exitCode, mode, not]
      ),
      [["ready", "waiting", "is set"], ["file:/", "waiting", "is there"], ["timeout", 124, "any", true]],
    );
  });
});

Deno.test("event wait --retries gives up after so many attempts, with exit code 1", async () => {
  await withEvents(async (events) => {
    const all = await events.run(
      "wait",
      "never",
      "cmd:echo x >> tried; echo no >&2; exit 2",
      "--retries",
      "3",
      "--interval",
      "1ms",
    );
    assertEquals([all.code, all.stderr], [
      1,
      "conc: gave up after 3 attempts: never: is not set; cmd:echo x >> tried; echo no >&2; exit 2: exit code 2: no\n",
    ]);
    assertEquals(await Deno.readTextFile(`${events.cwd}/tried`), "x\nx\nx\n");
    const any = await events.run("wait", "--any", "cmd:false", "cmd:exit 3", "--retries", "1");
    assertEquals([any.code, any.stderr], [
      1,
      "conc: gave up after 1 attempt: cmd:false: exit code 1; cmd:exit 3: exit code 3\n",
    ]);
    const goesOn = events.start("wait", "--any", "cmd:false", "later", "--retries", "1");
    await events.waiting("later", 1);
    await events.run("set", "later");
    assertEquals((await goesOn.result()).code, 0);
  });
});

Deno.test("event wait does not hang where a server takes connections and says nothing", async () => {
  await withEvents(async (events) => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    const url = `http://user:secret@127.0.0.1:${port}/`;
    const { code, stderr } = await events.run(
      ...[
        "wait",
        url,
        "cmd:sleep 300",
        "--attempt-timeout",
        "50ms",
        "--interval",
        "1ms",
        "--timeout",
        "0.4s",
      ],
    );
    assertEquals([code, stderr], [
      124,
      `conc: timed out after 400ms: http://user:…@127.0.0.1:${port}/: no answer within 50ms; cmd:sleep 300: no answer within 50ms\n`,
    ]);
  });
});

Deno.test("event wait ends and reaps the command that it asks, by timeout and by signals", async () => {
  await withEvents(async (events) => {
    const script =
      "cmd:trap '' TERM INT; setsid sleep 300 & echo $! > away; echo $$ > pid.new; mv pid.new pid; " +
      "while :; do sleep 300; done";
    const assertGone = async () => {
      for (const name of ["pid", "away"]) {
        const pid = Number(await Deno.readTextFile(`${events.cwd}/${name}`));
        assert(pid > 0 && !lives(pid), name);
      }
      await Deno.remove(`${events.cwd}/pid`);
    };
    const timedOut = await events.run("wait", script, "--timeout", "1s");
    assertEquals(timedOut.code, 124);
    await assertGone();
    for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
      const waiter = events.start("wait", "never", script, "--", "touch", "ran");
      await eventually("the script runs", () => exists(`${events.cwd}/pid`));
      waiter.kill(signal);
      const result = await waiter.result();
      assertEquals([result.code, result.stdout, result.stderr], [code, "", ""]);
      await assertGone();
    }
    assertEquals(exists(`${events.cwd}/ran`), false);
    await events.waiting("never", 0);
  });
});

Deno.test("event wait passes a signal on to its command, and ends with 128+N", async () => {
  await withEvents(async (events) => {
    const waiter = events.start(
      "wait",
      "file:.",
      "-q",
      "--",
      "sh",
      "-c",
      "trap 'echo told > told; exit 9' TERM; touch up; while :; do sleep 0.01; done",
    );
    await eventually("the command runs", () => exists(`${events.cwd}/up`));
    waiter.kill("SIGTERM");
    assertEquals((await waiter.result()).code, 143);
    assertEquals(await Deno.readTextFile(`${events.cwd}/told`), "told\n");
  });
});

Deno.test("event wait that nobody reads ends quietly", async () => {
  await inDirectory(async (cwd) => {
    const { stdout, stderr } = await shell(
      "conc event wait file:. pid:4194304 cmd:true --json | head -1 | cut -c 1-16",
      { cwd },
    );
    assertEquals([stdout, stderr], ['{"type":"target"\n', ""]);
  });
});

Deno.test("timer --event: what ticks once sets the event, what ticks again and again pulses it", async () => {
  await withEvents(async (events) => {
    const env = { CONC_STORE: `${events.cwd}/store/conc.db` };
    const waiter = events.start("wait", "tick", "-q");
    await events.waiting("tick", 1);
    const every = await conc(["timer", "every", "20ms", "--count", "2", "--event", "tick", "-q", "true"], {
      env,
    });
    assertEquals([every.code, every.stdout, every.stderr], [0, "", ""]);
    assertMatch((await waiter.result()).stdout, /^\d{4}-\d\d-\d\dT[\d:.]+Z\n$/);
    assertEquals((await events.run("is-set", "tick")).code, 1);
    const after = await conc(["timer", "after", "1ms", "--event", "once", "--json"], { env });
    const [{ scheduledAt }] = records(after.stdout) as [Record<string, unknown>];
    assertEquals((await events.run("wait", "once", "-q")).stdout, `${scheduledAt}\n`);
    const [once, tick] = records((await events.run("list", "--json")).stdout);
    assertEquals([once!.generation, Number(tick!.generation) >= 2], [1, true]);
    const bad = await conc(["timer", "after", "0", "--event", "a/b"], { env });
    assertEquals(bad.code, 2);
    assertStringIncludes(bad.stderr, "conc: --event: cannot use that as a name");
  });
});
