/**
 * A UDP echo server (RFC 862): what it receives it sends back, as it is or transformed; on request as a bad network would.
 *
 * On Linux a Worker waits in the C library for many datagrams at once; elsewhere `Deno.listenDatagram` brings them. Both do the same.
 *
 * @module
 */

import { EitherSignal } from "../abort.ts";
import { reason, WorkerDiedError } from "../errors.ts";
import { type Address, formatEndpoint } from "./address.ts";
import { type FaultOptions, Faults } from "./udp_echo/faults.ts";
import { listenError } from "./socket/listen_error.ts";
import type { Transform } from "./transform.ts";
import { makeCounts, readCounts, type UdpEchoStatistics } from "./udp_echo/counts.ts";
import { serveDatagrams, type ServeSettings } from "./udp_echo/datagrams.ts";
import { type BoundSocket, closeUdpSocket, endReceiving, openUdpSocket } from "./socket/udp.ts";
import type { UdpNotice } from "./udp_echo/replies.ts";
import { STOP, type UdpWorkerMessage, type UdpWorkerStart } from "./udp_echo/worker_start.ts";

export type { UdpEchoStatistics } from "./udp_echo/counts.ts";
export type { UdpNotice } from "./udp_echo/replies.ts";

/** The longest that a datagram can be: the length in its header has 16 bits (RFC 768). */
export const LONGEST_DATAGRAM_BYTES = 65_535;
const DRAIN_MS = 5_000;
const NEVER = new AbortController().signal;

/** What datagrams come by: `libc`, the C library in a Worker, or `deno`, which is `Deno.listenDatagram`. */
export type UdpBackend = "libc" | "deno";

/** Options of {@link serveUdpEcho}. */
export interface UdpEchoOptions {
  /** Ends the server: it answers what has come, and what it holds back when that is due. Default: never. */
  signal?: AbortSignal | undefined;
  /** Ends the server at once: what it holds back is lost. Default: never. */
  killSignal?: AbortSignal | undefined;
  /** What is done to the bytes. Default `none`. */
  transform?: Transform | undefined;
  /** How much is received of a datagram, from 1 to 65535 bytes: what it holds beyond is lost, and counted. Default 65535. */
  bufferBytes?: number | undefined;
  /** What goes wrong on purpose. Default: nothing. */
  faults?: FaultOptions | undefined;
  /** How long replies that are held back may take after the end; then they are sent at once. Default 5 seconds. */
  drainMs?: number | undefined;
  /** Called when a datagram is the first to be cut, or to be ignored. Default: nobody hears of it. */
  notice?: ((notice: UdpNotice) => void) | undefined;
  /** What datagrams come by. Default `libc`, which gives way to `deno` where it is not possible. */
  backend?: UdpBackend | undefined;
}

/** A UDP echo server that listens. */
export interface UdpEchoServer {
  /** Where it listens. */
  readonly endpoint: Address;
  /** What its datagrams come by. */
  readonly backend: UdpBackend;
  /** Resolves once it has ended, and its port is free. Rejects with a {@link WorkerDiedError} if it cannot go on. */
  readonly ended: Promise<void>;
  /** What it has counted so far. */
  statistics(): UdpEchoStatistics;
}

/**
 * Serves an echo: it answers each datagram with what it holds, all clients at once. What comes after this resolves is answered.
 *
 * A datagram from port 7, 17 or 19, or from a port of the same number as its own, is not answered: two services that answer each other would
 * never end. With all addresses of the machine (`0.0.0.0`, `::`) a reply comes from the address that was asked; by `deno` it comes from the
 * one that the system chooses, which a machine with several may get wrong.
 *
 * Invariant: every datagram that it received before `signal` is answered, unless it is ignored, or lost on purpose.
 *
 * Cancel safety: `signal` ends it, as said there.
 *
 * @param address Where: a name or an address of this machine; port 0 is one that is free.
 * @param options How to serve.
 * @throws {SystemError} If it cannot listen there.
 * @throws {UsageError} If a fault is to happen less often than never, or more often than always.
 * @throws {RangeError} If a number is out of its range.
 * @throws The reason of a signal, if it is aborted.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const ending = new AbortController();
 * const here = { hostname: "127.0.0.1", port: 0 };
 * const server = await serveUdpEcho(here, { signal: ending.signal, transform: "upper" });
 * const client = Deno.listenDatagram({ transport: "udp", ...here });
 * await client.send(new TextEncoder().encode("hello"), { transport: "udp", ...server.endpoint });
 * const [reply] = await client.receive();
 * assertEquals(new TextDecoder().decode(reply), "HELLO");
 * client.close();
 * ending.abort();
 * await server.ended;
 * assertEquals(server.statistics().bytesOut, 5);
 * ```
 */
