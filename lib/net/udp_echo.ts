/**
 * A UDP echo server (RFC 862): what it receives it sends back, as it is or transformed; on request as a bad network would.
 *
 * On Linux a Worker waits in the C library for many datagrams at once; elsewhere `Deno.listenDatagram` brings them. Both do the same.
 *
 * @module
 */

import { reason, SystemError, UsageError } from "../errors.ts";
import { type Address, formatEndpoint } from "./address.ts";
import { type FaultOptions, Faults } from "./faults.ts";
import { listenError } from "./listen_error.ts";
import type { Transform } from "./transform.ts";
import { type Counts, makeCounts, readCounts, type UdpEchoStatistics } from "./udp_counts.ts";
import { serveDatagrams } from "./udp_datagrams.ts";
import { type BoundSocket, closeUdpSocket, endReceiving, openUdpSocket } from "./udp_libc.ts";
import type { ReplyOptions, UdpNotice } from "./udp_replies.ts";
import type { UdpWorkerMessage, UdpWorkerStart } from "./udp_worker.ts";

export type { UdpEchoStatistics } from "./udp_counts.ts";
export type { UdpNotice } from "./udp_replies.ts";

/** The longest that a datagram can be: the length in its header has 16 bits (RFC 768). */
export const LONGEST_DATAGRAM_BYTES = 65_535;
const DRAIN_MS = 5_000;

/** What datagrams come by: `libc`, the C library in a Worker, or `deno`, which is `Deno.listenDatagram`. */
export type UdpBackend = "libc" | "deno";

/** Options of {@link UdpEchoServer}. */
export interface UdpEchoOptions {
  /** Where to listen: a name or an address of this machine; `0.0.0.0` and `::` are all. Default `127.0.0.1`. */
  hostname?: string | undefined;
  /** Default 0: one that is free. */
  port?: number | undefined;
  /** What is done to the bytes. Default `none`. */
  transform?: Transform | undefined;
  /** How much is received of a datagram, from 1 to 65535 bytes: what it holds beyond is lost, and counted. Default 65535. */
  bufferBytes?: number | undefined;
  /** What goes wrong on purpose. Default: nothing. */
  faults?: FaultOptions | undefined;
  /** How long replies that are held back may take after the end; then they are sent at once. Default 5000. */
  drainMs?: number | undefined;
  /** Called when a datagram is the first to be cut, or to be ignored. */
  noticed?: ((notice: UdpNotice) => void) | undefined;
  /** Ends the server: it answers what has come, and {@link UdpEchoServer.ended} resolves. */
  signal?: AbortSignal | undefined;
  /** What datagrams come by. Default `libc`, which gives way to `deno` where it is not possible. */
  backend?: UdpBackend | undefined;
}

/**
 * Echoes datagrams. It listens once it is made: what comes then is answered, however soon.
 *
 * A datagram from port 7, 17 or 19, or from a port of the same number as its own, is not answered: two services that answer each other would
 * never end.
 *
 * Invariant: every datagram that was received when it is told to end is answered, unless it is ignored, or lost on purpose.
 *
 * Cancel safety: the signal ends the server; nothing that it received is lost.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const stop = new AbortController();
 * const server = new UdpEchoServer({ transform: "upper", signal: stop.signal });
 * const client = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
 * await client.send(new TextEncoder().encode("hello"), { transport: "udp", ...server.address });
 * const [reply] = await client.receive();
 * assertEquals(new TextDecoder().decode(reply), "HELLO");
 * client.close();
 * stop.abort();
 * assertEquals((await server.ended).datagramsOut, 1);
 * ```
 */
export class UdpEchoServer {
  /** Where it listens. */
  readonly address: Address;
  /** What its datagrams come by. */
  readonly backend: UdpBackend;
  /** Resolves with what it counted once it has ended and its port is free. Rejects with a {@link SystemError} if it cannot go on. */
  readonly ended: Promise<UdpEchoStatistics>;
  readonly #counts: Counts = makeCounts();

