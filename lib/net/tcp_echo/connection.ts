/**
 * One connection of a TCP echo server.
 *
 * @module
 */

import type { Receiver, Sender } from "../socket/tcp.ts";
import { PacedWriter } from "./paced_writer.ts";
import type { TcpEchoCounters } from "./counters.ts";
import type { EchoSocket } from "./listener.ts";
import { type Transform, transform } from "../transform.ts";

/** How a connection is served. */
export interface EchoService {
  transform: Transform;
  /** Whether a line is echoed when it is complete, and not what came of it before. */
  line: boolean;
  /** Milliseconds from the receipt of bytes to their echo. */
  delayMs: number;
  /** How many bytes a second each connection sends at most; Infinity for no limit. */
  bytesPerSecond: number;
}

/** The longest line that is kept, in bytes with its line feed. */
export const LONGEST_LINE_BYTES = 2 ** 20;

/** With what a connection begins: ten thousand that are silent are not to cost much. */
const SMALLEST_BUFFER_BYTES = 512;
/** What a connection gets that sends much: more makes it no faster. */
const LARGEST_BUFFER_BYTES = 64 * 2 ** 10;
const GROWTH = 4;
const LINE_FEED = 0x0a;

/**
 * A connection and its one buffer: what was received stands in it until it was sent back, and nothing is received meanwhile, so a client
 * that reads nothing costs no more than that. Invariants: bytes go back in their order; `closed` is called once, and then the connection
 * is closed.
 *
 * The loop is made of callbacks: each promise between the reads and writes would cost a tenth of the speed.
 */
export class EchoConnection {
  readonly #connection: EchoSocket;
  readonly #service: EchoService;
  readonly #counters: TcpEchoCounters;
  readonly #closed: (connection: EchoConnection, problem?: unknown) => void;
  readonly #paced: PacedWriter | undefined;
  readonly #isLine: boolean;
  #buffer = new Uint8Array(SMALLEST_BUFFER_BYTES);
  /** How much of the buffer was received; how much of that can be sent back; how much of that was sent. */
  #filled = 0;
  #ready = 0;
  #sent = 0;
  /** Whether the last read filled the buffer. */
  #wasFull = false;
  /** Whether the client sends no more. */
  #isHalfClosed = false;
  #isReading = false;
  #isFinishing = false;
  #isLast = false;
  #isClosed = false;
  /** Whether something came or went since this was last set to false. */
  isActive = true;
  /** Whether all was sent back, and the end was said. */
  isSaid = false;
  /** For how long nothing came or went, as whoever looks now and then adds it up. */
  quietMs = 0;

