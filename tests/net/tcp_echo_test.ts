import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import fc from "fast-check";
import { concatBytes } from "../../lib/bytes.ts";
import { SystemError, UsageError, WorkerDiedError } from "../../lib/errors.ts";
import type { Address } from "../../lib/net/address.ts";
import { socketCalls } from "../../lib/net/socket/libc.ts";
import { serveTcpEcho, type TcpEchoOptions, type TcpEchoServer } from "../../lib/net/tcp_echo.ts";
import { TcpEchoCounters } from "../../lib/net/tcp_echo/counters.ts";
import { serveFromThreads } from "../../lib/net/tcp_echo/threads.ts";
import { LONGEST_LINE_BYTES } from "../../lib/net/tcp_echo/connection.ts";
import { type Transform, transform, TRANSFORMS } from "../../lib/net/transform.ts";
import { eventually, exists, inDirectory } from "../cli/conc.ts";

// What is opened once, and stays open, is opened before the tests count what they leave open.
socketCalls();

const LOOPBACK = { hostname: "127.0.0.1", port: 0 };
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Runs a body beside a server. */
type Serving = (
  options: Partial<TcpEchoOptions>,
  body: (server: TcpEchoServer, end: () => void) => Promise<void>,
) => Promise<void>;

/** A test beside servers on the runtime's sockets, and beside such on the fastest there are here. */
function test(title: string, body: (serving: Serving) => Promise<void>): void {
  for (const sockets of ["fastest", "runtime"] as const) {
    Deno.test(
      `${title} (${sockets} sockets)`,
      () => body((options, beside) => serve({ ...options, sockets }, beside)),
    );
  }
}

/** Runs a body beside a server, which is ended in order afterwards. */
async function serve(...[options, body]: Parameters<Serving>): Promise<void> {
  const ending = new AbortController();
  const server = await serveTcpEcho(LOOPBACK, { drainMs: 0, ...options, signal: ending.signal });
  try {
    await body(server, () => ending.abort());
  } finally {
    ending.abort();
    await server.ended;
  }
}

function connect({ endpoint }: TcpEchoServer): Promise<Deno.TcpConn> {
  return Deno.connect(endpoint as Address);
}

async function send(connection: Deno.Conn, message: Uint8Array): Promise<void> {
  for (let sent = 0; sent < message.length;) sent += await connection.write(message.subarray(sent));
}

async function receive(connection: Deno.Conn, count: number): Promise<Uint8Array> {
  const whole = new Uint8Array(count);
  for (let at = 0; at < count;) {
    const read = await connection.read(whole.subarray(at));
    if (read === null) return whole.subarray(0, at);
    at += read;
  }
  return whole;
}

/** Sends pieces, half-closes, and returns all that comes back. */
async function roundTrip(server: TcpEchoServer, pieces: readonly Uint8Array[]): Promise<Uint8Array> {
  const connection = await connect(server);
  const reply = new Response(connection.readable).bytes();
  for (const piece of pieces) await send(connection, piece);
  await connection.closeWrite();
  return await reply;
}

/** Waits until something holds; fails after ten seconds. */
async function until(what: string, probe: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!await probe()) {
    if (performance.now() > deadline) throw new Error(`waited ten seconds in vain: ${what}`);
  }
}

function randomBytes(count: number): Uint8Array {
  const all = new Uint8Array(count);
  for (let at = 0; at < count; at += 65_536) crypto.getRandomValues(all.subarray(at, at + 65_536));
  return all;
}

for (const how of TRANSFORMS) {
  for (const line of [false, true]) {
    test(`a TCP echo (${how}${line ? ", by lines" : ""}) is what the transform makes of the whole, however it is cut`, async (serving) => {
      await serving({ transform: how as Transform, line }, async (server) => {
        const part = fc.oneof(fc.string(), fc.constantFrom("\n", "\r\n", "é", "你好", "x".repeat(3_000)));
        await fc.assert(
          fc.asyncProperty(fc.array(part, { maxLength: 20 }), async (parts) => {
            const pieces = parts.map(bytes);
            const expected = transform(Uint8Array.from(concatBytes(pieces)), how);
            assertEquals(await roundTrip(server, pieces), expected);
          }),
          { numRuns: 40 },
        );
      });
    });
  }
}

