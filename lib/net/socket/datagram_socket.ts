/**
 * One UDP socket that hears from everybody, and also that nobody listens where it sends.
 *
 * The runtime's own sockets are not told of refusals (ICMP), as they are not connected; one that is connected does not hear whoever
 * answers from another address. With IP_RECVERR (ip(7)) a socket of the C library has both. Elsewhere than on Linux a refusal is silence.
 *
 * @module
 */

import { ConnectionError } from "../../errors.ts";
import type { Awaitable } from "../../primitives.ts";
import type { Address } from "../address.ts";
import { problem } from "../problem.ts";
import { type SocketCalls, socketCalls, socketError } from "./libc.ts";
import { AF_INET6, encodeAddress, formatSocketAddress, SOCKET_ADDRESS_BYTES } from "./socket_address.ts";

const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
/** Level and option, of IPv4 and of IPv6. */
const IP_RECVERR = [0, 11] as const;
const IPV6_RECVERR = [41, 25] as const;
const POLLIN = 1;
const EAGAIN = 11;
const LONGEST_DATAGRAM = 65_536;
/** How long a wait in another thread takes at most: nothing ends it early. */
const SLICE_MS = 20;

/** A datagram, and whether it comes from where ours go. */
export interface Datagram {
  bytes: Uint8Array<ArrayBuffer>;
  isFromTarget: boolean;
  /** Its sender, as people write it. */
  from: string;
}

/** A socket that sends to one address. */
export interface DatagramSocket extends Disposable {
  /**
   * Sends a datagram.
   *
   * @throws {ConnectionError} If the machine says that it cannot, or that an earlier one was refused.
   */
  send(bytes: Uint8Array): Awaitable<void>;
  /**
   * Waits for a datagram, from whomever.
   *
   * @param limitMs How long to wait; it may take 20 ms longer.
   * @param signal Ends the wait, at the latest after 20 ms.
   * @returns Undefined if none came.
   * @throws {ConnectionError} If one that was sent is refused.
   * @throws The reason of the signal, if it is aborted.
   */
  receive(limitMs: number, signal?: AbortSignal): Promise<Datagram | undefined>;
}

/**
 * Opens a socket.
 *
 * @param target Where it sends: an IP address.
 * @throws {ConnectionError} If there is no such address.
 */
export function openDatagramSocket(target: Address): DatagramSocket {
  const socket = socketCalls();
  return socket === undefined ? new PortableDatagramSocket(target) : new LibcDatagramSocket(target, socket);
}

class LibcDatagramSocket implements DatagramSocket {
  readonly #socket: SocketCalls;
  readonly #libc: SocketCalls["calls"];
  readonly #address: Uint8Array<ArrayBuffer>;
  readonly #descriptor: number;
  readonly #buffer = new Uint8Array(LONGEST_DATAGRAM);
  /** A struct pollfd. It lives as long as the socket: a call in another thread does not keep what it writes to from being collected. */
  readonly #pollEntry = new DataView(new ArrayBuffer(8));

  constructor({ hostname, port }: Address, socket: SocketCalls) {
    this.#socket = socket;
    this.#libc = socket.calls;
    this.#address = encodeAddress({ ip: hostname, port }, socket);
    const family = this.#address[0]!;
    this.#descriptor = this.#libc.socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (this.#descriptor < 0) this.#throwUnlessEmpty();
    this.#pollEntry.setInt32(0, this.#descriptor, true);
    this.#pollEntry.setInt16(4, POLLIN, true);
    const [level, option] = family === AF_INET6 ? IPV6_RECVERR : IP_RECVERR;
    this.#libc.setsockopt(this.#descriptor, level, option, Uint8Array.of(1, 0, 0, 0), 4);
  }

  send(bytes: Uint8Array): void {
    const copy = new Uint8Array(bytes);
    const sent = this.#libc.sendto(
      ...[this.#descriptor, copy, copy.length, 0] as const,
      ...[this.#address, this.#address.length] as const,
    );
    if (sent < 0) this.#throwUnlessEmpty();
  }

  async receive(limitMs: number, signal?: AbortSignal): Promise<Datagram | undefined> {
    const endMs = performance.now() + limitMs;
    for (;;) {
      signal?.throwIfAborted();
      const datagram = this.#take();
      if (datagram !== undefined) return datagram;
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return undefined;
      await this.#libc.poll_aside(this.#pollEntry, 1n, Math.ceil(Math.min(leftMs, SLICE_MS)));
    }
  }

  [Symbol.dispose](): void {
    this.#libc.close(this.#descriptor);
  }

  #take(): Datagram | undefined {
    const from = new Uint8Array(SOCKET_ADDRESS_BYTES);
    const length = this.#libc.recvfrom(
      ...[this.#descriptor, this.#buffer, LONGEST_DATAGRAM, 0] as const,
      ...[from, Uint32Array.of(SOCKET_ADDRESS_BYTES)] as const,
    );
    if (length < 0) return this.#throwUnlessEmpty();
    const isIpv6 = from[0] === AF_INET6;
    const isSame = (start: number, end: number) =>
      from.subarray(start, end).every((byte, index) => byte === this.#address[start + index]);
    // The port, and the address; in between IPv6 has a label of the flow.
    const isFromTarget = isSame(2, 4) && (isIpv6 ? isSame(8, 24) : isSame(4, 8));
    return { bytes: this.#buffer.slice(0, length), isFromTarget, from: formatSocketAddress(from) };
  }

  #throwUnlessEmpty(): undefined {
    const error = this.#socket.errorNumber();
    if (error === EAGAIN) return undefined;
    throw new ConnectionError(problem(socketError(this.#socket, error)));
  }
}

type Received = [bytes: Uint8Array<ArrayBuffer>, from: Deno.NetAddr];

class PortableDatagramSocket implements DatagramSocket {
  readonly #socket: Deno.DatagramConn;
  readonly #target: Deno.NetAddr;
  /** A wait for a datagram that goes on from one call to the next. */
  #next: Promise<Received> | undefined;

  constructor({ hostname, port }: Address) {
    this.#target = { transport: "udp", hostname, port };
    const any = hostname.includes(":") ? "::" : "0.0.0.0";
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname: any, port: 0 });
  }

  async send(bytes: Uint8Array): Promise<void> {
    try {
      await this.#socket.send(bytes, this.#target);
    } catch (error) {
      throw new ConnectionError(problem(error), { cause: error });
    }
  }

  async receive(limitMs: number, signal?: AbortSignal): Promise<Datagram | undefined> {
    signal?.throwIfAborted();
    const next = this.#next ??= this.#socket.receive(new Uint8Array(LONGEST_DATAGRAM)) as Promise<Received>;
    next.catch(() => {});
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    const stop = () => resolve(undefined);
    const timer = setTimeout(stop, limitMs);
    signal?.addEventListener("abort", stop, { once: true });
    const received = await Promise.race([next, late]);
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
    if (received === undefined) {
      signal?.throwIfAborted();
      return undefined;
    }
    this.#next = undefined;
    const [bytes, from] = received;
    const isFromTarget = from.hostname === this.#target.hostname && from.port === this.#target.port;
    return { bytes, isFromTarget, from: `${from.hostname}:${from.port}` };
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