export function serveUdpEcho(address: Address, options: UdpEchoOptions = {}): Promise<UdpEchoServer> {
  return Promise.try(() => serve(address, options));
}

function serve(address: Address, options: UdpEchoOptions): UdpEchoServer {
  const { signal = NEVER, killSignal = NEVER, backend = "libc", drainMs = DRAIN_MS } = options;
  const { transform = "none", bufferBytes = LONGEST_DATAGRAM_BYTES, faults, notice = () => {} } = options;
  signal.throwIfAborted();
  killSignal.throwIfAborted();
  check({ bufferBytes, drainMs });
  // What makes no sense is to be known before anything listens.
  if (faults !== undefined) new Faults(faults);
  const opened = open(address, backend);
  const counts = makeCounts();
  // To end it at once is to end it.
  const either = new EitherSignal(signal, killSignal);
  const settings: ServeSettings = {
    ...{ port: opened.endpoint.port, transform, bufferBytes, faults, drainMs, counts, notice },
    ...{ signal: either.signal, killSignal },
  };
  const served = "fd" in opened ? serveInWorker(opened, settings) : serveDatagrams(opened.socket, settings);
  const ended = served.catch((error) => {
    const where = formatEndpoint(opened.endpoint);
    throw new WorkerDiedError(`the echo server at ${where} cannot go on: ${reason(error)}`, { cause: error });
  }).finally(() => either[Symbol.dispose]());
  // Whoever waits for it is told.
  ended.catch(() => {});
  return {
    endpoint: opened.endpoint,
    backend: "fd" in opened ? "libc" : "deno",
    ended,
    statistics: () => readCounts(counts),
  };
}

/** A socket that listens. */
type Opened = { endpoint: Address } & (BoundSocket | { socket: Deno.DatagramConn });

/** @throws {SystemError} If it cannot listen there. */
function open({ hostname, port }: Address, backend: UdpBackend): Opened {
  try {
    if (backend === "libc") {
      const numeric = /:|^[\d.]+$/.test(hostname) ? hostname : lookUp(hostname);
      const bound = openUdpSocket({ hostname: numeric, port });
      if (bound !== undefined) return { ...bound, endpoint: { hostname: numeric, port: bound.port } };
    }
    // If the one could not be opened, the other says why.
    const socket = Deno.listenDatagram({ transport: "udp", hostname, port });
    const { hostname: numeric, port: given } = socket.addr as Deno.NetAddr;
    return { socket, endpoint: { hostname: numeric, port: given } };
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
  { signal, killSignal, notice, ...options }: ServeSettings,
): Promise<void> {
  const worker = new Worker(import.meta.resolve("./udp_echo/worker.ts"), { type: "module" });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  worker.onmessage = ({ data }: MessageEvent<UdpWorkerMessage>) => {
    if (data.type === "notice") notice(data.notice);
    else if (data.type === "failed") reject(new Error(data.problem));
    else resolve();
  };
  worker.onerror = (event) => {
    event.preventDefault();
    reject(new Error(event.message));
  };
  const stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const end = () => {
    Atomics.store(stop, 0, killSignal.aborted ? STOP.now : STOP.drained);
    Atomics.notify(stop, 0);
    endReceiving(fd);
  };
  const start: UdpWorkerStart = { ...options, fd, hasAllAddresses, stop };
  signal.addEventListener("abort", end, { once: true });
  killSignal.addEventListener("abort", end, { once: true });
  try {
    worker.postMessage(start);
    await promise;
  } finally {
    signal.removeEventListener("abort", end);
    killSignal.removeEventListener("abort", end);
    worker.terminate();
    closeUdpSocket(fd);
  }
}

/** @throws {RangeError} If a number is out of its range. */
function check({ bufferBytes, drainMs }: { bufferBytes: number; drainMs: number }): void {
  if (!(Number.isInteger(bufferBytes) && bufferBytes >= 1 && bufferBytes <= LONGEST_DATAGRAM_BYTES)) {
    const range = `from 1 to ${LONGEST_DATAGRAM_BYTES}`;
    throw new RangeError(`cannot serve as 'bufferBytes' must be ${range}: received ${bufferBytes}`);
  }
  if (!(drainMs >= 0)) {
    throw new RangeError(`cannot serve as 'drainMs' must be 0 or more: received ${drainMs}`);
  }
}