test("a TCP echo returns megabytes as they came, and counts them", async (serving) => {
  await serving({}, async (server) => {
    const sent = randomBytes(8 * 2 ** 20);
    assertEquals(await roundTrip(server, [sent]), sent);
    await eventually("it is closed", () => server.statistics().open === 0);
    assertEquals(server.statistics(), {
      ...{ connections: 1, open: 0, errors: 0 },
      ...{ bytesIn: sent.length, bytesOut: sent.length },
    });
  });
});

test("a TCP echo serves others while one client sends nothing and one reads nothing", async (serving) => {
  await serving({}, async (server) => {
    using _silent = await connect(server);
    using deaf = await connect(server);
    const flood = send(deaf, new Uint8Array(64 * 2 ** 20));
    using other = await connect(server);
    await send(other, bytes("hello"));
    assertEquals(text(await receive(other, 5)), "hello");
    // What it received stopped growing: it is in the buffers of the system, and in one of ours.
    let before = -1;
    await until("it stops to read", async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const { bytesIn } = server.statistics();
      const hasStopped = bytesIn === before;
      before = bytesIn;
      return hasStopped;
    });
    assert(server.statistics().bytesIn < 48 * 2 ** 20);
    assertEquals((await receive(deaf, 64 * 2 ** 20)).length, 64 * 2 ** 20);
    await flood;
  });
});

test("a TCP echo by lines sends a line when it is complete, and not before", async (serving) => {
  await serving({ line: true }, async (server) => {
    using connection = await connect(server);
    await send(connection, bytes("one\ntw"));
    assertEquals(text(await receive(connection, 4)), "one\n");
    assertEquals(server.statistics().bytesOut, 4);
    await send(connection, bytes("o\n"));
    assertEquals(text(await receive(connection, 4)), "two\n");
  });
});

test("a TCP echo by lines takes a line of 1 MiB, and ends a connection with a longer one", async (serving) => {
  await serving({ line: true }, async (server) => {
    const longest = new Uint8Array(LONGEST_LINE_BYTES).fill(0x61);
    longest[longest.length - 1] = 0x0a;
    assertEquals(await roundTrip(server, [longest]), longest);
    using connection = await connect(server);
    await send(connection, new Uint8Array(LONGEST_LINE_BYTES + 1)).catch(() => {});
    await eventually("it is counted", () => server.statistics().errors === 1);
    await eventually("it is closed", () => server.statistics().open === 0);
  });
});

test("a client beyond the maximum waits, and is served when another has gone", async (serving) => {
  await serving({ maximumConnections: 1 }, async (server) => {
    const first = await connect(server);
    await send(first, bytes("1"));
    await receive(first, 1);
    using second = await connect(server);
    await send(second, bytes("2"));
    assertEquals(server.statistics().connections, 1);
    first.close();
    assertEquals(text(await receive(second, 1)), "2");
    assertEquals(server.statistics().connections, 2);
  });
});

test("a client that sends nothing is closed after the idle timeout, and that is no error", async (serving) => {
  await serving({ idleTimeoutMs: 50 }, async (server) => {
    using connection = await connect(server);
    assertEquals(await connection.read(new Uint8Array(1)), null);
    assertEquals(server.statistics().errors, 0);
  });
});

test("a client that is gone before it has its echo is counted, and the server lives on", async (serving) => {
  await serving({ bytesPerSecond: 1_000 }, async (server) => {
    const connection = await connect(server);
    await send(connection, new Uint8Array(200));
    connection.close();
    await eventually("it is counted", () => server.statistics().errors === 1);
    assertEquals(text(await roundTrip(server, [bytes("still here")])), "still here");
  });
});

