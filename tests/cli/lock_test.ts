import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { CONC, conc, eventually, exists, inDirectory, lives, records, type Running } from "./conc.ts";
import { jobOf, killHard, untilWaiting, waiting, withStore } from "./store_place.ts";

Deno.test("lock run has the command's exit code, its streams and its words", async () => {
  await withStore(async ({ run }) => {
    const { code, stdout, stderr } = await run([
      "lock",
      "run",
      "a",
      "sh",
      "-c",
      "echo out; echo err >&2; exit 7",
    ]);
    assertEquals([code, stdout, stderr], [7, "out\n", "err\n"]);
    assertEquals(
      (await run(["lock", "run", "a", "printf", "%s|", "two words", "-n5"])).stdout,
      "two words|-n5|",
    );
    assertEquals((await run(["lock", "run", "a", "echo one; exit 3"])).code, 3);
    assertEquals((await run(["lock", "run", "a", "--no-shell", "echo one"])).code, 127);
    assertEquals((await run(["lock", "run", "a", "sh", "-c", "kill -9 $$"])).code, 137);
    assertEquals((await run(["lock", "run", "a", "/etc/passwd"])).code, 126);
    assertEquals((await run(["lock", "status"])).stderr, "conc: no lock is held\n");
  });
});

Deno.test("lock run --no-wait exits 75 and names the holder: process, command, since when", async () => {
  await withStore(async (place) => {
    await place.hold(["lock", "run", "nightly"], "held");
    const pid = await place.read("held");
    assertEquals(String(await jobOf(place, ["lock", "nightly"])), pid);
    const { code, stdout, stderr } = await place.run(["lock", "run", "nightly", "--no-wait", "echo", "ran"]);
    assertEquals([code, stdout], [75, ""]);
    assertMatch(
      stderr,
      new RegExp(
        `^conc: the lock 'nightly' is held by process ${pid} \\(sh -c 'echo .*\\) since \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d: [^\\n]*\\n$`,
      ),
    );
    assertEquals((await place.run(["lock", "run", "nightly", "--no-wait", "-E", "3", "true"])).code, 3);
    assertEquals((await place.run(["lock", "run", "nightly", "-E3", "--timeout", "50ms", "true"])).code, 124);
    const silent = await place.run(["lock", "run", "nightly", "--no-wait", "-E0", "-q", "true"]);
    assertEquals([silent.code, silent.stderr], [0, ""]);
    assertEquals((await place.run(["lock", "run", "another", "--no-wait", "true"])).code, 0);
  });
});

