/**
 * Measures an echo server, whoever wrote it: how many messages a second, how long a round trip takes, what is lost or wrong.
 *
 * On Linux a Worker of its own sends and receives over sockets of the C library. Elsewhere, and for TLS, the sockets of the runtime are
 * used, which are slower; what is counted is the same.
 *
 * @module
 */

import { ConnectionError, SystemError, UsageError } from "../errors.ts";
import { type Address, addressesOf, type Endpoint, formatEndpoint } from "./address.ts";
import type { BenchPlan } from "./bench/loop.ts";
import { runPortableBench } from "./bench/portable.ts";
import type { BenchInterval, BenchSummary } from "./bench/tally.ts";
import type { BenchNews, BenchStart } from "./bench/worker.ts";
import { resolve } from "./resolve.ts";
import type { SocketAddress } from "./socket/socket_address.ts";
import { haveSockets } from "./socket/sockets.ts";
import { connectStream, type TlsOptions } from "./tcp_client.ts";
import type { Transform } from "./transform.ts";
import { LONGEST_PAYLOAD } from "./udp_client.ts";

export type { BenchInterval, BenchSummary, Counts } from "./bench/tally.ts";
export { type Distribution, percentileMs } from "./bench/histogram.ts";

/** Options of {@link benchTcp} and {@link benchUdp}. */
export interface BenchOptions {
  /** How many connections, or sockets. Default 10. */
  connections?: number;
  /** Bytes of a message, 1 or more. Default 64. */
  sizeBytes?: number;
  /** How long to send. Default: 10 s, or until `count`. */
  durationMs?: number;
  /** How many messages to send. */
  count?: number;
  /** Send so many messages per second, whatever the server does; times then count from when a message was to be sent. */
  ratePerSecond?: number;
  /** What the server does to messages. Default `none`. */
  transform?: Transform;
  /** After how long a reply no longer counts. Default 10 s, for UDP 1 s. */
  timeoutMs?: number;
  /** How long to send before it is measured. Default 0. */
  warmupMs?: number;
  /** Ends the bench early; what was measured until then is returned. */
  signal?: AbortSignal;
  /** Is called every second, and at the end, with what happened since. */
  interval?: (interval: BenchInterval) => void;
}

/** Options of {@link benchUdp}. */
export interface UdpBenchOptions extends BenchOptions {
  /**
   * How many requests may be under way at a socket. With 1 no datagram can overtake another. Default: 8, or fewer if messages are so large
   * that a server's buffer, which is mostly 208 KiB, could not hold all that are under way.
   */
  window?: number;
}

/** Options of {@link benchTcp}. */
export interface TcpBenchOptions extends BenchOptions {
  /** Encrypt the connections. */
  tls?: TlsOptions;
}

const DEFAULT_DURATION_MS = 10_000;
const TCP_TIMEOUT_MS = 10_000;
const UDP_TIMEOUT_MS = 1_000;
const MOST_UNDER_WAY = 8;
/** What all requests under way may take of a server's buffer: the kernel counts about twice the bytes, and a KiB for each. */
const BUFFER_BYTES = 128 * 2 ** 10;
const OVERHEAD_BYTES = 2 ** 10;
const LONGEST_MESSAGE = 2 ** 26;

/**
 * Measures a TCP echo server, or one at a Unix socket. Each connection has one request under way. A connection that breaks is counted,
 * and made anew after a pause.
 *
 * Cancel safety: an abort ends it within 10 ms, and nothing stays open; requests that are under way then are not counted.
 *
 * @param endpoint Where the server is.
 * @param options How much, how long, how fast.
 * @throws {ConnectionError} If no connection can be made.
 * @throws {UsageError} If an option is out of range.
 * @throws {SystemError} If there are not enough files for all connections.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const { port } = listener.addr as Deno.NetAddr;
 * void (async () => {
 *   for await (const { readable, writable } of listener) void readable.pipeTo(writable).catch(() => {});
 * })();
 * const { messages, corrupt } = await benchTcp({ hostname: "127.0.0.1", port }, { connections: 2, count: 100 });
 * assertEquals([messages, corrupt], [100, 0]);
 * ```
 */
export async function benchTcp(endpoint: Endpoint, options: TcpBenchOptions = {}): Promise<BenchSummary> {
  const shape = planOf(options, { kind: "stream", timeoutMs: TCP_TIMEOUT_MS, longest: LONGEST_MESSAGE });
  const { tls } = options;
  return await reaching(endpoint, async () => {
    if (tls !== undefined || !haveSockets()) {
      const connect = () => connectStream(endpoint, { ...(tls && { tls }), timeoutMs: shape.timeoutMs });
      return await runPortableBench(shape, { ...options, connect });
    }
    if ("path" in endpoint) return await runInWorker({ ...shape, address: endpoint }, options);
    let failure: unknown;
    for (const hostname of addressesOf(endpoint.hostname)) {
      try {
        const address = { ip: await resolve(hostname), port: endpoint.port };
        return await runInWorker({ ...shape, address }, options);
      } catch (error) {
        if (!(error instanceof ConnectionError)) throw error;
        failure ??= error;
      }
    }
    throw failure;
  });
}