test("the drain lets a client go on, and takes no new one", async (serving) => {
  await serving({ drainMs: 60_000 }, async (server, end) => {
    using connection = await connect(server);
    await send(connection, bytes("a"));
    await receive(connection, 1);
    end();
    const refused = async () => {
      try {
        (await connect(server)).close();
        return false;
      } catch {
        return true;
      }
    };
    await until("nobody is let in", refused);
    await send(connection, bytes("bc"));
    assertEquals(text(await receive(connection, 2)), "bc");
    await connection.closeWrite();
    await server.ended;
  });
});

test("when the drain's time is up, what was received goes back, also the beginning of a line, and then comes the end", async (serving) => {
  await serving({ line: true }, async (server, end) => {
    using connection = await connect(server);
    await send(connection, bytes("one\nhalf a li"));
    await eventually("it is received", () => server.statistics().bytesIn === 13);
    end();
    assertEquals(text(await receive(connection, 100)), "one\nhalf a li");
    connection.close();
    await server.ended;
    assertEquals(server.statistics().errors, 0);
  });
});

Deno.test("a second signal ends a server at once, and counts those that it cut off", async () => {
  const [signal, killSignal] = [new AbortController(), new AbortController()];
  const server = await serveTcpEcho(LOOPBACK, {
    ...{ signal: signal.signal, killSignal: killSignal.signal, drainMs: 600_000 },
  });
  using connection = await connect(server);
  await send(connection, bytes("a"));
  await receive(connection, 1);
  signal.abort();
  killSignal.abort();
  await server.ended;
  assertEquals([server.statistics().open, server.statistics().errors], [0, 1]);
});

test("a delayed echo keeps its order, and its messages wait together", async (serving) => {
  await serving({ delayMs: 100 }, async (server) => {
    using connection = await connect(server);
    const startMs = performance.now();
    const sent = Array.from({ length: 200 }, (_, number) => bytes(`${number} `));
    for (const piece of sent) await send(connection, piece);
    const expected = concatBytes(sent);
    assertEquals(await receive(connection, expected.length), expected);
    assert(performance.now() - startMs >= 99);
  });
});

test("a limited rate is kept on each connection, and nothing is lost", async (serving) => {
  await serving({ bytesPerSecond: 100_000 }, async (server) => {
    const sent = randomBytes(20_000);
    const startMs = performance.now();
    assertEquals(await roundTrip(server, [sent]), sent);
    // A first step goes out at once.
    assert(performance.now() - startMs >= 150);
  });
});

test("a client that resets its connection is closed, and the server lives on", async (serving) => {
  await serving({}, async (server) => {
    const connection = await connect(server);
    await send(connection, bytes("hello"));
    await eventually("it is echoed", () => server.statistics().bytesOut === 5);
    // To close with something unread resets (RFC 1122, 4.2.2.13).
    connection.close();
    await eventually("it is closed", () => server.statistics().open === 0);
    assertEquals(text(await roundTrip(server, [bytes("still here")])), "still here");
  });
});

// The sockets of Deno 2.4 keep the descriptor until the write that waits has ended.
Deno.test("a client that never reads is closed after the idle timeout, though a write to it waits", async () => {
  await serve({ idleTimeoutMs: 100 }, async (server) => {
    using deaf = await connect(server);
    // It fails when the server closes its end: that the descriptor is gone there is what it shows.
    await assertRejects(() => send(deaf, new Uint8Array(256 * 2 ** 20)));
    await eventually("it is closed", () => server.statistics().open === 0);
  });
});

for (const threads of [1, 2]) {
  test(`clients that wait when the server is told to end are served, ${threads} threads`, async (serving) => {
    await serving({ threads, drainMs: 60_000, maximumConnections: 5_000 }, async (server, end) => {
      const clients = await Promise.all(Array.from({ length: 400 }, () => connect(server)));
      end();
      const replies = await Promise.all(clients.map(async (client, number) => {
        const message = bytes(String(number).padStart(4));
        await send(client, message);
        const reply = text(await receive(client, 4));
        client.close();
        return Number(reply);
      }));
      assertEquals(replies, clients.map((_, number) => number));
      await server.ended;
      assertEquals([server.statistics().connections, server.statistics().errors], [400, 0]);
    });
  });
}

