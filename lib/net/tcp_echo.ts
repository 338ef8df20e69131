/**
 * A TCP echo server (RFC 862).
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import type { Endpoint } from "./address.ts";
import { type CountersMemory, TcpEchoCounters, type TcpEchoStatistics } from "./tcp_echo/counters.ts";
import {
  accepting,
  type EchoSockets,
  endpointOf,
  fileAt,
  listen,
  type TlsIdentity,
} from "./tcp_echo/listener.ts";
import { EchoLoop, type EchoLoopSettings } from "./tcp_echo/loop.ts";
import { serveFromThreads } from "./tcp_echo/threads.ts";

export type { TcpEchoStatistics, TlsIdentity };

/** Each thread takes tens of MiB: a slip of the finger is not to take all memory. */
export const MOST_THREADS = 256;

/** Options of {@link serveTcpEcho}. */
export interface TcpEchoOptions extends Partial<EchoLoopSettings> {
  /** Ends the server in order: it accepts no more, and what is open has `drainMs` to finish. */
  signal: AbortSignal;
  /** Ends the server at once. Default: never. */
  killSignal?: AbortSignal;
  /** How many Workers serve, up to {@link MOST_THREADS}. Default 1: none, this event loop serves. */
  threads?: number;
  /** How many connections are open at most; whoever comes then waits in the backlog of the system. Default 1,024. */
  maximumConnections?: number;
  /** Speaks TLS. Default: it does not. */
  tls?: TlsIdentity | undefined;
  /** Whose sockets serve. Default `fastest`: those of the C library on Linux, unless it is TLS or a Unix socket, else the runtime's. */
  sockets?: EchoSockets;
  /** Called with news for people, each piece once: what it cannot do at the moment. Default: nobody hears of it. */
  notice?: (text: string) => void;
}

/** A TCP echo server that listens. */
export interface TcpEchoServer {
  /** Where it listens. */
  readonly endpoint: Endpoint;
  /** Resolves once it has ended, and its sockets are closed. Rejects with a {@link WorkerDiedError} if a thread died. */
  readonly ended: Promise<void>;
  /** What it has done so far. */
  statistics(): TcpEchoStatistics;
}

/** How it serves unless it is told otherwise. */
const DEFAULTS: EchoLoopSettings = {
  transform: "none",
  line: false,
  delayMs: 0,
  bytesPerSecond: Infinity,
  idleTimeoutMs: 300_000,
  noDelay: true,
  drainMs: 5_000,
};

/**
 * Serves an echo: what a client sends comes back, all clients at once. A client that does not read is not read from; one that half-closes
 * gets the rest of its echo; what a client had sent when the server was told to end is sent back to it.
 *
 * Cancel safety: `signal` ends it, as said there. To abort it before this resolves is the same.
 *
 * @param endpoint Where: a host and a port, 0 for one that is free, or the path of a Unix socket, which is removed at the end.
 * @param options How to serve: `transform` (default `none`; `reverse` implies `line`), `line` (false; a line is echoed when it is
 * complete, and may have 1 MiB), `delayMs` (0) and `bytesPerSecond` (Infinity) of each connection, `idleTimeoutMs` (5 minutes), `noDelay`
 * (true), `drainMs` (5 seconds), and the rest of {@link TcpEchoOptions}.
 * @throws {SystemError} If it cannot listen there.
 * @throws {UsageError} If a Unix socket is to have threads or TLS, or the certificate or its key cannot be used.
 * @throws {RangeError} If a number is out of its range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import type { Address } from "./address.ts";
 *
 * const ending = new AbortController();
 * const server = await serveTcpEcho({ hostname: "127.0.0.1", port: 0 }, { signal: ending.signal, transform: "upper" });
 * const connection = await Deno.connect(server.endpoint as Address);
 * await connection.write(new TextEncoder().encode("hello"));
 * await connection.closeWrite();
 * assertEquals(await new Response(connection.readable).text(), "HELLO");
 * ending.abort();
 * await server.ended;
 * assertEquals(server.statistics().bytesOut, 5);
 * ```
 */
