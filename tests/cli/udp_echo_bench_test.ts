import { assertEquals, assertMatch } from "@std/assert";
import { besideUdp, nobody } from "../net/echo_peers.ts";
import { conc, records } from "./conc.ts";

Deno.test("udp-echo bench counts what a server loses, doubles and swaps, and nothing with a clean one", async () => {
  await besideUdp((bytes) => [bytes], async ({ port }) => {
    const { code, stdout } = await conc(["udp-echo", "bench", `127.0.0.1:${port}`, "-n", "500"]);
    assertEquals(code, 0);
    assertMatch(stdout, /^messages +500 in .*\n(corrupt|lost) +0\n/);
    assertMatch(stdout, /\nerrors +0\nduplicated +0\nreordered +0\nlate +0\n/);
  });
  let held: Uint8Array | undefined;
  await besideUdp((bytes, count) => {
    if (count % 10 === 2) return [];
    if (count % 10 === 4) return [bytes, bytes];
    if (count % 10 === 6) {
      held = bytes;
      return [];
    }
    const replies = held === undefined ? [bytes] : [bytes, held];
    held = undefined;
    return replies;
  }, async ({ port }) => {
    const args = [
      "udp-echo",
      "bench",
      `127.0.0.1:${port}`,
      "-c1",
      "-n",
      "500",
      "--json",
      "--fail-if",
      "loss>9%",
    ];
    const { code, stdout, stderr } = await conc(args);
    const { messages, lost, duplicated, reordered, corrupt, late, requests } = records(stdout).at(-1)!;
    assertEquals({ messages, lost, duplicated, reordered, corrupt, late, requests }, {
      ...{ messages: 450, lost: 50, duplicated: 50, reordered: 50 },
      ...{ corrupt: 0, late: 0, requests: 500 },
    });
    assertEquals([code, stderr], [1, "conc: failed as loss>9%: loss is 10%\n"]);
  });
});

Deno.test("udp-echo bench says that nobody is there, that nobody answers, and what is too large", async () => {
  const { code, stderr } = await conc(["udp-echo", "bench", `127.0.0.1:${nobody().port}`]);
  assertEquals(code, 1);
  assertMatch(stderr, /^conc: cannot reach 127\.0\.0\.1:\d+: connection refused\n$/);
  await besideUdp(() => [], async ({ port }) => {
    const silent = await conc(["udp-echo", "bench", `127.0.0.1:${port}`, "-n", "3", "--timeout", "0.2s"]);
    assertEquals(silent.code, 124);
    assertMatch(silent.stderr, /^conc: no reply from 127\.0\.0\.1:\d+ in 200ms: 3 messages were sent\n$/);
  });
  const large = await conc(["udp-echo", "bench", "127.0.0.1:7", "-s", "64k"]);
  assertEquals([large.code, large.stdout], [2, ""]);
  assertMatch(large.stderr, /^conc: .*from 1 to 65507: received 65536\n$/);
});
