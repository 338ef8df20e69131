import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { CONC, conc, exists, inDirectory, records, shell } from "./conc.ts";
import { killHard, type Place, untilWaiting, waiting, withStore } from "./store_place.ts";

/** Marks in `busy` that it runs, and how many do, in `counts`. */
const COUNTED = `mkdir busy/$$; ls busy | wc -l >> counts; sleep 0.1; rmdir busy/$$`;

async function most({ read }: Pick<Place, "read">): Promise<number> {
  return Math.max(...(await read("counts")).split("\n").map(Number));
}

Deno.test("sem run never lets in more than there are permits, and lets all in", async () => {
  await withStore(async (place) => {
    await Deno.mkdir(`${place.directory}/busy`);
    const all = Array.from(
      { length: 20 },
      () => place.start(["sem", "run", "db", "-n5", "sh", "-c", COUNTED]),
    );
    for (const each of all) assertEquals((await each.result()).code, 0);
    assertEquals((await place.read("counts")).split("\n").length, 20);
    assert(await most(place) <= 5);
  });
});

Deno.test("sem run passes the command's exit code and words on", async () => {
  await withStore(async ({ run }) => {
    assertEquals((await run(["sem", "run", "db", "-n5", "sh", "-c", "exit 9"])).code, 9);
    assertEquals(
      (await run(["sem", "run", "-n", "5", "db", "printf", "%s|", "-w", "a b"])).stdout,
      "-w|a b|",
    );
    assertEquals((await run(["sem", "run", "db", "no-such-command"])).code, 127);
    assertEquals((await run(["sem", "run", "db", "--json", "true"])).code, 0);
  });
});