export async function serveTcpEcho(endpoint: Endpoint, options: TcpEchoOptions): Promise<TcpEchoServer> {
  const { signal, killSignal = new AbortController().signal, notice = () => {}, tls } = options;
  const { threads = 1, maximumConnections: maximum = 1_024, sockets = "fastest" } = options;
  const settings = settingsOf(options);
  check({ threads, maximumConnections: maximum, ...settings });
  const memory = TcpEchoCounters.memory(threads);
  const signals = { signal, killSignal };
  if ("path" in endpoint) {
    if (threads > 1) {
      throw new UsageError("cannot serve a Unix socket from several threads: leave out the threads");
    }
    if (tls !== undefined) {
      throw new UsageError("cannot speak TLS at a Unix socket: leave out the certificate");
    }
  } else if (threads > 1) {
    const shared = { tls, sockets, settings, memory, maximum, threads, notice };
    return serverOf(memory, await serveFromThreads(endpoint, { ...shared, ...signals }));
  }
  const listener = await listen(endpoint, { tls });
  const counters = new TcpEchoCounters(memory, { thread: 0, maximum });
  const place = endpointOf(listener);
  const loop = new EchoLoop(accepting(listener, { tls, sockets }), { settings, counters, notice });
  const removeSocket = "path" in endpoint ? socketRemover(endpoint.path) : () => {};
  const ended = loop.run(signals).finally(removeSocket);
  ended.catch(() => {});
  return serverOf(memory, { endpoint: place, ended });
}

function serverOf(
  memory: CountersMemory,
  { endpoint, ended }: Pick<TcpEchoServer, "endpoint" | "ended">,
): TcpEchoServer {
  const reader = new TcpEchoCounters(memory, { thread: 0, maximum: 0 });
  return { endpoint, ended, statistics: () => reader.statistics() };
}

/** Removes a socket that we made, unless another server has made its own there. */
function socketRemover(path: string): () => void {
  const ours = fileAt(path);
  return () => {
    if (ours !== undefined && fileAt(path) === ours) Deno.removeSync(path);
  };
}

function settingsOf(options: Partial<EchoLoopSettings>): EchoLoopSettings {
  const {
    transform = DEFAULTS.transform,
    line = DEFAULTS.line,
    delayMs = DEFAULTS.delayMs,
    bytesPerSecond = DEFAULTS.bytesPerSecond,
    idleTimeoutMs = DEFAULTS.idleTimeoutMs,
    noDelay = DEFAULTS.noDelay,
    drainMs = DEFAULTS.drainMs,
  } = options;
  return { transform, line, delayMs, bytesPerSecond, idleTimeoutMs, noDelay, drainMs };
}

function check(
  { threads, maximumConnections, delayMs, bytesPerSecond, idleTimeoutMs, drainMs }: EchoLoopSettings & {
    threads: number;
    maximumConnections: number;
  },
): void {
  if (!(Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS)) {
    const range = `a whole number from 1 to ${MOST_THREADS}`;
    throw new RangeError(`cannot serve as 'threads' must be ${range}: received ${threads}`);
  }
  if (!(Number.isSafeInteger(maximumConnections) && maximumConnections >= 1)) {
    const received = `received ${maximumConnections}`;
    throw new RangeError(`cannot serve as 'maximumConnections' must be a whole number from 1: ${received}`);
  }
  for (const [name, value] of Object.entries({ bytesPerSecond, idleTimeoutMs })) {
    if (value > 0) continue;
    throw new RangeError(`cannot serve as '${name}' must be more than 0: received ${value}`);
  }
  for (const [name, value] of Object.entries({ delayMs, drainMs })) {
    if (value >= 0) continue;
    throw new RangeError(`cannot serve as '${name}' must be 0 or more: received ${value}`);
  }
}
