/**
 * The sockets at which this process listens, as the system knows them: for what the runtime's own listeners cannot do. Linux only;
 * elsewhere none are found.
 *
 * @module
 */

import { type SocketCalls, socketCalls } from "./libc.ts";

const SOL_SOCKET = 1;
const SO_ACCEPTCONN = 30;
const F_DUPFD_CLOEXEC = 1030;
const POLLIN = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const LONGEST_ADDRESS_BYTES = 128;
/** How many clients may wait to be accepted: the system makes it no more than net.core.somaxconn. The runtime asks for 128. */
const BACKLOG = 4_096;

/**
 * What waits to be accepted at one address. The threads of a server that share a port have a socket each: all of them count.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const backlog = Backlog.of(listener.addr);
 * assertEquals(backlog?.isEmpty() ?? true, true);
 * ```
 */
export class Backlog {
  readonly #calls: SocketCalls["calls"];
  readonly #descriptors: readonly number[];

  /**
   * @param socket The calls.
   * @param descriptors The sockets; they must stay open as long as this is used.
   */
  constructor({ calls }: SocketCalls, descriptors: readonly number[]) {
    this.#calls = calls;
    this.#descriptors = descriptors;
  }

  /**
   * Finds it, and lets as many wait as the system allows.
   *
   * @param address Where a listener of this process listens. It must stay open as long as this is used.
   * @returns Undefined where that is not possible.
   */
  static of(address: Deno.Addr): Backlog | undefined {
    const socket = socketCalls();
    const descriptors = listeningAt(address);
    if (socket === undefined || descriptors.length === 0) return undefined;
    for (const descriptor of descriptors) socket.calls.listen(descriptor, BACKLOG);
    return new Backlog(socket, descriptors);
  }

  /** Whether nobody waits at this moment. */
  isEmpty(): boolean {
    return this.#descriptors.every((descriptor) => {
      const entry = Int32Array.of(descriptor, POLLIN);
      return this.#calls.poll(entry, 1n, 0) <= 0;
    });
  }
}

/**
 * Takes a socket over from a listener of the runtime, which is closed; who waits there goes on to wait.
 *
 * @param listener At an address of its own, or at one that no other listener of this process has.
 * @returns A descriptor of the socket, which does not block; undefined where that is not possible: then the listener is as it was.
 */
export function takeOver(listener: Deno.Listener, others: readonly number[] = []): number | undefined {
  const socket = socketCalls();
  const [found] = listeningAt(listener.addr).filter((descriptor) => !others.includes(descriptor));
  if (socket === undefined || found === undefined) return undefined;
  const taken = socket.calls.fcntl(found, F_DUPFD_CLOEXEC, 0);
  if (taken < 0) return undefined;
  socket.calls.listen(taken, BACKLOG);
  listener.close();
  return taken;
}

/** The descriptors of all sockets of this process that listen at an address. */
function listeningAt(address: Deno.Addr): number[] {
  const socket = socketCalls();
  if (socket === undefined) return [];
  try {
    return [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => Number(name))
      .filter((descriptor) => isListeningAt(socket, { descriptor, address }));
  } catch {
    // Whoever uses the library may not have let it read there.
    return [];
  }
}

function isListeningAt(
  { calls }: SocketCalls,
  { descriptor, address }: { descriptor: number; address: Deno.Addr },
): boolean {
  const [value, bytes] = [new Int32Array(1), new Uint8Array(LONGEST_ADDRESS_BYTES)];
  if (calls.getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, value, Uint32Array.of(4)) < 0) return false;
  const length = Uint32Array.of(bytes.length);
  if (value[0] === 0 || calls.getsockname(descriptor, bytes, length) < 0) return false;
  if (address.transport === "unix") {
    const path = bytes.subarray(2, length[0]);
    return new TextDecoder().decode(path).replace(/\0.*/s, "") === (address as Deno.UnixAddr).path;
  }
  const { hostname, port } = address as Deno.NetAddr;
  return (bytes[2]! << 8 | bytes[3]!) === port && hostnameOf(bytes) === hostname.replace(/%.*/, "");
}

/** The IP address in a `struct sockaddr_in` or `sockaddr_in6`. */
function hostnameOf(bytes: Uint8Array): string | undefined {
  const family = bytes[0]! | bytes[1]! << 8;
  if (family === AF_INET) return bytes.subarray(4, 8).join(".");
  if (family !== AF_INET6) return undefined;
  const groups = Array.from(
    { length: 8 },
    (_, i) => (bytes[8 + 2 * i]! << 8 | bytes[9 + 2 * i]!).toString(16),
  );
  // The form that RFC 5952 asks for is the one that URLs have.
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