Deno.test("sem run -w takes several permits, and a heavy one at the head is not overtaken", async () => {
  await withStore(async (place) => {
    await place.hold(["sem", "run", "db", "-n3", "-w2"], "held");
    const heavy = place.start(["sem", "run", "db", "-w3", "echo heavy >> order"]);
    await untilWaiting(place, ["sem", "db"], 1);
    const light = place.start(["sem", "run", "db", "echo light >> order"]);
    await untilWaiting(place, ["sem", "db"], 2);
    const { code, stderr } = await place.run(["sem", "run", "db", "--no-wait", "true"]);
    assertEquals(code, 75);
    assertMatch(stderr, /^conc: the semaphore 'db' is held by process \d+ \(sh -c /);
    await place.go();
    for (const each of [heavy, light]) assertEquals((await each.result()).code, 0);
    assertEquals(await place.read("order"), "heavy\nlight");
  });
});

Deno.test("sem: who disagrees on how many permits there are is told how many there are", async () => {
  await withStore(async (place) => {
    await place.hold(["sem", "run", "db", "-n5"], "held");
    const { code, stderr } = await place.run(["sem", "run", "db", "-n4", "true"]);
    assertEquals(
      [code, stderr],
      [2, "conc: the semaphore 'db' has 5 permits and is in use: ask for 5, or resize it\n"],
    );
    assertEquals((await place.run(["sem", "run", "db", "true"])).code, 0);
    assertEquals((await place.run(["sem", "run", "idle", "-n4", "true"])).code, 0);
    assertEquals((await place.run(["sem", "run", "idle", "-n6", "true"])).code, 0);
  });
});

Deno.test("sem acquire binds permits to the calling shell, and release gives them back once", async () => {
  await inDirectory(async (cwd) => {
    const script = `
      token=$(conc sem acquire db -n2 -w2) || exit 9
      conc sem run db --no-wait true; echo "held: $?"
      conc sem release db "$token"; echo "released: $?"
      conc sem run db --no-wait true; echo "free: $?"
      conc sem release db "$token"; echo "twice: $?"
      other=$(conc sem acquire other)
      conc sem release db "$other"; echo "foreign: $?"
      conc sem release other nonsense; echo "unknown: $?"
      conc sem run other --no-wait true; echo "unchanged: $?"
      conc sem release nosuch "$other"; echo "no such semaphore: $?"
      sh -c 'conc sem acquire lost > /dev/null'; conc sem run lost --no-wait true; echo "owner gone: $?"
      conc sem acquire mine --owner $$ > /dev/null; conc sem run mine --no-wait true; echo "owner lives: $?"`;
    const { stdout, stderr } = await shell(script, { cwd });
    assertEquals(stdout.trim().split("\n"), [
      ...["held: 75", "released: 0", "free: 0", "twice: 1", "foreign: 1", "unknown: 1", "unchanged: 75"],
      ...["no such semaphore: 1", "owner gone: 0", "owner lives: 75"],
    ]);
    for (const line of stderr.trimEnd().split("\n")) assertMatch(line, /^conc: /);
  });
});

Deno.test("sem acquire --ttl holds permits for a time, whoever lives", async () => {
  await withStore(async ({ run }) => {
    assertMatch((await run(["sem", "acquire", "rate", "--ttl", "1h"])).stdout, /^[0-9a-f]{16}\n$/);
    const held = await run(["sem", "run", "rate", "--no-wait", "true"]);
    assertEquals(held.code, 75);
    assertMatch(held.stderr, /^conc: the semaphore 'rate' is held by a token \(for 1h\) since /);
    assertEquals((await run(["sem", "acquire", "short", "--ttl", "50ms", "--json"])).code, 0);
    assertEquals((await run(["sem", "run", "short", "--timeout", "9s", "true"])).code, 0);
    const [acquired] = records((await run(["sem", "acquire", "third", "--ttl", "1h", "--json"])).stdout);
    const { token: _, waitedMs: __, ...rest } = acquired!;
    assertEquals(rest, {
      ...{ type: "acquired", name: "third", weight: 1, owner: null, ttlMs: 3_600_000 },
    });
  });
});

Deno.test("sem acquire --timeout and --no-wait give up as sem run does", async () => {
  await withStore(async (place) => {
    await place.hold(["sem", "run", "db"], "held");
    const late = await place.run(["sem", "acquire", "db", "--timeout", "50ms"]);
    assertEquals([late.code, late.stdout], [124, ""]);
    const busy = await place.run(["sem", "acquire", "db", "--no-wait", "-E", "5"]);
    assertEquals([busy.code, busy.stdout], [5, ""]);
    assertEquals(await waiting(place, ["sem", "db"]), 0);
  });
});

Deno.test("sem resize lets more in at once, and turns away who wants more than there are", async () => {
  await withStore(async (place) => {
    await place.hold(["sem", "run", "db", "-n3", "-w3"], "held");
    const one = place.start(["sem", "run", "db", "touch", "one"]);
    await untilWaiting(place, ["sem", "db"], 1);
    assertEquals((await place.run(["sem", "resize", "db", "4"])).code, 0);
    assertEquals((await one.result()).code, 0);
    const heavy = place.start(["sem", "run", "db", "-w4", "true"]);
    await untilWaiting(place, ["sem", "db"], 1);
    const resized = await place.run(["sem", "resize", "db", "2", "--json"]);
    assertEquals(records(resized.stdout), [
      { type: "semaphore", name: "db", permits: 2, available: -1, holders: 1, waiting: 0 },
    ]);
    const { code, stderr } = await heavy.result();
    assertEquals([code, stderr], [
      2,
      "conc: cannot acquire as 'weight' must be at most the number of permits, 2\n",
    ]);
  });
});

Deno.test("sem status shows holders and waiters, all semaphores or one", async () => {
  await withStore(async (place) => {
    assertEquals((await place.run(["sem", "status"])).stderr, "conc: there is no semaphore\n");
    await place.hold(["sem", "run", "db", "-n2", "-w2"], "held");
    place.start(["sem", "run", "db", "true"]);
    await untilWaiting(place, ["sem", "db"], 1);
    await place.run(["sem", "resize", "idle", "7"]);
    const { stdout } = await place.run(["sem", "status"]);
    assertMatch(
      stdout,
      /^db: 2 permits, 0 free, 1 waiting\n {2}STATE +PID +WEIGHT +SINCE .*\n {2}holds .*\n {2}waits .*\n\nidle: 7 permits, 7 free, 0 waiting\n$/,
    );
    const [holder, waiter, semaphore] = records((await place.run(["sem", "status", "db", "--json"])).stdout);
    assertEquals(Object.keys(holder!).sort(), [
      ...["command", "jobPid", "name", "pid", "since", "token", "type", "weight"],
    ]);
    assertEquals(Object.keys(waiter!).sort(), ["command", "name", "pid", "place", "since", "type", "weight"]);
    assertEquals(semaphore, {
      ...{ type: "semaphore", name: "db", permits: 2, available: 0, holders: 1, waiting: 1 },
    });
    const unknown = await place.run(["sem", "status", "nosuch"]);
    assertEquals([unknown.code, unknown.stderr], [
      1,
      "conc: there is no semaphore 'nosuch': conc sem status lists them\n",
    ]);
  });
});

Deno.test("a waiter that is killed in the middle of the line holds nobody up, and status leaves it out", async () => {
  await withStore(async (place) => {
    await place.hold(["sem", "run", "db"], "held");
    const [first, second, third] = [1, 2, 3].map((number) => async () => {
      const running = place.start(["sem", "run", "db", `echo ${number} >> order`]);
      await untilWaiting(place, ["sem", "db"], number);
      return running;
    });
    const one = await first!();
    const two = await second!();
    const three = await third!();
    await killHard(two);
    assertEquals(await waiting(place, ["sem", "db"]), 2);
    await place.go();
    for (const each of [one, three]) assertEquals((await each.result()).code, 0);
    assertEquals(await place.read("order"), "1\n3");
  });
});

Deno.test("sem says what makes no sense in one line", async () => {
  await withStore(async ({ run }) => {
    const cases: [string[], RegExp][] = [
      [["run", "db", "-n0", "true"], /^conc: --permits: .* whole number from 1: received '0'\n$/],
      [["run", "db", "-w0", "true"], /^conc: --weight: /],
      [
        ["run", "db", "-n2", "-w3", "true"],
        /^conc: cannot acquire as 'weight' .* of permits, 2: received 3\n$/,
      ],
      [["acquire", "a/b"], /^conc: cannot use that as a name /],
      [["acquire", "db", "--owner", "1", "--ttl", "1s"], /^conc: --owner and --ttl contradict each other: /],
      [
        ["acquire", "db", "--owner", "999999999"],
        /^conc: cannot give permits to process 999999999 as there is none: /,
      ],
      [["acquire", "db", "--ttl", "0"], /^conc: cannot hold permits for no time: /],
      [["resize", "db", "0"], /^conc: cannot read a count as it must be a whole number from 1: /],
      [["resize", "db"], /^conc: too few words: /],
      [["release", "db"], /^conc: too few words: /],
    ];
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await run(["sem", ...args]);
      assertEquals([code, stdout], [2, ""], args.join(" "));
      assertMatch(stderr, message);
      assertEquals(stderr.split("\n").length, 2);
    }
  });
});

