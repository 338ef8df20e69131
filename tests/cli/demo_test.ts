import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { conc, inDirectory, records, shell } from "./conc.ts";

Deno.test("lock-demo ends when nobody reads any more, also while its actors wait for each other", async () => {
  await inDirectory(async (cwd) => {
    for (const more of ["", "--lock none", "--scenario deadlock", "--scenario reentrant"]) {
      for (const reach of ["task", "thread"]) {
        // One of them has come to where they meet, and the others do not.
        const script = `conc lock-demo --reach ${reach} ${more} | head -1; echo "\${PIPESTATUS[0]}"`;
        const { stdout, stderr } = await shell(script, { cwd });
        assertEquals(stderr, "", script);
        // A short play may be over before the reader is gone.
        assertMatch(stdout, /^ +[^\n]+\n(141|0)\n$/, script);
      }
    }
  });
});

for (const reach of ["task", "thread", "host"]) {
  // A process costs more than a Worker, and shows the same.
  const buyers = reach === "host" ? 8 : 20;

  for (const lock of ["lock", "rlock"]) {
    Deno.test(`lock-demo --reach ${reach} --lock ${lock} sells each ticket once`, async () => {
      const args = [
        "--reach",
        reach,
        "--buyers",
        String(buyers),
        "--tickets",
        "5",
        "--delay",
        "1ms..5ms",
        "--lock",
        lock,
        "--json",
      ];
      const { code, stdout } = await conc(["lock-demo", ...args]);
      assertEquals(code, 0);
      const all = records(stdout);
      assertEquals(all.filter(({ step }) => step === "sees").map(({ left }) => left), Array(buyers).fill(5));
      assertEquals(all.filter(({ step }) => step === "buys").map(({ left }) => left), [4, 3, 2, 1, 0]);
      assertEquals(all.filter(({ step }) => step === "finds none").length, buyers - 5);
      const { sold, left, exitCode } = all.at(-1)!;
      assertEquals({ sold, left, exitCode }, { sold: 5, left: 0, exitCode: 0 });
    });
  }

  Deno.test(`lock-demo --reach ${reach} --lock none sells the same ticket many times, and exits 1`, async () => {
    const many = reach === "host" ? 12 : 50;
    const args = ["--reach", reach, "--buyers", String(many), "--tickets", "5", "--seed", "1", "--json"];
    const { code, stdout, stderr } = await conc(["lock-demo", "--lock", "none", ...args]);
    assertEquals(code, 1);
    const sold = records(stdout).at(-1)!.sold as number;
    // Tasks all read before the first one writes; of Workers and processes some may be late.
    assert(reach === "task" ? sold === many : sold > 5, `${sold} sold`);
    assertStringIncludes(stderr, `conc: oversold: ${many} buyers got ${sold} tickets, there were 5`);
  });

  Deno.test(`lock-demo --reach ${reach} finds, names and breaks a deadlock`, async () => {
    const { code, stdout } = await conc(["lock-demo", "--reach", reach, "--scenario", "deadlock", "--json"]);
    assertEquals(code, 0);
    const all = records(stdout);
    const circle = all.at(-1)!.deadlock as { owner: string; lock: string; holder: string }[];
    assertEquals(circle.map(({ owner, holder }) => [owner, holder]).sort(), [["A", "B"], ["B", "A"]]);
    const after = all.slice(all.findIndex(({ step }) => step === "broken"));
    for (const who of ["A", "B"]) {
      const held = new Set(
        all.filter((each) => each.who === who && each.step === "holds").map(({ lock }) => lock),
      );
      assertEquals(held, new Set(["left", "right"]));
      assert(after.some((each) => each.who === who && each.step === "releases"));
    }
  });

  Deno.test(`lock-demo --reach ${reach} shows that an rlock may be taken again, and that a lock may not`, async () => {
    const reenter = (...args: string[]) =>
      conc(["lock-demo", "--reach", reach, "--scenario", "reentrant", ...args]);
    const rlock = await reenter("--json");
    assertEquals(rlock.code, 0);
    const steps = records(rlock.stdout).filter(({ type }) => type === "step");
    const other = steps.findIndex(({ who, step }) => who === "other" && step === "holds it");
    const last = steps.findIndex(({ who, step, depth }) =>
      who === "owner" && step === "releases it" && depth === 0
    );
    assert(last >= 0 && other > last, rlock.stdout);
    const lock = await reenter("--lock", "lock", "--timeout", "50ms");
    assertEquals(lock.code, 1);
    assertStringIncludes(lock.stderr, "not reentrant");
  });
}

Deno.test("lock-demo says what makes no sense", async () => {
  const none = await conc(["lock-demo", "--scenario", "deadlock", "--lock", "none"]);
  assertEquals([none.code, none.stderr], [
    2,
    "conc: scenario deadlock is about locks: --lock lock or rlock\n",
  ]);
  const delay = await conc(["lock-demo", "--delay", "3s..1s"]);
  assertEquals(delay.code, 2);
  assertStringIncludes(delay.stderr, "the shortest..the longest: received '3s..1s'");
});

