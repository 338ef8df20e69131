/**
 * UDP sockets by the C library's own calls, which a thread can wait in, and which take many datagrams at once. Linux with glibc only, on
 * 64-bit little-endian machines; elsewhere there are none, and `Deno.listenDatagram` serves.
 *
 * @module
 */

import type { Address } from "../address.ts";
import { socketCalls } from "./libc.ts";
import { AF_INET6, encodeIpAddress } from "./socket_address.ts";

const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_SNDTIMEO = 21;
const SHUT_RD = 0;
const IPPROTO_IP = 0;
const IP_PKTINFO = 8;
const IPPROTO_IPV6 = 41;
const IPV6_RECVPKTINFO = 49;
/** What the kernel is asked to keep of what comes in a burst; it gives what it may. */
const RECEIVE_BUFFER_BYTES = 4 * 2 ** 20;
/** How long a send may wait for a network that takes nothing, in microseconds. */
const SEND_LIMIT_US = 100_000n;

/** A socket that is bound. */
export interface BoundSocket {
  /** Its file descriptor. */
  fd: number;
  port: number;
  /** Whether it has all addresses of the machine, so that each datagram must say which of them it was sent to. */
  hasAllAddresses: boolean;
}

/**
 * Opens a socket and binds it.
 *
 * @param address The address as numbers; port 0 is one that is free.
 * @returns Undefined if that is not possible here, for whatever reason.
 */
export function openUdpSocket({ hostname, port }: Address): BoundSocket | undefined {
  const socket = socketCalls();
  const name = socket && encodeIpAddress({ ip: hostname, port }, socket);
  if (socket === undefined || name === undefined) return undefined;
  const { calls } = socket;
  const isIpv6 = name[0] === AF_INET6;
  const fd = calls.socket(name[0]!, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const hasAllAddresses = name.subarray(isIpv6 ? 8 : 4, isIpv6 ? 24 : 8).every((byte) => byte === 0);
  const set = (level: number, option: number, value: Int32Array | BigInt64Array<ArrayBuffer>) =>
    calls.setsockopt(fd, level, option, new Uint8Array(value.buffer as ArrayBuffer), value.byteLength) === 0;
  set(SOL_SOCKET, SO_RCVBUF, Int32Array.of(RECEIVE_BUFFER_BYTES));
  set(SOL_SOCKET, SO_SNDTIMEO, BigInt64Array.of(0n, SEND_LIMIT_US));
  const saysWhereTo = !hasAllAddresses ||
    (isIpv6
      ? set(IPPROTO_IPV6, IPV6_RECVPKTINFO, Int32Array.of(1))
      : set(IPPROTO_IP, IP_PKTINFO, Int32Array.of(1)));
  const lengthBytes = Uint32Array.of(name.length);
  const isBound = saysWhereTo && calls.bind(fd, name, name.length) === 0 &&
    calls.getsockname(fd, name, new Uint8Array(lengthBytes.buffer)) === 0;
  if (isBound) return { fd, port: name[2]! << 8 | name[3]!, hasAllAddresses };
  calls.close(fd);
  return undefined;
}

/** Ends the waits of all threads for what comes to a socket (shutdown(2)), now and from now on; what has come can still be received. */
export function endReceiving(fd: number): void {
  // Of a socket that is not connected it says so, and does it all the same.
  socketCalls()?.calls.shutdown(fd, SHUT_RD);
}

/** Closes a socket. */
export function closeUdpSocket(fd: number): void {
  socketCalls()?.calls.close(fd);
}
