/**
 * The UDP echo server, over each of the ways in which datagrams can come.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SystemError, UsageError, WorkerDiedError } from "../../lib/errors.ts";
import type { Address } from "../../lib/net/address.ts";
import { Faults } from "../../lib/net/udp_echo/faults.ts";
import { DatagramBatches } from "../../lib/net/udp_echo/batches.ts";
import { makeCounts, readCounts } from "../../lib/net/udp_echo/counts.ts";
import {
  serveUdpEcho,
  type UdpEchoOptions,
  type UdpEchoServer,
  type UdpEchoStatistics,
  type UdpNotice,
} from "../../lib/net/udp_echo.ts";
import { socketCalls } from "../../lib/net/socket/libc.ts";
import { closeUdpSocket, openUdpSocket } from "../../lib/net/socket/udp.ts";

const DEADLINE_MS = 10_000;
const haveIpv6 = canListen("::1");

/** A server that ends when the test does. */
class TestServer implements AsyncDisposable {
  readonly #stop: AbortController;
  readonly server: UdpEchoServer;

  private constructor(server: UdpEchoServer, stop: AbortController) {
    this.server = server;
    this.#stop = stop;
  }

  static async start({ hostname = "127.0.0.1", port = 0, ...options }: UdpEchoOptions & Partial<Address>) {
    const stop = new AbortController();
    const server = await serveUdpEcho({ hostname, port }, { ...options, signal: stop.signal });
    return new TestServer(server, stop);
  }

  async end(): Promise<UdpEchoStatistics> {
    this.#stop.abort();
    await this.server.ended;
    return this.server.statistics();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end().catch(() => {});
  }
}

/** A socket of a client. */
class Client implements Disposable {
  readonly #socket: Deno.DatagramConn;
  readonly #to: Deno.NetAddr;