Deno.test("sem demo never holds more permits than there are, and serves in order", async () => {
  const { code, stdout } = await conc(["sem", "demo", "--hold", "1ms..9ms", "--json"]);
  assertEquals(code, 0);
  const all = records(stdout);
  const acquired = all.filter(({ step }) => step === "acquires");
  assertEquals(acquired.map(({ task }) => task), Array.from({ length: 20 }, (_, index) => index + 1));
  assert(all.every(({ holding = 0 }) => Number(holding) <= 5));
  assertEquals(all.at(-1)!.most, 5);
});

Deno.test("queue demo shows three orders, and a put that waits in vain", async () => {
  const { code, stdout } = await conc(["queue", "demo", "--timeout", "20ms", "--json"]);
  assertEquals(code, 0);
  const steps = records(stdout);
  const gotten = (queue: string) =>
    steps.filter((each) => each.queue === queue && each.step === "get").map(({ item }) => item).join("");
  assertEquals([gotten("fifo"), gotten("lifo"), gotten("priority")], ["1234", "321", "bac"]);
  assertEquals(steps.filter(({ state }) => state === "timeout").map(({ item }) => item), ["4"]);
  assertMatch(
    (await conc(["queue", "demo", "--timeout", "20ms"])).stdout,
    /^fifo +put 4 +full: gave up after/m,
  );
});

Deno.test("event demo connects all once the check is done, and the data of the event reaches them", async () => {
  // Waits that are much longer than the check: nobody can be late.
  const { code, stdout, stderr } = await conc(["event", "demo", "--check", "10ms", "--wait", "1m", "--json"]);
  assertEquals([code, stderr], [0, ""]);
  const all = records(stdout);
  const sets = all.findIndex(({ who, step }) => who === "checker" && step === "sets");
  const connects = all.filter(({ step }) => step === "connects");
  assertEquals(connects.map(({ who, data }) => [who, data]), [
    ["connector 1", "db:5432"],
    ["connector 2", "db:5432"],
    ["connector 3", "db:5432"],
  ]);
  assert(all.indexOf(connects[0]!) > sets, stdout);
  const { type, connectors, connected, timedOut, exitCode } = all.at(-1)!;
  assertEquals({ type, connectors, connected, timedOut, exitCode }, {
    type: "summary",
    connectors: 3,
    connected: 3,
    timedOut: 0,
    exitCode: 0,
  });
});

Deno.test("event demo tries again after each wait, gives up after the last, and exits 1 without the checker", async () => {
  const args = ["--check", "1h", "--wait", "5ms", "--tries", "2", "--connectors", "4"];
  const { code, stdout, stderr } = await conc(["event", "demo", ...args, "--json"]);
  assertEquals(code, 1);
  assertEquals(
    stderr,
    "conc: connection timed out for 4 of 4 connectors after 2 waits of 5ms: allow more --tries, or a longer --wait\n",
  );
  const all = records(stdout);
  const stepsOf = (name: string) => all.filter(({ who }) => who === name);
  for (let number = 1; number <= 4; number++) {
    assertEquals(stepsOf(`connector ${number}`).map(({ step, attempt }) => [step, attempt]), [
      ["waits", 1],
      ["waits", 2],
      ["times out", undefined],
    ]);
  }
  assertEquals(stepsOf("checker").map(({ step }) => step), ["begins", "stops"]);
  const { connected, timedOut, exitCode } = all.at(-1)!;
  assertEquals({ connected, timedOut, exitCode }, { connected: 0, timedOut: 4, exitCode: 1 });
});

Deno.test("event demo is readable", async () => {
  const { stdout } = await conc(["event", "demo", "--check", "10ms", "--wait", "1m", "--connectors", "1"]);
  assertEquals(
    stdout.replaceAll(/^ *[\d.]+m?s {2}/gm, ""),
    [
      "checker begins: it takes 10ms",
      "connector 1 waits: try 1 of 3",
      "checker sets the event: db:5432",
      "connector 1 connects to db:5432",
      "1 of 1 connected",
      "",
    ].join("\n"),
  );
});

Deno.test("event demo says what makes no sense", async () => {
  for (const flag of ["--tries", "--connectors"]) {
    const { code, stderr } = await conc(["event", "demo", flag, "0"]);
    assertEquals(code, 2);
    assertStringIncludes(stderr, flag);
  }
});

Deno.test("event demo that is told to end does so at once", async () => {
  await inDirectory(async (cwd) => {
    const { stdout } = await shell(
      `conc event demo --check 1h --wait 1h > out & pid=$!
      until grep -q 'connector 3 waits' out; do sleep 0.01; done
      kill -TERM $pid; wait $pid; echo "exit $?"`,
      { cwd },
    );
    assertEquals(stdout, "exit 143\n");
  });
});

Deno.test("lock-demo says what the cluster reach needs, and what --store is for", async () => {
  const none = await conc(["lock-demo", "--reach", "cluster"], { env: { CONC_STORE: "" } });
  assertEquals([none.code, none.stdout], [2, ""]);
  assertMatch(none.stderr, /^conc: the cluster reach needs a broker: name it with --store amqp:/);
  const { code, stderr } = await conc(["lock-demo", "--store", "x.db"]);
  assertEquals(code, 2);
  assertMatch(stderr, /^conc: --store is for the cluster reach/);
});
