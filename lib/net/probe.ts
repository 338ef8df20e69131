/**
 * Whether somebody answers: at a TCP port, a Unix socket, a URL. Each probe looks once, and says in few words what it found.
 *
 * @module
 */

import { abortable } from "@std/async/abortable";
import type { Look } from "../time/poll.ts";
import { type Address, addressesOf } from "./address.ts";
import { problem } from "./problem.ts";

/**
 * Whether a server accepts TCP connections. The connection is closed at once.
 *
 * Cancel safety: an aborted look rejects at once; a connection that is made later is closed.
 *
 * @param address Where. `localhost` is both 127.0.0.1 and ::1.
 * @param signal Ends the look.
 * @throws The reason of the signal, if it is aborted.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const { port } = listener.addr as Deno.NetAddr;
 * const { signal } = new AbortController();
 * assertEquals(await probeTcp({ hostname: "localhost", port }, signal), { holds: true, seen: "accepts connections" });
 * ```
 */
export async function probeTcp({ hostname, port }: Address, signal: AbortSignal): Promise<Look> {
  const [first, ...others] = addressesOf(hostname);
  const look = (hostname: string) => lookAtConnection(() => Deno.connect({ hostname, port }), signal);
  const found = await look(first!);
  if (found.holds) return found;
  for (const other of others) {
    const next = await look(other);
    if (next.holds) return next;
  }
  return found;
}

/**
 * Whether a server accepts connections at a Unix socket.
 *
 * Cancel safety: as {@link probeTcp}.
 *
 * @param path The socket.
 * @param signal Ends the look.
 * @throws The reason of the signal, if it is aborted.
 */
export function probeUnix(path: string, signal: AbortSignal): Promise<Look> {
  return lookAtConnection(() => Deno.connect({ transport: "unix", path }), signal);
}

/**
 * Whether a server answers a GET with a status of 2xx or 3xx. Redirects are not followed, and what it sends is not read.
 *
 * Cancel safety: an aborted look ends the request.
 *
 * @param url Where; http or https.
 * @param signal Ends the look.
 * @throws The reason of the signal, if it is aborted.
 */
export async function probeHttp(url: string, signal: AbortSignal): Promise<Look> {
  let response: Response;
  try {
    response = await fetch(url, { signal, redirect: "manual" });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof TypeError)) throw error;
    return { holds: false, seen: problem(error) };
  }
  await response.body?.cancel().catch(() => {});
  const { status } = response;
  return { holds: status >= 200 && status < 400, seen: `answers HTTP ${status}` };
}

async function lookAtConnection(connect: () => Promise<Deno.Conn>, signal: AbortSignal): Promise<Look> {
  signal.throwIfAborted();
  const closed = connect().then((connection) => connection.close());
  closed.catch(() => {});
  try {
    await abortable(closed, signal);
    return { holds: true, seen: "accepts connections" };
  } catch (error) {
    signal.throwIfAborted();
    return { holds: false, seen: problem(error) };
  }
}
