/**
 * A client of a UDP echo server.
 *
 * @module
 */

import { ConnectionError, TimeoutError, UsageError } from "../errors.ts";
import { formatDuration } from "../time/duration.ts";
import { type Address, formatEndpoint } from "./address.ts";
import { type DatagramSocket, openDatagramSocket } from "./socket/datagram_socket.ts";
import { resolve } from "./resolve.ts";
import { transform, TRANSFORMS } from "./transform.ts";

/** What a datagram can carry over IPv4: 65,535 bytes less the headers of IP and UDP (RFC 768). */
export const LONGEST_PAYLOAD = 65_507;
/** What every host takes without fragments being put together (RFC 791: 576 bytes, less headers). */
export const SAFE_PAYLOAD = 512;

/** Options of {@link UdpClient.open}. */
export interface UdpClientOptions {
  /** How long to wait for a reply before the message is sent anew. Default 1 s. */
  timeoutMs?: number;
  /** How often a message without a reply is sent anew. Default 3. */
  retries?: number;
  /** Ends the wait early. */
  signal?: AbortSignal;
  /** Is told of datagrams that are no reply: where each is from, and why it is none. */
  ignored?: (from: string, why: "address" | "duplicate") => void;
}

/** A reply. */
export interface UdpReply {
  bytes: Uint8Array<ArrayBuffer>;
  /** How often the message was sent. */
  attempts: number;
  /** From when it was sent last to when the reply came. */
  rttMs: number;
}

/**
 * Sends messages and receives their replies, one after the other.
 *
 * A datagram from another address is no reply. Nor is one that is the same as the reply to a former message and could not be an echo of
 * this one: it is a duplicate that came late. Of the same message sent twice the replies cannot be told apart.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const server = Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" });
 * const { port } = server.addr as Deno.NetAddr;
 * const served = server.receive().then(([bytes, from]) => server.send(bytes, from));
 * {
 *   using client = await UdpClient.open({ hostname: "127.0.0.1", port }, { timeoutMs: 10_000 });
 *   const { bytes, attempts } = await client.ask(new TextEncoder().encode("hello"));
 *   assertEquals([new TextDecoder().decode(bytes), attempts], ["hello", 1]);
 * }
 * await served;
 * server.close();
 * ```
 */
export class UdpClient implements Disposable {
  readonly #socket: DatagramSocket;
  readonly #where: string;
  readonly #options: UdpClientOptions;
  readonly #replies: Uint8Array[] = [];

  private constructor(
    socket: DatagramSocket,
    { where, options }: { where: string; options: UdpClientOptions },
  ) {
    this.#socket = socket;
    this.#where = where;
    this.#options = options;
  }

  /**
   * Opens a socket.
   *
   * @param address Where the server is.
   * @param options How long to wait.
   * @throws {ConnectionError} If there is no such host.
   */
  static async open(address: Address, options: UdpClientOptions = {}): Promise<UdpClient> {
    const where = formatEndpoint(address);
    try {
      const hostname = await resolve(address.hostname);
      return new UdpClient(openDatagramSocket({ hostname, port: address.port }), { where, options });
    } catch (error) {
      throw error instanceof ConnectionError
        ? new ConnectionError(`cannot reach ${where}: ${error.message}`, { cause: error })
        : error;
    }
  }

  /**
   * Sends a message, anew if there is no reply, and waits for the reply.
   *
   * Cancel safety: a reply that comes after the wait was ended is taken for a late duplicate by the next call.
   *
   * @param message At most 65,507 bytes.
   * @throws {TimeoutError} If there is no reply, however often it is sent.
   * @throws {ConnectionError} If nobody listens there, or it cannot be reached.
   * @throws {UsageError} If the message is too long; nothing was sent.
   */
  async ask(message: Uint8Array): Promise<UdpReply> {
    checkPayload(message);
    const { timeoutMs = 1_000, retries = 3 } = this.#options;
    try {
      for (let attempts = 1; attempts <= retries + 1; attempts++) {
        const startMs = performance.now();
        await this.#socket.send(message);
        const bytes = await this.#receive(message, startMs + timeoutMs);
        if (bytes !== undefined) return { bytes, attempts, rttMs: performance.now() - startMs };
      }
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      throw new ConnectionError(`cannot reach ${this.#where}: ${error.message}`, { cause: error });
    }
    const times = retries === 0 ? "once" : `${retries + 1} times`;
    throw new TimeoutError(`no reply from ${this.#where}: sent ${times}, ${formatDuration(timeoutMs)} each`);
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  async #receive(message: Uint8Array, endMs: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { signal, ignored } = this.#options;
    for (;;) {
      const datagram = await this.#socket.receive(Math.max(0, endMs - performance.now()), signal);
      if (datagram === undefined) return undefined;
      const { bytes, from, isFromTarget } = datagram;
      if (!isFromTarget) ignored?.(from, "address");
      else if (!isEchoOf(message, bytes) && this.#replies.some((reply) => isSame(reply, bytes))) {
        ignored?.(from, "duplicate");
      } else {
        this.#remember(bytes);
        return bytes;
      }
    }
  }

  #remember(reply: Uint8Array): void {
    this.#replies.push(reply);
    if (this.#replies.length > 64) this.#replies.shift();
  }
}

/**
 * Checks that a datagram can carry a message.
 *
 * @throws {UsageError} If it is too long.
 */
export function checkPayload({ length }: Uint8Array): void {
  if (length <= LONGEST_PAYLOAD) return;
  throw new UsageError(
    `cannot send ${length} bytes as a datagram carries at most ${LONGEST_PAYLOAD}: send less`,
  );
}

function isEchoOf(message: Uint8Array, reply: Uint8Array): boolean {
  return TRANSFORMS.some((how) => isSame(transform(new Uint8Array(message), how), reply));
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
