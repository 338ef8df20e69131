import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { concatBytes } from "../../lib/bytes.ts";
import {
  conc,
  eventually,
  inDirectory,
  lives,
  records,
  type Result,
  type RunOptions,
  shell,
  start,
} from "./conc.ts";

/** Runs a test body with a store of its own. */
function withStore(
  body: (
    queue: (words: string, options?: RunOptions) => Promise<Result>,
    place: { directory: string; env: Record<string, string> },
  ) => Promise<void>,
): Promise<void> {
  return inDirectory((directory) => {
    const env = { CONC_STORE: `${directory}/conc.db` };
    return body(
      (words, options) => conc(["queue", ...words.split(" ")], { cwd: directory, ...options, env }),
      { directory, env },
    );
  });
}

/** The lines of a file; none if it is not there. */
function lines(path: string): string[] {
  try {
    return Deno.readTextFileSync(path).split("\n").slice(0, -1);
  } catch {
    return [];
  }
}

/** Whether two are the same bytes: to tell where they differ takes minutes if they are long. */
function same(actual: Uint8Array, expected: Uint8Array): boolean {
  return actual.length === expected.length && actual.every((byte, index) => byte === expected[index]);
}

function seq(count: number): string {
  return Array.from({ length: count }, (_, index) => `${index + 1}\n`).join("");
}

const NASTY: Uint8Array[] = [
  new TextEncoder().encode(`spaces, "quotes", 'more', $(echo no) \`no\` \\`),
  Uint8Array.of(0xff, 0xfe, 0x80, 0xc3),
  new TextEncoder().encode("grün\u0000blau"),
  new Uint8Array(10 * 2 ** 20).fill(0x78),
  new Uint8Array(),
];

Deno.test("queue put and get: bytes come back as they went in, one a line", () =>
  withStore(async (queue) => {
    const stdin = concatBytes(NASTY.flatMap((item) => [item, Uint8Array.of(10)]));
    assertEquals((await queue("put jobs", { stdin })).code, 0);
    const { code, stdoutBytes } = await queue(`get jobs -n ${NASTY.length}`);
    assertEquals(code, 0);
    assert(same(stdoutBytes, stdin));
  }));

Deno.test("queue put -0 and get -0: items with line feeds in them come back as they went in", () =>
  withStore(async (queue) => {
    const stdin = concatBytes([
      new TextEncoder().encode("two\nlines\n\0"),
      Uint8Array.of(0xff, 10, 0),
      new Uint8Array(10 * 2 ** 20).fill(10),
    ]);
    await queue("put jobs -0", { stdin });
    const { stdoutBytes } = await queue("get jobs -0 -n3");
    assert(same(stdoutBytes, concatBytes([stdin, Uint8Array.of(0)])));
  }));

Deno.test("queue work --stdin: the command reads the bytes of the item", () =>
  withStore(async (queue) => {
    for (const item of NASTY) await queue("put jobs -0", { stdin: concatBytes([item, Uint8Array.of(0)]) });
    const whole = NASTY.filter((item) => !item.includes(0));
    const { code, stdoutBytes } = await queue("work jobs -j1 --stdin --until-empty cat");
    const halves = ["grün", "blau"].map((text) => new TextEncoder().encode(text));
    assertEquals(code, 0);
    assert(
      same(stdoutBytes, concatBytes([whole[0]!, whole[1]!, ...halves, whole[2]!, whole[3]!])),
    );
  }));

Deno.test("queue work: an argument has the bytes of the item, and what can be none is a dead letter at once", () =>
  withStore(async (queue) => {
    await queue("put jobs", {
      stdin: concatBytes([NASTY[1]!, Uint8Array.of(10), NASTY[2]!, Uint8Array.of(10)]),
    });
    const { code, stdoutBytes, stderr } = await queue("work jobs -j1 --until-empty printf %s");
    assertEquals(code, 1);
    assertEquals(stdoutBytes, NASTY[1]!);
    assertStringIncludes(
      stderr,
      "is a dead letter now: cannot pass the item as an argument as it holds a NUL byte",
    );
    const [dead] = records((await queue("dead jobs --json")).stdout);
    assertEquals([dead!.item, dead!.attempts], ["grün\u0000blau", 1]);
  }));