Deno.test("a store that cannot be used is one line that says what to do, and exit code 125", async () => {
  await withStore(async ({ directory, run }) => {
    const path = `${directory}/conc.db`;
    assertEquals((await run(["sem", "run", "db", "true"])).code, 0);
    const text = `${directory}/text`;
    await Deno.writeTextFile(text, "no database, but long enough for one");
    await Deno.writeFile(`${directory}/cut`, (await Deno.readFile(path)).slice(0, 50));
    const { DatabaseSync } = await import("node:sqlite");
    await Deno.copyFile(path, `${directory}/newer`);
    const newer = new DatabaseSync(`${directory}/newer`);
    newer.exec(`PRAGMA application_id = ${0x636f6e63}; PRAGMA user_version = 99`);
    newer.close();
    const foreign = new DatabaseSync(`${directory}/foreign`);
    foreign.exec("CREATE TABLE t (x)");
    foreign.close();
    const cases: [string, RegExp][] = [
      [directory, /as it is a directory: name a file\n$/],
      [`${text}/conc.db`, /: a part of its path is no directory: name another file\n$/],
      [text, /: it is no database: name another file\n$/],
      [
        `${directory}/cut`,
        /: it is (damaged: move it away, a new one is made|no database: name another file)\n$/,
      ],
      [`${directory}/newer`, /as it is of a newer conc: upgrade this one\n$/],
      [`${directory}/foreign`, /as it is another program's database: name another file\n$/],
    ];
    for (const [store, message] of cases) {
      const { code, stdout, stderr } = await run(["sem", "run", "db", "--store", store, "echo", "ran"]);
      assertEquals([code, stdout], [125, ""], store);
      assertMatch(stderr, message);
      assertEquals(stderr.split("\n").length, 2);
    }
  });
});

Deno.test({
  name: "a store that another user owns is one line and exit code 125",
  // The sources need not be readable for another user; and only root can be one.
  ignore: Deno.env.get("CONC_BIN") === undefined || Deno.uid() !== 0,
  async fn() {
    await withStore(async ({ directory, run }) => {
      await Deno.chmod(directory, 0o755);
      assertEquals((await run(["sem", "run", "db", "true"])).code, 0);
      const nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"];
      const words = [...CONC, "sem", "run", "db", "--store", `${directory}/conc.db`, "true"];
      const { code, stderr } = await new Deno.Command("setpriv", { args: [...nobody, ...words] }).output();
      assertEquals(code, 125);
      assertMatch(
        new TextDecoder().decode(stderr),
        /^conc: cannot use the store [^\n]*: it cannot be opened: [^\n]*\n$/,
      );
    });
  },
});

Deno.test("many who come at once make the store together", async () => {
  await withStore(async (place) => {
    await Deno.mkdir(`${place.directory}/busy`);
    // From source a start takes half a second of a processor; two hundred are tried with the executable.
    const count = Deno.env.get("CONC_BIN") === undefined ? 16 : 200;
    const all = Array.from(
      { length: count },
      () => place.start(["sem", "run", "db", "-n50", "sh", "-c", "ls busy > /dev/null; echo done >> ends"]),
    );
    for (const each of all) {
      const { code, stderr } = await each.result();
      assertEquals([code, stderr], [0, ""]);
    }
    assertEquals((await place.read("ends")).split("\n").length, count);
  });
});

Deno.test("the store is a file that only its user can read, in a directory that only its user can enter", async () => {
  await inDirectory(async (cwd) => {
    const env = { XDG_STATE_HOME: `${cwd}/state`, CONC_STORE: "" };
    assertEquals((await conc(["sem", "run", "db", "true"], { cwd, env })).code, 0);
    for (const [path, mode] of [["state/conc", 0o700], ["state/conc/conc.db", 0o600]] as const) {
      assertEquals((await Deno.stat(`${cwd}/${path}`)).mode! & 0o777, mode);
    }
    assert(!exists(`${cwd}/state/conc/conc.db-journal`));
    const { stdout } = await conc(["sem", "status"], { cwd, env });
    assertStringIncludes(stdout, "db: 1 permit, 1 free, 0 waiting\n");
  });
});