Deno.test("lock run --timeout exits 124 in the same words, and --json tells it from the command's own 124", async () => {
  await withStore(async (place) => {
    await place.hold(["lock", "run", "nightly"], "held");
    const { code, stderr } = await place.run(["lock", "run", "nightly", "--timeout", "100ms", "true"]);
    assertEquals(code, 124);
    assertMatch(stderr, /^conc: timed out after 100ms: the lock 'nightly' is held by process \d+ \(sh -c /);
    const refused = await place.run(["lock", "run", "nightly", "--timeout", "50ms", "--json", "true"]);
    const [holder, last] = records(refused.stdout);
    assertEquals([holder!.type, holder!.name], ["holder", "nightly"]);
    assertEquals([last!.type, last!.cause, last!.exitCode], ["refused", "timeout", 124]);
    const own = await place.run([
      "lock",
      "run",
      "other",
      "--timeout",
      "9s",
      "--json",
      "sh",
      "-c",
      "echo x; exit 124",
    ]);
    assertEquals(own.code, 124);
    const [run] = records(own.stdout);
    assertEquals([run!.type, run!.cause, run!.exitCode, run!.stdout], ["run", "exit", 124, "x\n"]);
    assertEquals(Object.keys(run!), [
      ...["type", "name", "command", "cause", "exitCode", "signal", "waitedMs", "startedAt", "durationMs"],
      ...["stdout", "stderr"],
    ]);
  });
});

Deno.test("lock run serves those who wait in the order in which they came", async () => {
  await withStore(async (place) => {
    await place.hold(["lock", "run", "a"], "held");
    const all: Running[] = [];
    for (let number = 1; number <= 4; number++) {
      all.push(place.start(["lock", "run", "a", `echo ${number} >> order`]));
      await untilWaiting(place, ["lock", "a"], number);
    }
    await place.go();
    for (const each of all) assertEquals((await each.result()).code, 0);
    assertEquals(await place.read("order"), "1\n2\n3\n4");
  });
});

Deno.test("lock run --shared lets others in who share, and no one who does not", async () => {
  await withStore(async (place) => {
    await place.hold(["lock", "run", "a", "--shared"], "one");
    await place.hold(["lock", "run", "a", "--shared"], "two");
    const alone = await place.run(["lock", "run", "a", "--no-wait", "true"]);
    assertEquals(alone.code, 75);
    assertMatch(alone.stderr, /^conc: the lock 'a' is held by 2, the longest by process \d+ /);
    assertMatch(
      (await place.run(["lock", "status", "a"])).stdout,
      /^a: shared by 2\n[^]*\n {2}holds, shared /,
    );
  });
});

Deno.test("lock run passes a signal on, ends what the command left behind, and exits 128+N", async () => {
  await withStore(async (place) => {
    const script =
      "trap 'echo got it > got; exit 0' TERM; setsid sleep 300 & echo $! > orphan; echo $$ > held; wait; wait";
    const running = place.start(["lock", "run", "a", "sh", "-c", script]);
    await eventually("it is held", () => exists(`${place.directory}/held`));
    running.kill("SIGTERM");
    assertEquals((await running.result()).code, 143);
    assertEquals(await place.read("got"), "got it");
    assert(!lives(Number(await place.read("orphan"))));
    assertEquals((await place.run(["lock", "run", "a", "--no-wait", "true"])).code, 0);
  });
});

Deno.test("lock run kills what does not heed the signal: after --kill-after, or at the second one", async () => {
  await withStore(async (place) => {
    const stubborn = (file: string) => [
      ...["sh", "-c"],
      `trap 'echo heard > ${file}.heard' INT TERM; echo $$ > ${file}; while :; do sleep 0.1; done`,
    ];
    const patient = place.start(["lock", "run", "a", "--kill-after", "100ms", ...stubborn("one")]);
    await eventually("it runs", () => exists(`${place.directory}/one`));
    patient.kill("SIGINT");
    assertEquals((await patient.result()).code, 130);
    const urgent = place.start(["lock", "run", "b", "--kill-after", "1h", ...stubborn("two")]);
    await eventually("it runs", () => exists(`${place.directory}/two`));
    urgent.kill("SIGINT");
    await eventually("the first signal has come", () => exists(`${place.directory}/two.heard`));
    urgent.kill("SIGTERM");
    assertEquals((await urgent.result()).code, 130);
    for (const file of ["one", "two"]) {
      assert(!lives(Number(await place.read(file))));
    }
  });
});

Deno.test("lock run ends what the command leaves in the background, and then lets the next one in", async () => {
  await withStore(async (place) => {
    assertEquals((await place.run(["lock", "run", "a", "sh", "-c", "sleep 300 & echo $! > left"])).code, 0);
    assert(!lives(Number(await place.read("left"))));
    assertEquals((await place.run(["lock", "run", "a", "--no-wait", "true"])).code, 0);
  });
});

Deno.test("lock run that is interrupted while it waits leaves the line", async () => {
  await withStore(async (place) => {
    await place.hold(["lock", "run", "a"], "held");
    const waiter = place.start(["lock", "run", "a", "touch", "ran"]);
    await untilWaiting(place, ["lock", "a"], 1);
    waiter.kill("SIGINT");
    const { code, stderr } = await waiter.result();
    assertEquals([code, stderr], [130, ""]);
    assertEquals(await waiting(place, ["lock", "a"]), 0);
    assert(!exists(`${place.directory}/ran`));
  });
});

Deno.test("the lock stays with the command if its conc is killed, and is free within a second after the command", async () => {
  await withStore(async (place) => {
    const killed = await place.hold(["lock", "run", "a"], "held");
    await jobOf(place, ["lock", "a"]);
    await killHard(killed);
    assertEquals((await place.run(["lock", "run", "a", "--no-wait", "true"])).code, 75);
    const next = place.start(["lock", "run", "a", "true"]);
    await untilWaiting(place, ["lock", "a"], 1);
    const job = Number(await place.read("held"));
    assertStringIncludes((await place.run(["lock", "status"])).stdout, ` ${job} `);
    await place.go();
    await eventually("the command is gone", () => !lives(job));
    assertEquals((await next.result()).code, 0);
  });
});

Deno.test("the lock stays with a grandchild that carries its name, too", async () => {
  await withStore(async (place) => {
    const script = "setsid sh -c 'echo $$ > held; while [ ! -e go ]; do sleep 0.02; done' & wait";
    const killed = place.start(["lock", "run", "a", "sh", "-c", script]);
    await eventually("it is held", () => exists(`${place.directory}/held`));
    const job = await jobOf(place, ["lock", "a"]);
    await killHard(killed);
    Deno.kill(job, "SIGKILL");
    await eventually("the first is gone", () => !lives(job));
    assertEquals((await place.run(["lock", "run", "a", "--no-wait", "true"])).code, 75);
    await place.go();
    assertEquals((await place.run(["lock", "run", "a", "true"])).code, 0);
  });
});

Deno.test("a lock within a lock is kept by the innermost command", async () => {
  await withStore(async (place) => {
    const outer = await place.hold(["lock", "run", "a", ...CONC, "lock", "run", "b"], "held");
    await killHard(outer);
    for (const name of ["a", "b"]) {
      assertEquals((await place.run(["lock", "run", name, "--no-wait", "true"])).code, 75, name);
    }
    await place.go();
    for (const name of ["a", "b"]) assertEquals((await place.run(["lock", "run", name, "true"])).code, 0);
  });
});

Deno.test("lock status shows who holds and who waits, for people and for programs", async () => {
  await withStore(async (place) => {
    await place.hold(["lock", "run", "a"], "held");
    place.start(["lock", "run", "a", "true"]);
    await untilWaiting(place, ["lock", "a"], 1);
    const { stdout } = await place.run(["lock", "status"]);
    const [head, columns, ...rows] = stdout.trimEnd().split("\n");
    assertEquals(head, "a: held, 1 waiting");
    assertMatch(columns!, /^ {2}STATE +PID +SINCE +TOKEN +COMMAND$/);
    assertEquals(rows.map((row) => row.trim().split(/\s+/)[0]), ["holds", "waits"]);
    const [holder, waiter, lock] = records((await place.run(["lock", "status", "--json"])).stdout);
    assertEquals(Object.keys(holder!).sort(), [
      ...["command", "jobPid", "name", "pid", "shared", "since", "token", "type"],
    ]);
    assertEquals(Object.keys(waiter!).sort(), ["command", "name", "pid", "place", "shared", "since", "type"]);
    assertEquals(lock, { type: "lock", name: "a", held: true, shared: false, holders: 1, waiting: 1 });
    assertEquals((await place.run(["lock", "status", "b"])).stdout, "b: free\n");
  });
});

Deno.test("lock run says what makes no sense in one line, and changes nothing", async () => {
  await withStore(async ({ run }) => {
    const cases: [string[], RegExp][] = [
      [["lock", "run", "a/b", "true"], /^conc: cannot use that as a name .*: received 'a\/b'\n$/],
      [["lock", "run", "../etc", "true"], /^conc: cannot use that as a name /],
      [["lock", "run", "x".repeat(129), "true"], /^conc: cannot use that as a name /],
      [["lock", "run", "a"], /^conc: no command: /],
      [["lock", "run", "a", ""], /^conc: no command: /],
      [["lock", "run"], /^conc: too few words: usage: conc lock run \[FLAGS\] NAME CMD…\n$/],
      [["lock", "run", "a", "--no-wait", "--timeout", "1s", "true"], /^conc: --no-wait and --timeout /],
      [
        ["lock", "run", "a", "-E", "256", "true"],
        /^conc: --conflict-exit-code: .* 0 to 255: received '256'\n$/,
      ],
      [["lock", "run", "--store", "amqp://u:secret@h/v?x=1", "a", "true"], /^conc: [^\n]*\n$/],
      [["lock", "run", "--store", "redis://h", "a", "true"], /^conc: cannot use a store of the kind redis:/],
      [["lock", "run", "--store", "", "a", "true"], /^conc: cannot use '' as a store: /],
    ];
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await run(args);
      assertEquals([code, stdout], [2, ""], args.join(" "));
      assertMatch(stderr, message);
      assertEquals(stderr.split("\n").length, 2);
    }
    assertEquals((await run(["lock", "status", "--json"])).stdout, "");
  });
});

Deno.test("without HOME and XDG_STATE_HOME the store has to be named", async () => {
  await inDirectory(async (cwd) => {
    const { code, stderr } = await conc(["lock", "run", "a", "true"], {
      cwd,
      env: {
        HOME: "",
        XDG_STATE_HOME: "",
        CONC_STORE: "",
        DENO_DIR: Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`,
      },
    });
    assertEquals(
      [code, stderr],
      [2, "conc: cannot find the store as HOME is not set: name a file with --store or CONC_STORE\n"],
    );
  });
});