Deno.test("three workers, one of them killed: each item is done, all leave the queue, what fails is a dead letter", () =>
  withStore(async (queue, { directory, env }) => {
    assertEquals((await queue("put jobs", { stdin: seq(1000) })).code, 0);
    const script = 'echo "$1" >> done; test $(($1 % 100)) -ne 0';
    const work = () =>
      start(
        [
          ...["queue", "work", "jobs", "-j2", "--until-empty", "--backoff", "10ms", "-q"],
          ...["sh", "-c", script, "sh"],
        ],
        { cwd: directory, env },
      );
    const workers = [work(), work(), work()];
    await eventually("some items are done", () => lines(`${directory}/done`).length > 100);
    workers[0]!.kill("SIGKILL");
    const [killed, ...others] = await Promise.all(workers.map((worker) => worker.result()));
    assertEquals(killed!.code, 137);
    assert(others.some(({ code }) => code === 1), others.map(({ stderr }) => stderr).join(""));
    const done = lines(`${directory}/done`);
    assertEquals(new Set(done).size, 1000);
    const [status] = records((await queue("size jobs --json")).stdout);
    assertEquals([status!.size, status!.leased, status!.unfinished, status!.dead], [0, 0, 0, 10]);
    const dead = records((await queue("dead jobs --json")).stdout);
    assertEquals(dead.map(({ item }) => Number(item)), [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
    assertEquals(dead.map(({ error }) => error), Array(10).fill("exit code 1"));
    // Nothing that was settled comes again: beside the tries, only what the killed worker held.
    assert(done.length <= 990 + 10 * 3 + 2, `${done.length} runs`);
    await queue("redrive jobs");
    assertEquals((await queue("work jobs --until-empty true")).code, 0);
    assertEquals((await queue("dead jobs --json")).stdout, "");
  }));

Deno.test("queue work: a killed worker's job holds its item while it lives", () =>
  withStore(async (queue, { directory, env }) => {
    await queue("put jobs one");
    const script = "echo $$ >> pids; test $(wc -l < pids) -gt 1 || exec sleep 600";
    const words = ["queue", "work", "jobs", "--until-empty", "sh", "-c", script];
    const first = start(words, { cwd: directory, env });
    await eventually("the job runs", () => lines(`${directory}/pids`).length === 1);
    first.kill("SIGKILL");
    await first.result();
    const pid = Number(lines(`${directory}/pids`)[0]);
    assertEquals(records((await queue("size jobs --json")).stdout)[0]!.leased, 1);
    assertEquals((await queue("get jobs --no-wait")).code, 75);
    assert(lives(pid));
    const second = start(words, { cwd: directory, env });
    Deno.kill(pid, "SIGKILL");
    assertEquals((await second.result()).code, 0);
    assertEquals(lines(`${directory}/pids`).length, 2);
  }));

Deno.test("queue work: SIGTERM is passed on, what the jobs do not finish is given back and not counted", () =>
  withStore(async (queue, { directory, env }) => {
    await queue("put jobs a b c");
    const script = 'trap "echo $1 >> asked; exit 1" TERM; echo $1 >> started; while :; do sleep 0.01; done';
    const worker = start(["queue", "work", "jobs", "-j2", "sh", "-c", script, "sh"], { cwd: directory, env });
    await eventually("both run", () => lines(`${directory}/started`).length === 2);
    worker.kill("SIGTERM");
    const { code, stderr } = await worker.result();
    assertEquals(code, 143);
    assertStringIncludes(stderr, "conc: stopped by SIGTERM: 0 done, 2 items given back\n");
    assertEquals(lines(`${directory}/asked`).sort(), ["a", "b"]);
    const { stdout } = await queue("get jobs -n3 --json");
    assertEquals(records(stdout).map(({ item, attempts }) => [item, attempts]), [["a", 1], ["b", 1], [
      "c",
      1,
    ]]);
  }));

Deno.test("queue work tries again with back-off, says so, and keeps the last words of the command", () =>
  withStore(async (queue, { env }) => {
    await queue("put jobs one");
    const { code, stdout, stderr } = await conc([
      ...["queue", "work", "jobs", "--until-empty", "--backoff", "20ms", "--json"],
      'echo "try $CONC_ATTEMPT"; echo >&2; echo "no such thing" >&2; exit $CONC_ATTEMPT',
    ], { env });
    assertEquals(code, 1);
    const all = records(stdout);
    assertEquals(all.map(({ type }) => type), ["job", "job", "job", "summary"]);
    assertEquals(
      all.slice(0, 3).map(({ outcome, exitCode, attempts, retryInMs, stdout }) => [
        ...[outcome, exitCode, attempts, retryInMs, stdout],
      ]),
      [
        ["retried", 1, 1, 20, "try 1\n"],
        ["retried", 2, 2, 40, "try 2\n"],
        ["dead", 3, 3, undefined, "try 3\n"],
      ],
    );
    const { done, retried, dead, returned, lost, exitCode } = all[3]!;
    assertEquals([done, retried, dead, returned, lost, exitCode], [0, 2, 1, 0, 0, 1]);
    assertStringIncludes(stderr, "item 'one' failed: exit code 1: no such thing: again in 20ms (try 1 of 3)");
    assertStringIncludes(stderr, "item 'one' is a dead letter now: exit code 3: no such thing");
    assertMatch((await queue("dead jobs")).stdout, /^3 +\S+Z +one +exit code 3: no such thing$/m);
  }));

Deno.test("queue work ends when there is no such command, and the item is as it was", () =>
  withStore(async (queue) => {
    await queue("put jobs one two");
    const { code, stderr } = await queue("work jobs -j1 no-such-command");
    assertEquals(code, 127);
    assertStringIncludes(stderr, "cannot run 'no-such-command': command not found");
    assertEquals((await queue("get jobs --json")).stdout, '{"type":"item","item":"one","attempts":1}\n');
  }));

Deno.test("queue work --timeout ends a job that takes too long", () =>
  withStore(async (queue) => {
    await queue("put jobs 600");
    const { code, stderr } = await queue("work jobs --until-empty --retries 1 --timeout 50ms sleep");
    assertEquals(code, 1);
    assertMatch(stderr, /item '600' is a dead letter now: timed out after \d+ms/);
  }));

Deno.test("queue work gives up on an item whose worker dies each time", () =>
  withStore(async (queue, { directory, env }) => {
    await queue("put jobs poison");
    for (let round = 1; round <= 2; round++) {
      const worker = start(
        [
          "queue",
          "work",
          "jobs",
          "--retries",
          "2",
          "--until-empty",
          "sh",
          "-c",
          "echo $$ >> pids; exec sleep 600",
        ],
        { cwd: directory, env },
      );
      await eventually("the job runs", () => lines(`${directory}/pids`).length === round);
      worker.kill("SIGKILL");
      await worker.result();
      Deno.kill(Number(lines(`${directory}/pids`).at(-1)), "SIGKILL");
    }
    const { code, stderr } = await queue("work jobs --retries 2 --until-empty true");
    assertEquals(code, 1);
    assertStringIncludes(stderr, "item 'poison' is a dead letter now: its worker died each time");
  }));

Deno.test("queue get: what a reader does not take stays in the queue", () =>
  withStore(async (queue, { directory, env }) => {
    const item = "x".repeat(99_999);
    await queue("put jobs", { stdin: `${item}\n`.repeat(50) });
    const { stdout } = await shell(
      `export CONC_STORE=${env.CONC_STORE}; conc queue get jobs -n 50 | head -c 100000 | wc -c; conc queue size jobs`,
      { cwd: directory },
    );
    const [read, left] = stdout.trim().split("\n").map(Number);
    assertEquals(read, 100_000);
    // The pipe may hold one more, that nobody read.
    assert(left! >= 47 && left! <= 49, `${left} left`);
    assertEquals(records((await queue("size jobs --json")).stdout)[0]!.leased, 0);
    assertEquals((await queue(`get jobs -n ${left}`)).stdout, `${item}\n`.repeat(left!));
  }));

Deno.test("queue get waits for an item, and wakes up when it is put", () =>
  withStore(async (queue, { env }) => {
    const waiting = start(["queue", "get", "jobs", "-n2"], { env });
    await untilWaiting(queue, "waitingToGet");
    await queue("put jobs first");
    await queue("put jobs second");
    assertEquals(await waiting.result().then(({ code, stdout }) => [code, stdout]), [0, "first\nsecond\n"]);
  }));

Deno.test("queue get and put say when they do not wait, or not longer", () =>
  withStore(async (queue) => {
    await queue("create few --maxsize 3");
    const none = await queue("get few --no-wait");
    assertEquals([none.code, none.stdout, none.stderr], [75, "", "conc: the queue 'few' is empty\n"]);
    assertEquals((await queue("get few --no-wait -E 9")).code, 9);
    const late = await queue("get few --timeout 20ms");
    assertEquals(
      [late.code, late.stderr],
      [124, "conc: timed out after 20ms: the queue 'few' is empty: allow more time\n"],
    );
    const full = await queue("put few --no-wait", { stdin: seq(5) });
    assertEquals(
      [full.code, full.stderr],
      [75, "conc: the queue 'few' is full: 3 items were put: try later, or wait without --no-wait\n"],
    );
    const stuck = await queue("put few 4 --timeout 20ms --json");
    assertEquals([stuck.code, stuck.stdout], [124, '{"type":"put","name":"few","put":0,"duplicates":0}\n']);
    assertStringIncludes(
      stuck.stderr,
      "conc: timed out after 20ms: the queue 'few' is full: 0 items were put",
    );
    const some = await queue("get few -n 9 --no-wait");
    assertEquals([some.code, some.stdout], [75, "1\n2\n3\n"]);
    assertStringIncludes(some.stderr, "is empty: 3 items of 9 came");
  }));

Deno.test("queue put waits for room, and items keep their order", () =>
  withStore(async (queue, { env }) => {
    await queue("create few --maxsize 2");
    const putting = start(["queue", "put", "few"], { env, stdin: seq(20) });
    await untilWaiting(queue, "waitingToPut", "few");
    assertEquals((await queue("get few -n 20")).stdout, seq(20));
    assertEquals((await putting.result()).code, 0);
  }));

Deno.test("queue put: SIGINT ends it, and it says how many were put", () =>
  withStore(async (queue, { env }) => {
    await queue("create few --maxsize 2");
    const putting = start(["queue", "put", "few"], { env, stdin: seq(20) });
    await untilWaiting(queue, "waitingToPut", "few");
    putting.kill("SIGINT");
    const { code, stderr } = await putting.result();
    assertEquals([code, stderr], [130, "conc: 2 items were put before that\n"]);
    assertEquals((await queue("size few")).stdout, "2\n");
  }));

Deno.test("queue put --dedup puts an item while none with its key is there; {} stands for the item", () =>
  withStore(async (queue) => {
    const twice = await queue("put jobs --dedup {}", { stdin: "a\nb\na\n" });
    assertEquals(twice.stderr, "conc: 1 item had a key that was in the queue already\n");
    assertEquals(
      (await queue("put jobs a --dedup a --json")).stdout,
      '{"type":"put","name":"jobs","put":0,"duplicates":1}\n',
    );
    assertEquals((await queue("get jobs -n2")).stdout, "a\nb\n");
    assertEquals(
      (await queue("put jobs a --dedup a --json")).stdout,
      '{"type":"put","name":"jobs","put":1,"duplicates":0}\n',
    );
  }));

Deno.test("queue create: the kinds hand out in their orders", () =>
  withStore(async (queue) => {
    for (
      const [kind, expected] of [["fifo", "a\nb\nc\n"], ["lifo", "c\nb\na\n"], ["priority", "b\nc\na\n"]]
    ) {
      await queue(`create ${kind} --kind ${kind}`);
      for (const [item, priority] of [["a", 5], ["b", -1], ["c", "0.5"]]) {
        await queue(`put ${kind} ${item} --priority=${priority}`);
      }
      assertEquals((await queue(`peek ${kind} -n 9`)).stdout, expected);
      assertEquals((await queue(`get ${kind} -n 3`)).stdout, expected);
    }
  }));

Deno.test("queue put --delay: nobody gets the item before its time", () =>
  withStore(async (queue) => {
    await queue("put jobs late --delay 1h");
    assertEquals((await queue("peek jobs")).code, 75);
    assertEquals((await queue("get jobs --no-wait")).code, 75);
    const [status] = records((await queue("size jobs --json")).stdout);
    assertEquals([status!.size, status!.delayed], [1, 1]);
    await queue("put jobs soon --delay 50ms");
    assertEquals((await queue("get jobs")).stdout, "soon\n");
  }));

Deno.test("queue list, size, join, purge and delete", () =>
  withStore(async (queue) => {
    assertEquals((await queue("list")).stderr, "conc: there is no queue yet: conc queue put makes one\n");
    await queue("create b --maxsize 9 --kind lifo");
    await queue("put a x y");
    assertMatch(
      (await queue("list")).stdout,
      /^NAME .*\na +fifo +2 +0 +0 +0 +- +0 +0\nb +lifo +0 +0 +0 +0 +9 +0 +0\n$/,
    );
    assertEquals(records((await queue("list --json")).stdout)[1], {
      ...{ type: "queue", name: "b", kind: "lifo", maxSize: 9, size: 0, delayed: 0, leased: 0, dead: 0 },
      ...{ unfinished: 0, waitingToPut: 0, waitingToGet: 0, closed: false },
    });
    const late = await queue("join a --timeout 20ms");
    assertEquals(late.code, 124);
    assertStringIncludes(late.stderr, "2 items wait in the queue 'a', 0 are worked on");
    assertEquals((await queue("purge a --json")).stdout, '{"type":"purge","name":"a","purged":2}\n');
    assertEquals(records((await queue("join a --json")).stdout)[0]!.type, "joined");
    assertEquals((await queue("delete b")).stderr, "conc: threw the queue away, and 0 items with it\n");
    assertEquals((await queue("size a")).stdout, "0\n");
    assertEquals((await queue("size b")).code, 1);
  }));

Deno.test("queue says what makes no sense", () =>
  withStore(async (queue, { directory }) => {
    await queue("create jobs --kind lifo");
    const cases: [string, number, string][] = [
      [
        "create jobs --kind fifo",
        2,
        "the queue 'jobs' is lifo, without a limit: leave these out, or delete it first",
      ],
      [
        "create few --maxsize 0",
        2,
        "--maxsize: cannot read a count as it must be a whole number from 1: received '0'",
      ],
      ["create few --kind heap", 2, "--kind: must be one of fifo, lifo, priority: received 'heap'"],
      ["put a/b x", 2, "cannot use that as a name"],
      ["get ../jobs", 2, "cannot use that as a name"],
      ["put jobs x --priority high", 2, "cannot read a priority as it must be a number: received 'high'"],
      ["put jobs x --delay soon", 2, "cannot read a duration"],
      ["put jobs x --dedup=", 2, "cannot use '' as a key"],
      ["put jobs x --no-wait --timeout 1s", 2, "--no-wait and --timeout contradict each other"],
      ["get jobs -n 0", 2, "must be a whole number from 1: received '0'"],
      ["work jobs", 2, "no command: give what to run for each item behind the name"],
      [
        "work jobs --lease 10ms true",
        2,
        "cannot use a lease that short as it must be 1s or more: received '10ms'",
      ],
      ["work jobs --retries 0 true", 2, "must be a whole number from 1: received '0'"],
      ["size nowhere", 1, "there is no queue 'nowhere': conc queue list shows those there are"],
      ["peek nowhere", 1, "there is no queue 'nowhere'"],
      [`size jobs --store ${directory}`, 125, "as it is a directory: name a file"],
      ["size jobs --store /proc/conc.db", 125, "cannot use the store /proc/conc.db"],
    ];
    for (const [words, code, text] of cases) {
      const result = await queue(words);
      assertEquals([result.code, result.stdout], [code, ""], words);
      assertMatch(result.stderr, /^conc: [^\n]+\n$/, words);
      assertStringIncludes(result.stderr, text);
    }
  }));

/** Waits until somebody waits. */
async function untilWaiting(
  queue: (words: string) => Promise<Result>,
  key: "waitingToGet" | "waitingToPut",
  name = "jobs",
): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const { code, stdout } = await queue(`size ${name} --json`);
    if (code === 0 && records(stdout)[0]![key] === 1) return;
    if (performance.now() > deadline) throw new Error(`waited ten seconds in vain: ${key}`);
  }
}
