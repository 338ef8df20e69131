import { assert, assertEquals } from "@std/assert";
import { DatagramLinks } from "../../../lib/net/bench/datagrams.ts";
import type { BenchPlan } from "../../../lib/net/bench/loop.ts";
import { Tally } from "../../../lib/net/bench/tally.ts";
import { Histogram } from "../../../lib/net/bench/histogram.ts";
import { haveSockets, Sockets } from "../../../lib/net/socket/sockets.ts";

const ignore = !haveSockets();
const TIMEOUT_MS = 1_000;

Deno.test({
  name: "DatagramLinks takes what has come for answered, however late it looks (Linux)",
  ignore,
  fn: () =>
    besideServer(async ({ links, tally, server }) => {
      links.keep(0);
      for (let sent = 0; sent < 3; sent++) links.send(0, { nowMs: 0, intendedMs: 0 });
      for (let answered = 0; answered < 2; answered++) await answerNext(server);
      links.keep(5_000);
      const { messages, lost, late } = tally.summary({ endMs: 5_000, unsent: 0 });
      assertEquals({ messages, lost, late }, { messages: 2, lost: 1, late: 0 });
    }),
});

Deno.test({
  name:
    "DatagramLinks counts the time until it takes a reply, also of what was sent when it began to look (Linux)",
  ignore,
  fn: () =>
    besideServer(async ({ links, tally, server }) => {
      const nowMs = performance.now();
      links.keep(nowMs);
      const longAgoMs = nowMs - 2 * TIMEOUT_MS;
      links.send(0, { nowMs: longAgoMs, intendedMs: longAgoMs });
      links.send(0, { nowMs, intendedMs: nowMs });
      await server.receive();
      await answerNext(server);
      links.keep(nowMs);
      const { messages, lost, rtt } = tally.summary({ endMs: nowMs, unsent: 0 });
      assertEquals({ messages, lost }, { messages: 1, lost: 1 });
      assert(rtt.minMs > 0);
    }),
});

/** Runs a body beside a socket that answers when it is told to. */
async function besideServer(
  body: (beside: {
    links: DatagramLinks;
    tally: Tally;
    server: Deno.DatagramConn;
  }) => Promise<void>,
): Promise<void> {
  const server = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const address = { ip: "127.0.0.1", port: (server.addr as Deno.NetAddr).port };
  const plan: BenchPlan = {
    ...{ kind: "datagram", address, connections: 1, window: 8, sizeBytes: 64, transform: "none" },
    ...{ durationMs: 10_000, count: Infinity, ratePerSecond: undefined, timeoutMs: TIMEOUT_MS, warmupMs: 0 },
  };
  const tally = new Tally(plan.sizeBytes, await Histogram.load());
  using sockets = new Sockets(address, { kind: "datagram" });
  try {
    await body({ links: new DatagramLinks(plan, { sockets, tally }), tally, server });
  } finally {
    server.close();
  }
}

async function answerNext(server: Deno.DatagramConn): Promise<void> {
  const [bytes, from] = await server.receive();
  await server.send(bytes, from);
}