  /**
   * @throws {UsageError} If an option makes no sense.
   * @throws {SystemError} If it cannot listen there.
   * @throws The reason of the signal, if it is aborted.
   */
  constructor(options: UdpEchoOptions = {}) {
    const { hostname = "127.0.0.1", port = 0, backend = "libc", signal } = options;
    const { bufferBytes = LONGEST_DATAGRAM_BYTES, transform = "none", faults, drainMs = DRAIN_MS } = options;
    signal?.throwIfAborted();
    checkBuffer(bufferBytes);
    // What makes no sense is to be known before anything listens.
    if (faults !== undefined) new Faults(faults);
    const opened = open({ hostname, port }, backend);
    this.address = opened.address;
    this.backend = "fd" in opened ? "libc" : "deno";
    const serve: ServeOptions = {
      ...{ port: opened.address.port, transform, bufferBytes, faults, drainMs, counts: this.#counts },
      noticed: options.noticed ?? (() => {}),
      signal: signal ?? new AbortController().signal,
    };
    const served = "fd" in opened ? serveInWorker(opened, serve) : serveDatagrams(opened.socket, serve);
    this.ended = served.then(() => this.statistics(), (error) => {
      const where = formatEndpoint(this.address);
      throw new SystemError(`the echo server at ${where} cannot go on: ${reason(error)}`, { cause: error });
    });
  }

  /** What it has counted so far. */
  statistics(): UdpEchoStatistics {
    return readCounts(this.#counts);
  }
}

interface ServeOptions extends ReplyOptions {
  counts: Counts;
  noticed: (notice: UdpNotice) => void;
  signal: AbortSignal;
  drainMs: number;
}

/** A socket that listens. */
type Opened = { address: Address } & (BoundSocket | { socket: Deno.DatagramConn });

/** @throws {SystemError} If it cannot listen there. */
function open({ hostname, port }: Address, backend: UdpBackend): Opened {
  try {
    if (backend === "libc") {
      const numeric = /:|^[\d.]+$/.test(hostname) ? hostname : lookUp(hostname);
      const bound = openUdpSocket({ hostname: numeric, port });
      if (bound !== undefined) return { ...bound, address: { hostname: numeric, port: bound.port } };
    }
    // If the one could not be opened, the other says why.
    const socket = Deno.listenDatagram({ transport: "udp", hostname, port });
    const { hostname: numeric, port: given } = socket.addr as Deno.NetAddr;
    return { socket, address: { hostname: numeric, port: given } };
  } catch (error) {
    throw listenError(error, { hostname, port });
  }
}

/** The address that a name stands for. */
function lookUp(hostname: string): string {
  const socket = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
  const { hostname: numeric } = socket.addr as Deno.NetAddr;
  socket.close();
  return numeric;
}

/**
 * Has a Worker answer what comes to a socket, until the signal is aborted. The socket is closed when it returns.
 *
 * @throws {Error} If the Worker fails.
 */
async function serveInWorker(
  { fd, hasAllAddresses }: BoundSocket,
  { signal, noticed, ...options }: ServeOptions,
): Promise<void> {
  const worker = new Worker(import.meta.resolve("./udp_worker.ts"), { type: "module" });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  worker.onmessage = ({ data }: MessageEvent<UdpWorkerMessage>) => {
    if (data.type === "notice") noticed(data.notice);
    else if (data.type === "failed") reject(new Error(data.problem));
    else resolve();
  };
  worker.onerror = (event) => {
    event.preventDefault();
    reject(new Error(event.message));
  };
  const stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const end = () => {
    Atomics.store(stop, 0, 1);
    endReceiving(fd);
  };
  const start: UdpWorkerStart = { ...options, fd, hasAllAddresses, stop };
  signal.addEventListener("abort", end, { once: true });
  try {
    worker.postMessage(start);
    await promise;
  } finally {
    signal.removeEventListener("abort", end);
    worker.terminate();
    closeUdpSocket(fd);
  }
}

function checkBuffer(bufferBytes: number): void {
  if (Number.isInteger(bufferBytes) && bufferBytes >= 1 && bufferBytes <= LONGEST_DATAGRAM_BYTES) return;
  throw new UsageError(
    `cannot receive into a buffer as 'bufferBytes' must be from 1 to ${LONGEST_DATAGRAM_BYTES}: received ${bufferBytes}`,
  );
}
