/**
 * Small echo servers, most of which misbehave in one way.
 *
 * @module
 */

import type { Address } from "../../lib/net/address.ts";
import { socketCalls } from "../../lib/net/socket/libc.ts";

// What is opened once, and stays open, is opened before the tests count what they leave open.
socketCalls();

/** Runs a body beside a TCP server that treats each connection as `serve` says. */
export async function besideTcp(
  serve: (connection: Deno.TcpConn, count: number) => Promise<void>,
  body: (address: Address) => Promise<void>,
): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections = new Set<Deno.TcpConn>();
  const served: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const connection of listener) {
      connections.add(connection);
      served.push(serve(connection, served.length + 1).catch(() => {}));
    }
  })();
  try {
    await body({ hostname: "127.0.0.1", port: (listener.addr as Deno.NetAddr).port });
  } finally {
    listener.close();
    await accepting.catch(() => {});
    for (const connection of connections) hangUp(connection);
    await Promise.all(served);
  }
}

/** Sends back what `answer` makes of each piece. */
export async function echo(
  connection: Deno.TcpConn,
  answer: (bytes: Uint8Array) => Uint8Array | undefined = (bytes) => bytes,
): Promise<void> {
  const buffer = new Uint8Array(65_536);
  for (let count; (count = await connection.read(buffer)) !== null;) {
    const reply = answer(buffer.slice(0, count)) ?? new Uint8Array();
    for (let at = 0; at < reply.length;) at += await connection.write(reply.subarray(at));
  }
  hangUp(connection);
}

/** Closes a connection, unless that was done. */
export function hangUp(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It was closed.
  }
}

/** Runs a body beside a UDP server that sends back what `answer` says, in that order. */
export async function besideUdp(
  answer: (bytes: Uint8Array, count: number) => readonly Uint8Array[],
  body: (address: Address) => Promise<void>,
): Promise<void> {
  const server = Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" });
  let count = 0;
  const serving = (async () => {
    for await (const [bytes, from] of server) {
      count += 1;
      for (const reply of answer(bytes.slice(), count)) await server.send(reply, from);
    }
  })();
  try {
    await body({ hostname: "127.0.0.1", port: (server.addr as Deno.NetAddr).port });
  } finally {
    server.close();
    await serving.catch(() => {});
  }
}

/** An address where nobody listens: its port was free a moment ago, and is not handed out again so soon. */
export function nobody(): Address {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return { hostname: "127.0.0.1", port: (listener.addr as Deno.NetAddr).port };
}
