/**
 * One connection to a broker, from when it stands until it is lost or closed, and the channels in it.
 *
 * The client (rabbitmq-client) would connect again by itself, for ever; here a connection is lost once and for good, and those who use it
 * are told. Whoever wants to go on asks the store for the next one (`store.ts`): who held something in the old one holds it no more.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { Connection as Client } from "rabbitmq-client";
import { abortable } from "@std/async/abortable";
import { ClosedError, SystemError, TimeoutError } from "../errors.ts";
import { deadline } from "../time/deadline.ts";
import { formatDuration } from "../time/duration.ts";
import { Timer } from "../time/timer.ts";
import type { BrokerAddress } from "./address.ts";
import { connectError, lostError, NoBrokerError, requestError, silentError } from "./broker_error.ts";
import { BrokerChannel } from "./channel.ts";

/** Options of {@link BrokerConnection.open}. */
export interface ConnectOptions {
  /** Milliseconds until the broker must have admitted us. Default 10,000. */
  timeoutMs?: number;
  /** Ends the attempt. */
  signal?: AbortSignal;
  /** The process of this machine that is shown as the one who is connected, holds and waits. Default: this one. */
  pid?: number;
}

/** How long {@link BrokerConnection.open} tries unless told otherwise. */
const CONNECT_LIMIT_MS = 10_000;
/** How long {@link BrokerConnection.close} waits for the broker to take its leave. */
const CLOSE_LIMIT_MS = 1_000;
/** The largest frame: what brokers offer. The client's own 8 KiB would cut a large item in many pieces. */
const FRAME_BYTES = 131_072;
/** What the first frame of a broker begins with, a method on channel 0, or the header that a broker of another version answers with. */
const FIRST_BYTES: readonly number[] = [0x01, 0x41];

/**
 * A connection.
 *
 * Invariants: {@link lost} is aborted exactly once if the connection ends without {@link close}, before the broker can have given to
 * another what was held in it: a broker waits for two heartbeats at least, we for one and a half at most. A connection that is lost or closed
 * leaves no socket and no timer behind.
 */
export class BrokerConnection {
  /** Whom we are connected to. */
  readonly address: BrokerAddress;
  readonly #client: Client;
  readonly #lost = new AbortController();
  /** Aborted when nobody will answer any more. */
  readonly #gone = new AbortController();
  readonly #channels = new Set<BrokerChannel>();
  readonly #pulse: Timer;
  #pulseChannel: BrokerChannel | undefined;
  #isBlocked = false;
  #closing: Promise<void> | undefined;