  constructor(
    { endpoint: address }: UdpEchoServer,
    { hostname = address.hostname, port = 0, toHost = address.hostname } = {},
  ) {
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname, port });
    this.#to = { transport: "udp", hostname: toHost, port: address.port };
  }

  async send(message: string | Uint8Array): Promise<void> {
    await this.#socket.send(
      typeof message === "string" ? new TextEncoder().encode(message) : message,
      this.#to,
    );
  }

  /** The next reply, which must come from where the datagrams go. */
  async receive(): Promise<Uint8Array> {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error("no reply came")), DEADLINE_MS);
    try {
      const [bytes, from] = await Promise.race([this.#socket.receive(new Uint8Array(65_536)), promise]);
      assertEquals(from, this.#to);
      return bytes;
    } finally {
      clearTimeout(timer);
    }
  }

  async text(): Promise<string> {
    return new TextDecoder().decode(await this.receive());
  }

  async ask(message: string | Uint8Array): Promise<Uint8Array> {
    await this.send(message);
    return await this.receive();
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** What it has counted, once that holds. */
async function counted(
  server: UdpEchoServer,
  holds: (statistics: UdpEchoStatistics) => boolean,
): Promise<UdpEchoStatistics> {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const statistics = server.statistics();
    if (holds(statistics)) return statistics;
    if (performance.now() > deadline) throw new Error(`it never was so: ${JSON.stringify(statistics)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function canListen(hostname: string): boolean {
  try {
    Deno.listenDatagram({ transport: "udp", hostname, port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

function assertBalanced(statistics: UdpEchoStatistics): void {
  const { datagramsIn, datagramsOut, errors, ignored, dropped, overflowed, duplicated } = statistics;
  assertEquals(datagramsOut + errors, datagramsIn - ignored - dropped - overflowed + duplicated);
}

const haveLibc = socketCalls() !== undefined;

for (const backend of ["libc", "deno"] as const) {
  const test = (name: string, fn: () => Promise<void>, { ignore = false } = {}) =>
    Deno.test({
      name: `serveUdpEcho() by ${backend}: ${name}`,
      ignore: ignore || backend === "libc" && !haveLibc,
      fn,
    });

  test("answers every client with what it sent", async () => {
    await using test = await TestServer.start({ backend });
    assertEquals(test.server.backend, backend);
    const clients = Array.from({ length: 20 }, () => new Client(test.server));
    for (let round = 0; round < 10; round++) {
      await Promise.all(clients.map((client, index) => client.send(`${index} in round ${round}`)));
      for (const [index, client] of clients.entries()) {
        assertEquals(await client.text(), `${index} in round ${round}`);
      }
    }
    for (const client of clients) client[Symbol.dispose]();
    const statistics = await test.end();
    const bytes = statistics.bytesIn;
    assertEquals(statistics, {
      ...{
        datagramsIn: 200,
        datagramsOut: 200,
        bytesIn: bytes,
        bytesOut: bytes,
        truncated: 0,
        truncatedBytes: 0,
      },
      ...{ ignored: 0, dropped: 0, duplicated: 0, delayed: 0, reordered: 0, overflowed: 0, errors: 0 },
    });
  });

  test("answers datagrams of every length, none and the longest too, byte by byte", async () => {
    await using test = await TestServer.start({ backend });
    using client = new Client(test.server);
    for (const length of [0, 1, 63, 64, 65, 1_472, 9_000, 65_507, 0, 2]) {
      const message = Uint8Array.from({ length }, (_, i) => (i * 7 + length) % 251);
      assertEquals(await client.ask(message), message);
    }
  });

  test("transforms what it sends back", async () => {
    for (
      const [transform, expected] of [["upper", "ABC 你好"], ["lower", "abc 你好"], [
        "reverse",
        "好你 cBa",
      ]] as const
    ) {
      await using test = await TestServer.start({ backend, transform });
      using client = new Client(test.server);
      await client.send("aBc 你好");
      assertEquals(await client.text(), expected);
    }
  });

  test("cuts what is longer than the buffer, and counts and tells what is lost", async () => {
    const notices: UdpNotice[] = [];
    const notice = (notice: UdpNotice) => void notices.push(notice);
    await using test = await TestServer.start({ backend, bufferBytes: 8, notice });
    using client = new Client(test.server);
    const sent = ["eight is enough", "12345678", "123456789"];
    for (const message of sent) {
      await client.send(message);
      assertEquals(await client.text(), message.slice(0, 8));
    }
    const { truncated, truncatedBytes, bytesIn, bytesOut } = await test.end();
    assertEquals({ truncated, truncatedBytes, bytesIn, bytesOut }, {
      ...{ truncated: 2, truncatedBytes: 8, bytesIn: 24, bytesOut: 24 },
    });
    assertEquals(notices.map(({ kind, sizeBytes }) => [kind, sizeBytes]), [["truncated", 15]]);
  });

  test("ignores a port of its own number, and goes on", async () => {
    const { promise, resolve } = Promise.withResolvers<UdpNotice>();
    await using test = await TestServer.start({ backend, notice: resolve });
    const { port } = test.server.endpoint;
    using echo = new Client(test.server, { hostname: "127.0.0.2", port });
    await echo.send("ping");
    assertEquals(await promise, { kind: "ignored", from: `127.0.0.2:${port}`, sizeBytes: 4 });
    using client = new Client(test.server);
    await client.ask("pong");
    const { ignored, datagramsOut } = await test.end();
    assertEquals({ ignored, datagramsOut }, { ignored: 1, datagramsOut: 1 });
  }, { ignore: Deno.build.os !== "linux" });

  test("drops and doubles those that the seed says", async () => {
    const faults = { dropPercent: 20, duplicatePercent: 30, seed: 11 };
    await using test = await TestServer.start({ backend, faults });
    using client = new Client(test.server);
    const model = new Faults(faults);
    for (let number = 0; number < 200; number++) {
      const { isDropped, isDuplicated } = model.next();
      await client.send(String(number));
      for (let copy = 0; !isDropped && copy < (isDuplicated ? 2 : 1); copy++) {
        assertEquals(await client.text(), String(number));
      }
    }
    const statistics = await test.end();
    assert(statistics.dropped > 0 && statistics.duplicated > 0);
    assertBalanced(statistics);
  });

  test("lets those that the seed says be overtaken, and loses none", async () => {
    const faults = { reorderPercent: 20, seed: 5 };
    await using test = await TestServer.start({ backend, faults });
    using client = new Client(test.server);
    const model = new Faults(faults);
    const expected: number[] = [];
    let held: number[] = [];
    let reordered = 0;
    // The last one is not held back, so that all are sent in a moment.
    for (let number = 0; number < 100 || held.length > 0; number++) {
      if (model.next().isReordered) held.push(number);
      else {
        expected.push(number, ...held);
        reordered += held.length;
        held = [];
      }
    }
    for (let number = 0; number < expected.length; number++) await client.send(String(number));
    const found: number[] = [];
    while (found.length < expected.length) found.push(Number(await client.text()));
    const statistics = await test.end();
    // Where the machine stands still for 50 ms, one may not be overtaken in time.
    if (statistics.delayed === 0) assertEquals(found, expected);
    assertEquals(found.toSorted((a, b) => a - b), expected.toSorted((a, b) => a - b));
    assertEquals(statistics.reordered + statistics.delayed, reordered);
  });

  test("delays replies, and not those of others behind them", async () => {
    await using test = await TestServer.start({
      backend,
      faults: { delay: { minMs: 60, maxMs: 80 }, seed: 1 },
    });
    using client = new Client(test.server);
    const startMs = performance.now();
    for (let number = 0; number < 10; number++) await client.send(String(number));
    const found = [];
    while (found.length < 10) found.push(await client.text());
    assert(performance.now() - startMs >= 60);
    assertEquals(found.sort(), Array.from({ length: 10 }, (_, number) => String(number)));
    assertEquals((await test.end()).delayed, 10);
  });

  test("answers at the end what had come by then", async () => {
    await using test = await TestServer.start({ backend });
    using client = new Client(test.server);
    for (let number = 0; number < 100; number++) await client.send(String(number));
    const statistics = await test.end();
    assertEquals([statistics.datagramsIn, statistics.datagramsOut], [100, 100]);
    for (let number = 0; number < 100; number++) assertEquals(await client.text(), String(number));
  });

  test("sends at the end what is held back, when it is due", async () => {
    await using test = await TestServer.start({
      backend,
      faults: { delay: { minMs: 200, maxMs: 200 }, seed: 1 },
    });
    using client = new Client(test.server);
    const startMs = performance.now();
    await client.send("late");
    await counted(test.server, ({ datagramsIn }) => datagramsIn === 1);
    const statistics = await test.end();
    assert(performance.now() - startMs >= 200);
    assertEquals(await client.text(), "late");
    assertBalanced(statistics);
  });

  test("sends at the end what is held back, and does not wait for longer than it may", async () => {
    const faults = {
      delay: { minMs: 3_600_000, maxMs: 7_200_000 },
      duplicatePercent: 50,
      reorderPercent: 50,
      seed: 1,
    };
    await using test = await TestServer.start({ backend, drainMs: 20, faults });
    using client = new Client(test.server);
    for (let number = 0; number < 50; number++) await client.send("late");
    await counted(test.server, ({ datagramsIn }) => datagramsIn === 50);
    const statistics = await test.end();
    assertEquals(statistics.datagramsOut, 50 + statistics.duplicated);
    for (let number = 0; number < statistics.datagramsOut; number++) {
      assertEquals(await client.text(), "late");
    }
  });

  test("ends at once when nothing comes, and its port is free then", async () => {
    await using test = await TestServer.start({ backend });
    const { port } = test.server.endpoint;
    await assertRejects(
      () => TestServer.start({ backend, port }),
      SystemError,
      `cannot listen at 127.0.0.1:${port}: the port is in use`,
    );
    await test.end();
    await using again = await TestServer.start({ backend, port });
    using client = new Client(again.server);
    assertEquals((await client.ask("again")).length, 5);
  });

  test("answers on IPv6", async () => {
    await using test = await TestServer.start({ backend, hostname: "::1" });
    using client = new Client(test.server);
    assertEquals((await client.ask("six")).length, 3);
  }, { ignore: !haveIpv6 });

  test("takes a name for the address that it stands for", async () => {
    await using test = await TestServer.start({ backend, hostname: "localhost" });
    assert(/^(127\.0\.0\.1|::1)$/.test(test.server.endpoint.hostname));
    using client = new Client(test.server);
    assertEquals((await client.ask("name")).length, 4);
  });

  test("says in one line where it cannot listen", async () => {
    for (
      const [hostname, message] of [["no.such.host.invalid", "unknown host"], [
        "192.0.2.77",
        "no such address",
      ]]
    ) {
      const error = await assertRejects(
        () => TestServer.start({ backend, hostname: hostname! }),
        SystemError,
        message,
      );
      assertEquals(error.message.split("\n").length, 1);
    }
  });

  test("refuses options that make no sense before it listens", async () => {
    for (const bufferBytes of [0, -1, 1.5, 65_536, NaN]) {
      await assertRejects(
        () => TestServer.start({ backend, bufferBytes }),
        RangeError,
        `received ${bufferBytes}`,
      );
    }
    await assertRejects(() => TestServer.start({ backend, drainMs: -1 }), RangeError, "received -1");
    const faults = { dropPercent: 101, seed: 1 };
    await assertRejects(() => TestServer.start({ backend, faults }), UsageError, "received '101'");
    const killSignal = AbortSignal.abort(new Error("over"));
    await assertRejects(() => TestServer.start({ backend, killSignal }), Error, "over");
  });

  test("ends at once when it is killed, before the end or in it", async () => {
    for (const isEnding of [false, true]) {
      const kill = new AbortController();
      const hour = { minMs: 3_600_000, maxMs: 3_600_000 };
      const options = {
        backend,
        drainMs: 3_600_000,
        faults: { delay: hour, seed: 1 },
        killSignal: kill.signal,
      };
      await using test = await TestServer.start(options);
      using client = new Client(test.server);
      await client.send("never");
      await counted(test.server, ({ datagramsIn }) => datagramsIn === 1);
      const ended = isEnding ? test.end() : test.server.ended;
      kill.abort();
      await ended;
      assertEquals(test.server.statistics().datagramsOut, 0);
    }
  });

  test("says that it cannot go on, and lets its port go, if it has a defect", async () => {
    // No caller can do that by way of types; it has the server fail where it drains.
    const test = await TestServer.start({ backend, drainMs: 1n as unknown as number });
    const { port } = test.server.endpoint;
    const error = await assertRejects(
      () => test.end(),
      WorkerDiedError,
      `the echo server at 127.0.0.1:${port} cannot go on: `,
    );
    assertEquals(error.message.split("\n").length, 1);
    await using again = await TestServer.start({ backend, port });
    assertEquals(again.server.endpoint.port, port);
  });
}

Deno.test({
  name: "serveUdpEcho() by libc: with all addresses it answers from the one that was asked",
  ignore: !haveLibc,
  async fn() {
    await using test = await TestServer.start({ hostname: "0.0.0.0" });
    for (const toHost of ["127.0.0.1", "127.0.0.2", "127.3.2.1"]) {
      using client = new Client(test.server, { toHost });
      assertEquals((await client.ask(toHost)).length, toHost.length);
    }
    await using delayed = await TestServer.start({
      hostname: "0.0.0.0",
      faults: { delay: { minMs: 1, maxMs: 1 }, duplicatePercent: 100, seed: 1 },
    });
    using client = new Client(delayed.server, { toHost: "127.0.0.2" });
    assertEquals((await client.ask("twice")).length, 5);
    assertEquals(await client.text(), "twice");
  },
});

Deno.test({
  name: "serveUdpEcho() by libc: with all addresses of both kinds it answers IPv6 and IPv4",
  ignore: !haveLibc || !haveIpv6,
  async fn() {
    await using test = await TestServer.start({ hostname: "::" });
    for (const [hostname, toHost] of [["::1", "::1"], ["0.0.0.0", "127.0.0.2"]] as const) {
      using client = new Client(test.server, { hostname, toHost });
      assertEquals((await client.ask("who")).length, 3);
    }
  },
});

Deno.test({
  name: "DatagramBatches counts a reply that the system refuses, and sends those behind it",
  ignore: !haveLibc,
  async fn() {
    const { fd, port } = openUdpSocket({ hostname: "127.0.0.1", port: 0 })!;
    const counts = makeCounts();
    const batches = new DatagramBatches(fd, { hasAllAddresses: false, bufferBytes: 100, counts });
    const client = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    const to = { transport: "udp", hostname: "127.0.0.1", port } as const;
    await client.send(new Uint8Array(3), to);
    assertEquals(batches.receive({ waits: true }), 1);
    const kept = batches.keep(0);
    const control = new Uint8Array();
    // A family of addresses that there is not.
    batches.replyKept({ bytes: new Uint8Array(3), name: new Uint8Array(16).fill(255), control });
    batches.reply(0);
    batches.replyKept({ ...kept, control });
    assertEquals((await client.receive())[0].length, 3);
    assertEquals((await client.receive())[0].length, 3);
    const { errors, datagramsOut, bytesOut } = readCounts(counts);
    assertEquals({ errors, datagramsOut, bytesOut }, { errors: 1, datagramsOut: 2, bytesOut: 6 });
    client.close();
    closeUdpSocket(fd);
    assertThrows(
      () => {
        for (;;) batches.receive({ waits: false });
      },
      Error,
      "cannot receive datagrams",
    );
  },
});
