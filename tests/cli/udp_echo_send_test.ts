import { assertEquals, assertMatch } from "@std/assert";
import { besideUdp, nobody } from "../net/echo_peers.ts";
import { conc, records } from "./conc.ts";

const WAIT = ["--timeout", "20s"];

Deno.test("udp-echo send prints the reply to each message and each line, and warns of large ones", async () => {
  await besideUdp((bytes) => [bytes], async ({ port }) => {
    const where = `127.0.0.1:${port}`;
    const words = await conc(["udp-echo", "send", where, ...WAIT, "hello 你好", "", "two\n"]);
    assertEquals([words.code, words.stdout, words.stderr], [0, "hello 你好\n\ntwo\n", ""]);
    const lines = await conc(["udp-echo", "send", where, ...WAIT, "--json"], {
      stdin: `a\n${"x".repeat(513)}`,
    });
    assertEquals(records(lines.stdout).map(({ rttMs: _, ...rest }) => rest), [
      { type: "reply", number: 1, text: "a", bytes: 1, attempts: 1 },
      { type: "reply", number: 2, text: "x".repeat(513), bytes: 513, attempts: 1 },
    ]);
    assertMatch(lines.stderr, /^conc: a datagram of 513 bytes may be cut .*: up to 512 bytes are safe\n$/);
  });
});

Deno.test("udp-echo send refuses what fits into no datagram before anything is sent", async () => {
  let received = 0;
  await besideUdp((bytes) => {
    received += 1;
    return [bytes];
  }, async ({ port }) => {
    const args = ["udp-echo", "send", `127.0.0.1:${port}`, "first", "x".repeat(65_508)];
    const { code, stdout, stderr } = await conc(args);
    assertEquals([code, stdout, received], [2, "", 0]);
    assertMatch(stderr, /^conc: cannot send 65508 bytes as a datagram carries at most 65507: send less\n$/);
  });
});

Deno.test("udp-echo send exits 124 when no reply comes, and 1 when nobody listens", async () => {
  await besideUdp(() => [], async ({ port }) => {
    const limits = ["--timeout", "50ms", "--retries", "1"];
    const { code, stderr } = await conc(["udp-echo", "send", `127.0.0.1:${port}`, "x", ...limits]);
    assertEquals(code, 124);
    assertMatch(stderr, /^conc: no reply from 127\.0\.0\.1:\d+: sent 2 times, 50ms each\n$/);
  });
  if (Deno.build.os !== "linux") return;
  const { code, stderr } = await conc(["udp-echo", "send", `127.0.0.1:${nobody().port}`, "x", ...WAIT]);
  assertEquals(code, 1);
  assertMatch(stderr, /^conc: cannot reach 127\.0\.0\.1:\d+: connection refused\n$/);
});