  /**
   * @param connection An accepted connection, which then belongs to this.
   * @param options How to serve it, where to count, and what to call when it is closed, with what broke it if anything did.
   */
  constructor(
    connection: EchoSocket,
    { service, counters, closed }: {
      service: EchoService;
      counters: TcpEchoCounters;
      closed: (connection: EchoConnection, problem?: unknown) => void;
    },
  ) {
    this.#connection = connection;
    this.#service = service;
    this.#counters = counters;
    this.#closed = closed;
    this.#isLine = service.line || service.transform === "reverse";
    const { delayMs, bytesPerSecond } = service;
    if (delayMs > 0 || bytesPerSecond < Infinity) {
      const writer = { write: (bytes: Uint8Array<ArrayBuffer>) => this.#writeCounted(bytes) };
      this.#paced = new PacedWriter(writer, { delayMs, bytesPerSecond });
    }
  }

  /** Begins to serve it. */
  start(): void {
    this.#read();
  }

  /** Whether all that has come was sent back, as far as we know. */
  get isDone(): boolean {
    return this.#isReading && (this.#paced === undefined || this.#paced.isEmpty);
  }

  /**
   * Sends back what came of a line, ends the connection towards the client, and takes what still comes without an answer until the client ends it, too: to close it with
   * something unread would make the system drop what the client has not yet received (RFC 1122, 4.2.2.13). Only for one that is done.
   */
  finish(): void {
    if (this.#isClosed || this.#isFinishing) return;
    this.#isFinishing = true;
    void this.#sayGoodbye();
  }

  /** Reads no more from a client that never pauses: it is finished when what was received has gone back. */
  finishSoon(): void {
    if (this.isDone) this.finish();
    else this.#isLast = true;
  }

  /** Closes the connection at once, whatever is not sent back. */
  cut(problem?: unknown): void {
    this.#close(problem);
  }

  #read(): void {
    this.#isReading = true;
    const rest = this.#filled === 0 ? this.#buffer : this.#buffer.subarray(this.#filled);
    this.#connection.read(rest, this.#receiver);
  }

  readonly #receive = (count: number | null): void => {
    if (this.#isClosed) return;
    if (this.#isFinishing) return count === null ? this.#close() : this.#read();
    this.#isReading = false;
    this.isActive = true;
    if (count === null) {
      this.#isHalfClosed = true;
      this.#ready = this.#filled;
      return this.#ready === 0 ? void this.#end() : this.#send();
    }
    this.#counters.received(count);
    const before = this.#filled;
    this.#filled += count;
    this.#wasFull = this.#filled === this.#buffer.length;
    this.#ready = this.#isLine
      ? before + this.#buffer.subarray(before, this.#filled).lastIndexOf(LINE_FEED) + 1
      : this.#filled;
    if (this.#ready > before) return this.#send();
    this.#ready = 0;
    if (this.#filled >= LONGEST_LINE_BYTES) {
      return this.#close(new Error(`a line was longer than ${LONGEST_LINE_BYTES} bytes`));
    }
    this.#grow();
    this.#read();
  };

  #send(): void {
    this.#sent = 0;
    if (this.#service.transform !== "none") {
      transform(this.#buffer.subarray(0, this.#ready), this.#service.transform);
    }
    this.#write();
  }

  #write(): void {
    const bytes = this.#buffer.subarray(this.#sent, this.#ready);
    if (this.#paced === undefined) this.#connection.write(bytes, this.#sender);
    else this.#paced.write(bytes).then(this.#written, this.#break);
  }

  readonly #written = (count: number): void => {
    if (this.#isClosed) return;
    this.isActive = true;
    if (this.#paced === undefined) this.#counters.sent(count);
    this.#sent += count;
    if (this.#sent < this.#ready) return this.#write();
    // The beginning of the next line stays.
    if (this.#ready < this.#filled) this.#buffer.copyWithin(0, this.#ready, this.#filled);
    this.#filled -= this.#ready;
    if (this.#isHalfClosed) return void this.#end();
    this.#grow();
    this.#read();
    if (this.#isLast) this.finish();
  };

  async #writeCounted(bytes: Uint8Array<ArrayBuffer>): Promise<number> {
    const count = await new Promise<number>((sent, failed) =>
      this.#connection.write(bytes, { sent, failed })
    );
    this.isActive = true;
    this.#counters.sent(count);
    return count;
  }

  /** Makes the buffer larger if the last read filled it. */
  #grow(): void {
    const isLong = this.#filled >= LARGEST_BUFFER_BYTES;
    if (!this.#wasFull || (this.#buffer.length >= LARGEST_BUFFER_BYTES && !isLong)) return;
    const limit = isLong ? LONGEST_LINE_BYTES : LARGEST_BUFFER_BYTES;
    const larger = new Uint8Array(Math.min(this.#buffer.length * GROWTH, limit));
    larger.set(this.#buffer.subarray(0, this.#filled));
    this.#buffer = larger;
    this.#wasFull = false;
  }

  async #sayGoodbye(): Promise<void> {
    try {
      const { transform: how } = this.#service;
      const rest = transform(this.#buffer.slice(0, this.#filled), how);
      for (let sent = 0; sent < rest.length;) {
        sent += await (this.#paced?.write(rest.subarray(sent)) ?? this.#writeCounted(rest.subarray(sent)));
      }
      await this.#paced?.flush();
      await this.#connection.closeWrite();
      this.isSaid = true;
    } catch (error) {
      this.#close(error);
    }
  }

  /** The client sends no more, and all was taken: it goes out, and then the connection ends in order. */
  async #end(): Promise<void> {
    try {
      await this.#paced?.flush();
      await this.#connection.closeWrite();
      this.#close();
    } catch (error) {
      this.#close(error);
    }
  }

  readonly #break = (error: unknown): void => this.#close(error);

  readonly #fail = (error: unknown): void => {
    // Many a client of TLS ends the connection without saying so before.
    if (error instanceof Deno.errors.UnexpectedEof && !this.#isFinishing) this.#receive(null);
    else this.#close(error);
  };

  readonly #receiver: Receiver = { received: this.#receive, failed: this.#fail };
  readonly #sender: Sender = { sent: this.#written, failed: this.#break };

  #close(problem?: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#paced?.abandon();
    try {
      this.#connection.close();
    } catch {
      // The runtime has closed it.
    }
    this.#closed(this, problem);
  }
}
