import { assert, assertEquals, assertMatch } from "@std/assert";
import { besideTcp, echo, nobody } from "../net/echo_peers.ts";
import { conc, records, shell, start } from "./conc.ts";

function besideEcho(body: (where: string) => Promise<void>): Promise<void> {
  return besideTcp((connection) => echo(connection), ({ port }) => body(`127.0.0.1:${port}`));
}

const COUNTS = { corrupt: 0, lost: 0, errors: 0 };

Deno.test("tcp-echo bench reports messages, what was wrong, percentiles and a histogram", async () => {
  await besideEcho(async (where) => {
    const { code, stdout, stderr } = await conc(["tcp-echo", "bench", where, "-n", "500", "-c4"]);
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, /^messages +500 in \S+: \S+\/s, \S+ [KM]?i?B\/s\ncorrupt +0\nlost +0\nerrors +0\n\n/);
    assertMatch(stdout, /\nrtt +min +mean +p50 +p90 +p99 +p99\.9 +max\n( +[\d.]+(µs|ms|s)){7}\n\n/);
    assertMatch(stdout, /\nup to [\d.]+(µs|ms|s) +[\d.e-]+% +\d+ +#+\n/);
    for (const line of stdout.split("\n")) assert(line.length <= 80, line);
  });
});

Deno.test("tcp-echo bench --json prints intervals and a summary", async () => {
  await besideEcho(async (where) => {
    const { stdout } = await conc(["tcp-echo", "bench", where, "-d", "1.2s", "-c2", "--json"]);
    const intervals = records(stdout);
    const summary = intervals.pop();
    const [first] = intervals;
    const { elapsedMs, messages, messagesPerSecond, bytesPerSecond, p50Ms, p99Ms, maxMs, type, ...counts } =
      first!;
    for (const value of [elapsedMs, messages, messagesPerSecond, bytesPerSecond, p50Ms, p99Ms, maxMs]) {
      assert(Number(value) > 0);
    }
    assertEquals([type, counts], ["interval", COUNTS]);
    assertEquals(summary!.messages, intervals.reduce((sum, { messages }) => sum + Number(messages), 0));
    assertEquals(Object.keys(summary!), [
      ...[
        "type",
        "address",
        "connections",
        "sizeBytes",
        "transform",
        "ratePerSecond",
        "durationMs",
        "requests",
      ],
      ...["messages", "messagesPerSecond", "bytesPerSecond", "minMs", "meanMs", "p50Ms", "p90Ms", "p99Ms"],
      ...[
        "p999Ms",
        "maxMs",
        "corrupt",
        "lost",
        "errors",
        "reasons",
        "unsent",
        "failed",
        "outcome",
        "exitCode",
      ],
    ]);
    assertEquals([summary!.outcome, summary!.exitCode, summary!.failed], ["passed", 0, []]);
  });
});

Deno.test("tcp-echo bench --fail-if exits 1 and says why, and refuses what it cannot read before it sends", async () => {
  await besideEcho(async (where) => {
    const bench = ["tcp-echo", "bench", where, "-n", "200"];
    const { code, stderr } = await conc([...bench, "--fail-if", "p99>1ns,loss>1%,rate<1"]);
    assertEquals(code, 1);
    assertMatch(stderr, /^conc: failed as p99>1ns: p99 is [\d.]+(µs|ms|s)\n$/);
    assertEquals((await conc([...bench, "--fail-if", "p99>100s,loss>1%,errors>0"])).code, 0);
    const json = await conc([...bench, "--fail-if", "rate>0", "--json"]);
    const { failed, outcome, exitCode } = records(json.stdout).at(-1)!;
    assertEquals([json.code, failed, outcome, exitCode], [1, ["rate>0"], "failed", 1]);
    const bad = await conc([...bench, "--fail-if", "p99>5"]);
    assertEquals([bad.code, bad.stdout], [2, ""]);
    assertMatch(
      bad.stderr,
      /^conc: --fail-if: cannot read the condition 'p99>5': a time must have ns, us, ms or s.*\n$/,
    );
  });
});

Deno.test("tcp-echo bench says that nobody is there, or that nobody answers", async () => {
  const { code, stdout, stderr } = await conc(["tcp-echo", "bench", `127.0.0.1:${nobody().port}`]);
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /^conc: cannot reach 127\.0\.0\.1:\d+: connection refused\n$/);
  await besideTcp(() => Promise.resolve(), async ({ port }) => {
    const limits = ["-n", "3", "-c3", "--timeout", "0.2s"];
    const silent = await conc(["tcp-echo", "bench", `127.0.0.1:${port}`, ...limits]);
    assertEquals(silent.code, 124);
    assertMatch(silent.stderr, /^conc: no reply from 127\.0\.0\.1:\d+ in .*: 3 messages were sent\n$/);
  });
});

Deno.test("tcp-echo bench reports what was measured when it is interrupted, and ends quietly when nobody reads", async () => {
  const { promise: busy, resolve } = Promise.withResolvers<void>();
  let count = 0;
  const answer = (bytes: Uint8Array) => {
    if (++count === 100) resolve();
    return bytes;
  };
  await besideTcp((connection) => echo(connection, answer), async ({ port }) => {
    const where = `127.0.0.1:${port}`;
    const running = start(["tcp-echo", "bench", where, "-d", "1h", "--json"]);
    await busy;
    running.kill("SIGINT");
    const { code, stdout, stderr } = await running.result();
    const { outcome, exitCode } = records(stdout).at(-1)!;
    assertEquals([code, stderr, outcome, exitCode], [130, "", "interrupted", 130]);
    const piped = await shell(`conc tcp-echo bench ${where} -d 1h --json | head -1 | cut -c 1-18`, {
      cwd: ".",
    });
    assertEquals([piped.stdout, piped.stderr], ['{"type":"interval"\n', ""]);
  });
});

Deno.test("tcp-echo bench refuses bad words and values with one line", async () => {
  const cases: [string[], RegExp][] = [
    [["x"], /an address must be HOST:PORT/],
    [["h:7", "-c", "0"], /--connections: .*from 1: received '0'/],
    [["h:7", "-s", "0"], /--size: cannot send messages of nothing/],
    [["h:7", "-d", "0"], /--duration: cannot use a limit of nothing/],
    [["h:7", "--rate", "0"], /--rate: cannot read a rate/],
    [["h:7", "-t", "rot13"], /rot13/],
    [["h:7", "x"], /unexpected word 'x'/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await conc(["tcp-echo", "bench", ...args]);
    assertEquals([code, stdout, stderr.split("\n").length], [2, "", 2], stderr);
    assertMatch(stderr, message);
  }
});

Deno.test({
  name: "tcp-echo bench opens no more connections than it may, and says so (Linux)",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await besideEcho(async (where) => {
      const { stderr } = await shell(`ulimit -n 200; conc tcp-echo bench ${where} -c 1000; echo $? >&2`, {
        cwd: ".",
      });
      assertEquals(
        stderr,
        "conc: cannot open 1000 connections: Too many open files: raise ulimit -n, or use fewer\n125\n",
      );
    });
  },
});

Deno.test("tcp-echo bench says in one line that a host has no address", async () => {
  const { code, stderr } = await conc(["tcp-echo", "bench", "nobody.invalid:7"]);
  assertEquals(code, 1);
  assertMatch(stderr, /^conc: cannot reach nobody\.invalid:7: (unknown host|the name of the host .*)\n$/);
});