  private constructor(client: Client, address: BrokerAddress) {
    this.address = address;
    this.#client = client;
    const intervalMs = address.heartbeatS * 1_000 / 2;
    this.#pulse = new Timer(intervalMs, () => void this.#feelPulse());
    client.removeAllListeners("error");
    client.on("error", (error: unknown) => this.#lose(error));
    client.on("connection.blocked", () => this.#isBlocked = true);
    client.on("connection.unblocked", () => this.#isBlocked = false);
  }

  /**
   * Connects, once. Nothing is tried again: a broker that is not there is an error at once.
   *
   * Cancel safety: leaves nothing behind.
   *
   * @param address Whom to call.
   * @param options How long to try, and for whom.
   * @throws {SystemError} If there is no broker, it does not admit us, or is not done in time. The message names host and port.
   */
  static async open(
    address: BrokerAddress,
    { timeoutMs = CONNECT_LIMIT_MS, signal, pid = Deno.pid }: ConnectOptions = {},
  ): Promise<BrokerConnection> {
    signal?.throwIfAborted();
    const tls = address.tls ? { ca: await authority(address) } : undefined;
    // What is heavy is loaded when somebody calls.
    const Connection = await loadClient();
    const client = new Connection({
      hostname: address.host,
      port: address.port,
      username: address.user,
      password: address.password(),
      vhost: address.vhost,
      connectionName: `conc ${Deno.hostname()}:${pid}`,
      heartbeat: address.heartbeatS,
      frameMax: FRAME_BYTES,
      // The client would say so before there is a connection, which Deno 2.4 does not heed: see below.
      noDelay: false,
      connectionTimeout: 0,
      acquireTimeout: 0,
      ...(tls?.ca === undefined ? { tls: address.tls } : { tls: { ca: tls.ca } }),
    });
    checkWhatIsRead(client);
    sendAtOnce(client);
    let connection: BrokerConnection | undefined;
    try {
      return await deadline(
        () =>
          new Promise<BrokerConnection>((resolve, reject) => {
            // Made here, not after the promise: a loss in between would be told to nobody.
            client.once("connection", () => resolve(connection = new BrokerConnection(client, address)));
            client.on("error", reject);
          }),
        timeoutMs,
        signal && { signal },
      );
    } catch (error) {
      client.on("error", () => {});
      if (connection === undefined) client.unsafeDestroy();
      else connection.#lose(error);
      signal?.throwIfAborted();
      throw error instanceof TimeoutError ? silentError(address, timeoutMs) : connectError(error, address);
    }
  }

  /** Aborted when the connection is lost, with a `SystemError` that says why. Not aborted by {@link close}. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Whether it stands. */
  get isOpen(): boolean {
    return this.#closing === undefined && !this.#lost.signal.aborted;
  }

  /**
   * Milliseconds from the loss of the connection, as we notice it, until the broker may take it for dead: it waits for two heartbeats at least, we for
   * one and a half at most. A tenth is left for what takes time.
   */
  get graceMs(): number {
    return this.address.heartbeatS * 400;
  }

  /** Whether the broker takes nothing from us at the moment, as it is short of memory or disk. Puts wait until it does again. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /**
   * Opens a channel. What the broker refuses ends the channel in which it was asked, so whatever may be refused gets one of its own.
   *
   * @param object What it is for, in messages: `queue 'jobs'`.
   * @throws {SystemError} If the connection is lost.
   * @throws {ClosedError} If it was closed.
   */
  async channel(object: string): Promise<BrokerChannel> {
    this.#lost.signal.throwIfAborted();
    if (this.#closing !== undefined) throw new ClosedError("cannot open a channel: the connection is closed");
    try {
      // While the client loses the connection it would wait for the next one, which there will not be.
      const acquiring = this.#client.acquire({ emitErrorsFromChannel: true });
      const raw = await abortable(acquiring, this.#gone.signal);
      const channel = new BrokerChannel(raw, {
        address: this.address,
        object,
        connectionLost: this.#lost.signal,
        connectionGone: this.#gone.signal,
        closed: () => this.#channels.delete(channel),
      });
      this.#channels.add(channel);
      return channel;
    } catch (error) {
      this.#lost.signal.throwIfAborted();
      throw requestError(error, { address: this.address, object });
    }
  }

  /**
   * Closes it, once what was sent has gone out. What was delivered and not acknowledged goes back. Never throws; if the broker does not
   * answer within 1 s the connection is cut.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#pulse.cancel();
    if (this.#lost.signal.aborted) return;
    const closing = Promise.all([...this.#channels].map((channel) => channel.close()));
    try {
      await deadline(async () => {
        await closing;
        await this.#client.close();
      }, CLOSE_LIMIT_MS);
    } catch {
      this.#client.unsafeDestroy();
      this.#gone.abort();
      await closing;
    }
  }

  #lose(error: unknown): void {
    this.#pulse.cancel();
    this.#client.unsafeDestroy();
    if (this.isOpen) this.#lost.abort(error instanceof SystemError ? error : lostError(error, this.address));
    this.#gone.abort();
  }

  /**
   * Asks the broker for an answer every half heartbeat; without one for a whole heartbeat the connection is lost. The client itself would
   * notice after two, when the broker may have given away what we hold. While the broker takes nothing from us it does not answer either, and
   * does not count our silence.
   */
  async #feelPulse(): Promise<void> {
    const limitMs = this.address.heartbeatS * 1_000;
    try {
      await deadline(async () => {
        this.#pulseChannel ??= await this.channel("its pulse");
        await this.#pulseChannel.raw.basicQos({ prefetchCount: 1 });
      }, limitMs);
    } catch (error) {
      if (!this.isOpen) return;
      if (!this.#isBlocked) {
        return this.#lose(
          error instanceof TimeoutError ? new Error(`no sign of life for ${formatDuration(limitMs)}`) : error,
        );
      }
    }
    if (this.isOpen) this.#pulse.restart();
  }
}

/** The client. From the bundle of the executable a CommonJS module comes as the default of what is imported. */
async function loadClient(): Promise<typeof Client> {
  const module: { Connection?: typeof Client; default?: { Connection: typeof Client } } = await import(
    "rabbitmq-client"
  );
  return module.Connection ?? module.default!.Connection;
}

/**
 * Has the client drop a connection to what is no broker. It trusts the first bytes that it gets: the length that it takes from an HTTP
 * answer throws where nobody can catch it, and that from a greeting of SSH is one that never comes.
 */
function checkWhatIsRead(client: Client): void {
  const { _socket: socket } = client as unknown as {
    _socket: { read: (size?: number) => Buffer | null; destroy(error: unknown): void };
  };
  const read = socket.read.bind(socket);
  let isFirst = true;
  socket.read = (size) => {
    try {
      const bytes = read(size);
      if (bytes !== null && isFirst) {
        isFirst = false;
        if (!FIRST_BYTES.includes(bytes[0]!)) throw new NoBrokerError(bytes[0]!);
      }
      return bytes;
    } catch (error) {
      socket.destroy(error);
      return null;
    }
  };
}

/** Has the socket send what is short at once: else every second message waits for an acknowledgement, 40 ms. */
function sendAtOnce(client: Client): void {
  const { _socket: socket } = client as unknown as { _socket: Socket };
  socket.once("connect", () => socket.setNoDelay(true));
}

async function authority({ authorityFile }: BrokerAddress): Promise<string | undefined> {
  if (authorityFile === undefined) return undefined;
  let text: string;
  try {
    text = await Deno.readTextFile(authorityFile);
  } catch (error) {
    throw new SystemError(`cannot read ${authorityFile}, which 'cacertfile' names: check it`, {
      cause: error,
    });
  }
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new SystemError(
    `cannot use ${authorityFile}, which 'cacertfile' names: it has no certificate in PEM form`,
  );
}