/**
 * Measures a UDP echo server. Several requests are under way at each socket, so that it shows whether datagrams overtake each other.
 *
 * Cancel safety: as {@link benchTcp}.
 *
 * @param address Where the server is.
 * @param options How much, how long, how fast.
 * @throws {ConnectionError} If nobody listens there.
 * @throws {UsageError} If an option is out of range.
 * @throws {SystemError} If there are not enough files for all sockets.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const server = Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" });
 * const { port } = server.addr as Deno.NetAddr;
 * const serving = (async () => {
 *   for await (const [bytes, from] of server) await server.send(bytes, from);
 * })();
 * const { messages, lost } = await benchUdp({ hostname: "127.0.0.1", port }, { connections: 2, count: 100 });
 * assertEquals([messages, lost], [100, 0]);
 * server.close();
 * await serving;
 * ```
 */
export async function benchUdp(address: Address, options: UdpBenchOptions = {}): Promise<BenchSummary> {
  const shape = planOf(options, { kind: "datagram", timeoutMs: UDP_TIMEOUT_MS, longest: LONGEST_PAYLOAD });
  return await reaching(address, async () => {
    const ip = await resolve(address.hostname);
    const target = { ip, port: address.port };
    if (haveSockets()) return await runInWorker({ ...shape, address: target }, options);
    return await runPortableBench(shape, { ...options, target });
  });
}

/** Says where nobody could be reached. */
async function reaching(endpoint: Endpoint, run: () => Promise<BenchSummary>): Promise<BenchSummary> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
    throw new ConnectionError(`cannot reach ${formatEndpoint(endpoint)}: ${error.message}`, { cause: error });
  }
}

/** What is to be measured, without where. */
function planOf(
  options: UdpBenchOptions,
  { kind, timeoutMs, longest }: { kind: BenchPlan["kind"]; timeoutMs: number; longest: number },
): Omit<BenchPlan, "address"> {
  const { connections = 10, sizeBytes = 64, count, transform = "none" } = options;
  const { window = defaultWindow(connections, sizeBytes) } = options;
  check("connections", connections, { from: 1, to: 1e5 });
  check("sizeBytes", sizeBytes, { from: 1, to: longest });
  check("window", window, { from: 1, to: 65_536 });
  return {
    ...{ kind, connections, sizeBytes, transform, window },
    count: count ?? Infinity,
    durationMs: options.durationMs ?? (count === undefined ? DEFAULT_DURATION_MS : Infinity),
    ratePerSecond: options.ratePerSecond,
    timeoutMs: options.timeoutMs ?? timeoutMs,
    warmupMs: options.warmupMs ?? 0,
  };
}

function defaultWindow(connections: number, sizeBytes: number): number {
  const fits = Math.floor(BUFFER_BYTES / (connections * (2 * sizeBytes + OVERHEAD_BYTES)));
  return Math.max(1, Math.min(fits, MOST_UNDER_WAY));
}

function check(name: string, value: number, { from, to }: { from: number; to: number }): void {
  if (Number.isInteger(value) && value >= from && value <= to) return;
  throw new UsageError(
    `cannot measure as '${name}' must be a whole number from ${from} to ${to}: received ${value}`,
  );
}

/** Runs a bench in a Worker, which is gone when the promise settles. */
async function runInWorker(
  plan: BenchPlan & { address: SocketAddress },
  { signal, interval }: BenchOptions,
): Promise<BenchSummary> {
  const worker = new Worker(import.meta.resolve("./bench/worker.ts"), { type: "module" });
  const stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const { promise, resolve, reject } = Promise.withResolvers<BenchSummary>();
  const abort = () => Atomics.store(stop, 0, 1);
  worker.onmessage = ({ data: news }: MessageEvent<BenchNews>) => {
    if ("interval" in news) interval?.(news.interval);
    else if ("summary" in news) resolve(news.summary);
    else reject(errorOf(news));
  };
  worker.onerror = (event) => {
    event.preventDefault();
    reject(new Error(`the Worker of the bench died: ${event.message}`));
  };
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  try {
    const start: BenchStart = { plan, stop };
    worker.postMessage(start);
    return await promise;
  } finally {
    signal?.removeEventListener("abort", abort);
    worker.terminate();
  }
}

function errorOf({ failure, message }: { failure: string; message: string }): Error {
  if (failure === "connection") return new ConnectionError(message);
  return failure === "system" ? new SystemError(message) : new Error(message);
}
