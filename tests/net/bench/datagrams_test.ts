import { assertEquals } from "@std/assert";
import { DatagramLinks } from "../../../lib/net/bench/datagrams.ts";
import type { BenchPlan } from "../../../lib/net/bench/loop.ts";
import { Tally } from "../../../lib/net/bench/tally.ts";
import { Histogram } from "../../../lib/net/bench/histogram.ts";
import { haveSockets, Sockets } from "../../../lib/net/socket/sockets.ts";

Deno.test({
  name: "DatagramLinks takes what has come for answered, however late it looks (Linux)",
  ignore: !haveSockets(),
  async fn() {
    const server = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    const { port } = server.addr as Deno.NetAddr;
    const address = { ip: "127.0.0.1", port };
    const plan: BenchPlan = {
      ...{ kind: "datagram", address, connections: 1, window: 8, sizeBytes: 64, transform: "none" },
      ...{ durationMs: 10_000, count: Infinity, ratePerSecond: undefined, timeoutMs: 1_000, warmupMs: 0 },
    };
    const tally = new Tally(plan.sizeBytes, await Histogram.load());
    using sockets = new Sockets(address, { kind: "datagram" });
    const links = new DatagramLinks(plan, { sockets, tally });
    links.keep(0);
    for (let sent = 0; sent < 3; sent++) links.send(0, { nowMs: 0, intendedMs: 0 });
    for (let answered = 0; answered < 2; answered++) {
      const [bytes, from] = await server.receive();
      await server.send(bytes, from);
    }
    links.keep(5_000);
    const { messages, lost, late } = tally.summary({ endMs: 5_000, unsent: 0 });
    assertEquals({ messages, lost, late }, { messages: 2, lost: 1, late: 0 });
    server.close();
  },
});
