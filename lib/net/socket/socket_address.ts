/**
 * Addresses as the C library's calls have them: struct sockaddr_in, sockaddr_in6 and sockaddr_un of Linux (ip(7), ipv6(7), unix(7)).
 *
 * @module
 */

import { ConnectionError } from "../../errors.ts";
import type { SocketCalls } from "./libc.ts";

/** The family of Unix sockets. */
export const AF_UNIX = 1;

/** The family of IPv4 addresses. */
export const AF_INET = 2;
/** The family of IPv6 addresses, on Linux. */
export const AF_INET6 = 10;
/** The longer of the two kinds of socket addresses. */
export const SOCKET_ADDRESS_BYTES = 28;
const IPV4_ADDRESS_BYTES = 16;
const SUN_PATH_BYTES = 108;

/** An IP address with a port, or the path of a Unix socket. */
export type SocketAddress = { ip: string; port: number } | { path: string };

/**
 * A struct sockaddr_in, sockaddr_in6 or sockaddr_un.
 *
 * @param address What it says.
 * @param socket The calls that read an IP address.
 * @throws {ConnectionError} If it cannot be one.
 */
export function encodeAddress(address: SocketAddress, socket: SocketCalls): Uint8Array<ArrayBuffer> {
  if ("path" in address) {
    const path = new TextEncoder().encode(address.path);
    if (path.length >= SUN_PATH_BYTES) throw new ConnectionError("the path is too long for a Unix socket");
    const bytes = new Uint8Array(2 + path.length + 1);
    bytes[0] = AF_UNIX;
    bytes.set(path, 2);
    return bytes;
  }
  const bytes = encodeIpAddress(address, socket);
  if (bytes === undefined) throw new ConnectionError("this is no IP address");
  return bytes;
}

/**
 * Writes an IP address with a port.
 *
 * @param address `ip`: the address in numbers, an IPv6 one with its zone (`fe80::1%eth0`) if it has any.
 * @param socket The calls that read it.
 * @returns Undefined if it is no address in numbers.
 */
export function encodeIpAddress(
  { ip, port }: { ip: string; port: number },
  { calls }: SocketCalls,
): Uint8Array<ArrayBuffer> | undefined {
  const [numbers = "", zone] = ip.split("%");
  const isIpv6 = numbers.includes(":");
  const bytes = new Uint8Array(isIpv6 ? SOCKET_ADDRESS_BYTES : IPV4_ADDRESS_BYTES);
  bytes[0] = isIpv6 ? AF_INET6 : AF_INET;
  const view = new DataView(bytes.buffer);
  view.setUint16(2, port);
  if (calls.inet_pton(bytes[0], cString(numbers), bytes.subarray(isIpv6 ? 8 : 4)) !== 1) return undefined;
  if (zone === undefined) return bytes;
  if (!isIpv6) return undefined;
  view.setUint32(24, Number(zone) || calls.if_nametoindex(cString(zone)), true);
  return bytes;
}

/**
 * The `HOST:PORT` of a socket address.
 *
 * @param name A struct sockaddr_in or sockaddr_in6.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(formatSocketAddress(Uint8Array.of(AF_INET, 0, 31, 145, 127, 0, 0, 1)), "127.0.0.1:8081");
 * ```
 */
export function formatSocketAddress(name: Uint8Array): string {
  const port = name[2]! << 8 | name[3]!;
  if (name[0] !== AF_INET6) return `${name.subarray(4, 8).join(".")}:${port}`;
  const groups = Array.from({ length: 8 }, (_, i) => (name[8 + 2 * i]! << 8 | name[9 + 2 * i]!).toString(16));
  // The form that RFC 5952 asks for is the one that URLs have.
  return `${new URL(`http://[${groups.join(":")}]`).hostname}:${port}`;
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}
