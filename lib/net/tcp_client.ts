/**
 * A client of a TCP echo server, or one at a Unix socket.
 *
 * @module
 */

import { concatBytes } from "../bytes.ts";
import { ConcError, ConnectionError, TimeoutError } from "../errors.ts";
import { deadline } from "../time/deadline.ts";
import { formatDuration } from "../time/duration.ts";
import { addressesOf, type Endpoint, formatEndpoint } from "./address.ts";
import { problem } from "./problem.ts";

/** Whom to trust when a connection is encrypted. */
export interface TlsOptions {
  /** Certificates in PEM that are trusted besides those of the system. */
  caCerts?: string[];
}

/** Options of {@link connectStream} and {@link TcpClient.connect}. */
export interface ConnectOptions {
  /** Encrypt the connection. */
  tls?: TlsOptions;
  /** How long to connect, and to wait for each reply. Default Infinity. */
  timeoutMs?: number;
  /** Ends the wait early. */
  signal?: AbortSignal;
}

const BUFFER_BYTES = 64 * 2 ** 10;

/**
 * Connects. `localhost` is both 127.0.0.1 and ::1.
 *
 * Cancel safety: a connection that is made too late is closed.
 *
 * @param endpoint Where.
 * @param options TLS, and how long it may take.
 * @throws {ConnectionError} If it cannot; the message is in few words, and does not say where.
 * @throws {TimeoutError} If it took too long.
 */
export async function connectStream(
  endpoint: Endpoint,
  { tls, timeoutMs = Infinity, signal }: ConnectOptions = {},
): Promise<Deno.Conn> {
  const attempts: (() => Promise<Deno.Conn>)[] = "path" in endpoint
    ? [() => Deno.connect({ transport: "unix", path: endpoint.path })]
    : addressesOf(endpoint.hostname).map((hostname) => async () => {
      const { port } = endpoint;
      if (tls !== undefined) return await handshake({ hostname, port, ...tls });
      const connection = await Deno.connect({ hostname, port });
      connection.setNoDelay();
      return connection;
    });
  let failure: unknown;
  for (const attempt of attempts) {
    try {
      return await inTime(attempt, { timeoutMs, signal });
    } catch (error) {
      if (error instanceof ConcError || signal?.aborted) throw error;
      failure ??= error;
    }
  }
  throw new ConnectionError(handshakeProblem(failure) ?? problem(failure), { cause: failure });
}

/** What openssl makes unless it is told otherwise is refused even if it is trusted. */
function handshakeProblem(error: unknown): string | undefined {
  if (!/CaUsedAsEndEntity/.test(String(error))) return undefined;
  return "the certificate is one of an authority (CA:TRUE): a server needs one with CA:FALSE";
}

/**
 * Sends messages and receives their replies, one after the other. A stream has no ends of messages: a reply is as many bytes as were sent.
 * Echo servers that change letters keep to that, too.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const { port } = listener.addr as Deno.NetAddr;
 * const served = listener.accept().then(({ readable, writable }) => readable.pipeTo(writable));
 * {
 *   using client = await TcpClient.connect({ hostname: "127.0.0.1", port }, { timeoutMs: 10_000 });
 *   const reply = await client.ask(new TextEncoder().encode("hello\n"));
 *   assertEquals(new TextDecoder().decode(reply), "hello\n");
 * }
 * await served;
 * ```
 */
export class TcpClient implements Disposable {
  readonly #connection: Deno.Conn;
  readonly #options: ConnectOptions;
  readonly #where: string;
  #isClosed = false;

  private constructor(connection: Deno.Conn, { where, options }: { where: string; options: ConnectOptions }) {
    this.#connection = connection;
    this.#where = where;
    this.#options = options;
  }

  /**
   * Connects, as {@link connectStream} does.
   *
   * @throws {ConnectionError} If it cannot.
   * @throws {TimeoutError} If it took too long.
   */
  static async connect(endpoint: Endpoint, options: ConnectOptions = {}): Promise<TcpClient> {
    const where = formatEndpoint(endpoint);
    try {
      return new TcpClient(await connectStream(endpoint, options), { where, options });
    } catch (error) {
      if (error instanceof ConnectionError) {
        throw new ConnectionError(`cannot connect to ${where}: ${error.message}`, { cause: error });
      }
      if (error instanceof TimeoutError && !options.signal?.aborted) {
        throw new TimeoutError(
          `cannot connect to ${where}: timed out after ${formatDuration(options.timeoutMs!)}`,
        );
      }
      throw error;
    }
  }

  /**
   * Sends a message and waits for its reply.
   *
   * Cancel safety: the connection is closed, as a reply that still came would be taken for the next one.
   *
   * @param message Any bytes.
   * @returns As many bytes as were sent.
   * @throws {TimeoutError} If they did not come in time; the message says how many did.
   * @throws {ConnectionError} If the other side hung up.
   */
  async ask(message: Uint8Array): Promise<Uint8Array> {
    const { timeoutMs = Infinity, signal } = this.#options;
    const parts: Uint8Array[] = [];
    let received = 0;
    const receive = async () => {
      const buffer = new Uint8Array(Math.min(message.length, BUFFER_BYTES));
      while (received < message.length) {
        const count = await this.#connection.read(buffer.subarray(0, message.length - received));
        if (count === null) throw new ConnectionError(`it hung up after ${progress(received, message)}`);
        parts.push(buffer.slice(0, count));
        received += count;
      }
      return concatBytes(parts);
    };
    const sent = this.#send(message);
    sent.catch(() => {});
    try {
      return await deadline(
        async () => (await Promise.all([receive(), sent]))[0],
        timeoutMs,
        signal && { signal },
      );
    } catch (error) {
      this[Symbol.dispose]();
      signal?.throwIfAborted();
      if (error instanceof TimeoutError) {
        const waited = formatDuration(timeoutMs);
        throw new TimeoutError(
          `no reply from ${this.#where} in ${waited}: received ${progress(received, message)}`,
        );
      }
      const said = error instanceof ConnectionError ? error.message : problem(error);
      throw new ConnectionError(`${this.#where}: ${said}`, { cause: error });
    }
  }

  /** Hangs up. */
  [Symbol.dispose](): void {
    if (!this.#isClosed) this.#connection.close();
    this.#isClosed = true;
  }

  async #send(message: Uint8Array): Promise<void> {
    for (let at = 0; at < message.length;) at += await this.#connection.write(message.subarray(at));
  }
}

function progress(received: number, { length }: Uint8Array): string {
  return `${received} of ${length} bytes`;
}

async function handshake(options: Deno.ConnectTlsOptions): Promise<Deno.Conn> {
  const connection = await Deno.connectTls(options);
  try {
    await connection.handshake();
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** As {@link deadline}, and what comes too late is closed. */
async function inTime(
  connect: () => Promise<Deno.Conn>,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal | undefined },
): Promise<Deno.Conn> {
  const connected = connect();
  connected.catch(() => {});
  try {
    return await deadline(() => connected, timeoutMs, signal && { signal });
  } catch (error) {
    void connected.then((connection) => connection.close(), () => {});
    throw error;
  }
}