Deno.test("a thread that dies ends the server with an error that says so", async () => {
  const memory = { ...TcpEchoCounters.memory(2), open: new SharedArrayBuffer(3) };
  const { signal } = new AbortController();
  await assertRejects(
    () =>
      serveFromThreads(LOOPBACK, {
        ...{ threads: 2, tls: undefined, sockets: "fastest", memory, maximum: 1 },
        settings: {
          ...{ transform: "none", line: false, delayMs: 0, bytesPerSecond: Infinity },
          ...{ idleTimeoutMs: Infinity, noDelay: true, drainMs: 0 },
        },
        ...{ signal, killSignal: signal, notice: () => {} },
      }),
    WorkerDiedError,
    "of the echo server died",
  );
});

test("threads serve at one port, count together, and end together", async (serving) => {
  await serving({ threads: 2, maximumConnections: 10 }, async (server) => {
    const messages = Array.from({ length: 30 }, (_, number) => bytes(`client ${number}`));
    const replies = await Promise.all(messages.map((message) => roundTrip(server, [message])));
    assertEquals(replies, messages);
    await eventually("all are closed", () => server.statistics().open === 0);
    assertEquals(server.statistics().connections, 30);
    const { port } = server.endpoint as Address;
    const { signal } = new AbortController();
    const again = serveTcpEcho({ hostname: "127.0.0.1", port }, { signal, threads: 2 });
    await assertRejects(() => again, SystemError, "in use");
  });
});

Deno.test("a server says why it cannot listen, and what to do", async () => {
  const { signal } = new AbortController();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  const cases: [Address, RegExp][] = [
    [{ hostname: "127.0.0.1", port }, /in use: choose/],
    [{ hostname: "no.such.host.invalid", port: 0 }, /unknown host|failure in name resolution/],
    [{ hostname: "192.0.2.1", port: 0 }, /no such address: choose/],
  ];
  for (const [endpoint, expected] of cases) {
    const error = await assertRejects(() => serveTcpEcho(endpoint, { signal }), SystemError);
    assertMatch(error.message, expected);
  }
  const tls = { cert: "no certificate", key: "no key" };
  await assertRejects(() => serveTcpEcho(LOOPBACK, { signal, tls }), UsageError, "cannot be used");
  await assertRejects(() => serveTcpEcho(LOOPBACK, { signal, threads: 0 }), RangeError);
  await assertRejects(() => serveTcpEcho(LOOPBACK, { signal, threads: 257 }), RangeError, "from 1 to 256");
  await assertRejects(() => serveTcpEcho(LOOPBACK, { signal, idleTimeoutMs: 0 }), RangeError);
  await assertRejects(() => serveTcpEcho(LOOPBACK, { signal, delayMs: NaN }), RangeError);
});

Deno.test("a Unix socket is served and removed; one that a dead server left is replaced, anything else is refused", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/echo.sock`;
    const dead = Deno.listen({ transport: "unix", path: `${path}.dead` });
    await Deno.link(`${path}.dead`, path);
    dead.close();
    assert(exists(path));
    const ending = new AbortController();
    const server = await serveTcpEcho({ path }, { signal: ending.signal, transform: "upper" });
    const connection = await Deno.connect({ transport: "unix", path });
    await send(connection, bytes("hello"));
    await connection.closeWrite();
    assertEquals(await new Response(connection.readable).text(), "HELLO");
    const { signal } = new AbortController();
    await assertRejects(() => serveTcpEcho({ path }, { signal }), SystemError, "another server answers");
    ending.abort();
    await server.ended;
    assert(!exists(path));
    await Deno.writeTextFile(path, "precious");
    await assertRejects(() => serveTcpEcho({ path }, { signal }), SystemError, "no socket");
    assertEquals(await Deno.readTextFile(path), "precious");
    await assertRejects(() => serveTcpEcho({ path: `${path}2` }, { signal, threads: 2 }), UsageError);
  });
});
