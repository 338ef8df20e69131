/**
 * Answers datagrams by `Deno.listenDatagram`: what serves wherever there is Deno.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { LONGEST_TIMEOUT_MS } from "../../time/clock.ts";
import { formatEndpoint } from "../address.ts";
import { COUNT, type Counts } from "./counts.ts";
import { type Datagrams, Replies, type ReplyOptions, type UdpNotice } from "./replies.ts";

/** More than any datagram has: what comes beyond the buffer must be seen to be counted. */
const LONGEST_BYTES = 65_536;
/** A socket that brought nothing for so long has brought all that had come. */
const QUIET_MS = 20;
/** How long what has come is answered at the end, if it does not cease to come. */
const LAST_RECEIVE_MS = 1_000;
/** After so many failures in a row there is no hope. */
const MOST_FAILURES = 100;

/** What is kept of a datagram to reply later. */
interface Kept {
  bytes: Uint8Array<ArrayBuffer>;
  to: Deno.Addr;
}

/** How to serve. */
export interface ServeSettings extends ReplyOptions {
  counts: Counts;
  /** Called when a datagram is the first to be cut, or ignored. */
  notice: (notice: UdpNotice) => void;
  /** Ends it. */
  signal: AbortSignal;
  /** Ends it at once; the other signal is aborted then, too. */
  killSignal: AbortSignal;
  /** How long replies that are held back may take at the end. */
  drainMs: number;
}

/**
 * Answers what comes to a socket until the signal is aborted, and then what has come by then. The socket is closed when it returns.
 *
 * @throws {Error} If the socket cannot be used any more.
 */
export async function serveDatagrams(
  socket: Deno.DatagramConn,
  { signal, killSignal, drainMs, ...options }: ServeSettings,
): Promise<void> {
  const server = new DatagramServer(socket, options);
  const received = server.receiveAll();
  try {
    await Promise.race([received, untilQuiet(server, { signal, killSignal })]);
    await server.drain(drainMs, killSignal);
  } finally {
    server.close();
    await received.catch(() => {});
  }
}

/** Resolves when the signal is aborted and all that had come is answered. */
async function untilQuiet(
  server: DatagramServer,
  { signal, killSignal }: { signal: AbortSignal; killSignal: AbortSignal },
): Promise<void> {
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }
  const lastMs = performance.now() + LAST_RECEIVE_MS;
  for (let before = -1; before !== server.taken && performance.now() < lastMs && !killSignal.aborted;) {
    before = server.taken;
    await delay(QUIET_MS);
  }
}

/** Waits for so long, or not, if it is killed. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return delay(Math.min(ms, LONGEST_TIMEOUT_MS), { signal }).catch(() => {});
}

/** The datagrams of a socket, one at a time in slot 0, and their replies. */
class DatagramServer implements Datagrams<Kept> {
  readonly #socket: Deno.DatagramConn;
  readonly #counts: Counts;
  readonly #bufferBytes: number;
  readonly #replies: Replies<Kept>;
  #received: Kept = { bytes: new Uint8Array(), to: { transport: "udp", hostname: "", port: 0 } };
  /** Replies that were not given to the system yet, in their order. */
  #waiting: Kept[] = [];
  #flushing: Promise<void> | undefined;
  #release: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;
  /** How many datagrams were taken. */
  taken = 0;

  constructor(
    socket: Deno.DatagramConn,
    options: Omit<ServeSettings, "signal" | "killSignal" | "drainMs">,
  ) {
    this.#socket = socket;
    this.#counts = options.counts;
    this.#bufferBytes = options.bufferBytes;
    this.#replies = new Replies(this, options);
  }

  /** Answers all that comes until the socket is closed, or {@link drain} begins. */
  async receiveAll(): Promise<void> {
    const buffer = new Uint8Array(LONGEST_BYTES);
    for (let failures = 0; !this.#isOver;) {
      try {
        const [bytes, to] = await this.#socket.receive(buffer);
        if (this.#isOver) return;
        this.#received = { bytes: bytes as Uint8Array<ArrayBuffer>, to };
        failures = 0;
      } catch (error) {
        if (this.#isOver) return;
        // Some systems tell here that an earlier reply did not arrive.
        this.#counts[COUNT.errors]! += 1;
        if (++failures === MOST_FAILURES) throw error;
        continue;
      }
      this.taken += 1;
      this.#replies.take(0, performance.now());
      await this.#flush();
      this.#arm();
    }
  }

  /** Receives no more, and sends what is held back when it is due, or at the limit; unless it is killed. */
  async drain(limitMs: number, killSignal: AbortSignal): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#release);
    const endMs = performance.now() + limitMs;
    const { nextDueMs } = this.#replies;
    for (let dueMs = nextDueMs; dueMs < Infinity && !killSignal.aborted; dueMs = this.#replies.nextDueMs) {
      const nowMs = performance.now();
      if (nowMs >= endMs) this.#replies.releaseAll();
      else if (dueMs <= nowMs) this.#replies.release(nowMs);
      else await pause(Math.min(dueMs, endMs) - nowMs, killSignal);
      await this.#flush();
    }
    await this.#flush();
  }

  close(): void {
    this.#isOver = true;
    clearTimeout(this.#release);
    this.#socket.close();
  }

  sizeBytes(): number {
    return this.#received.bytes.length;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#received.bytes.subarray(0, this.#bufferBytes);
  }

  port(): number {
    return (this.#received.to as Deno.NetAddr).port;
  }

  sender(): string {
    return formatEndpoint(this.#received.to as Deno.NetAddr);
  }

  reply(): void {
    this.#waiting.push({ bytes: this.bytes(), to: this.#received.to });
  }

  keep(): Kept {
    return { bytes: this.bytes().slice(), to: this.#received.to };
  }

  replyKept(kept: Kept): void {
    this.#waiting.push(kept);
  }

  /** Sends the replies that wait. */
  #flush(): Promise<void> {
    this.#flushing ??= this.#sendWaiting().finally(() => this.#flushing = undefined);
    return this.#flushing;
  }

  async #sendWaiting(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      try {
        await this.#socket.send(next.bytes, next.to);
        this.#counts[COUNT.datagramsOut]! += 1;
        this.#counts[COUNT.bytesOut]! += next.bytes.length;
      } catch {
        // It is too long, its host is out of reach, a firewall forbids it.
        this.#counts[COUNT.errors]! += 1;
      }
    }
  }

  /** Wakes when a reply that is held back is due. */
  #arm(): void {
    clearTimeout(this.#release);
    const { nextDueMs } = this.#replies;
    if (nextDueMs === Infinity || this.#isOver) return;
    this.#release = setTimeout(async () => {
      this.#replies.release(performance.now());
      await this.#flush();
      this.#arm();
    }, Math.min(Math.max(0, nextDueMs - performance.now()), LONGEST_TIMEOUT_MS));
  }
}
