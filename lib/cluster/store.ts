/**
 * What machines share: a broker, through one connection a process, which is made again when it was lost and somebody needs it.
 *
 * Objects are named under one prefix: the queue of the lock `db` is `conc.lock.db` in the vhost that the URL names.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { EitherSignal } from "../abort.ts";
import { ClosedError, SystemError } from "../errors.ts";
import type { WaitOptions } from "../primitives.ts";
import { deadline } from "../time/deadline.ts";
import { BrokerAddress } from "./address.ts";
import { BrokerConnection, type ConnectOptions } from "./connection.ts";

/** Options of {@link ClusterStore.open}. */
export interface ClusterStoreOptions extends ConnectOptions {
  /** Called with what to tell people, once each time that somebody waits for a broker to come back. */
  onHeldUp?: (text: string) => void;
}

/** What is kept at a broker. */
export type ObjectKind = "lock" | "semaphore" | "event" | "queue";

const PREFIX = "conc";
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** How long one attempt to connect again takes at most. A link that was cut lets nothing through that was sent before it was mended. */
const ATTEMPT_LIMIT_MS = 3_000;

/**
 * The name of an object at the broker, and of what belongs to it.
 *
 * @param kind What it is.
 * @param words Its name, and then what belongs to it: `dead`, `delay`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(objectName("queue", "jobs"), "conc.queue.jobs");
 * assertEquals(objectName("queue", "jobs", "dead"), "conc.queue.jobs/dead");
 * ```
 */
export function objectName(kind: ObjectKind, ...words: [name: string, ...parts: string[]]): string {
  // No name has a slash, so that `jobs` with a part is never another queue's name.
  return `${PREFIX}.${kind}.${words.join("/")}`;
}

/**
 * A broker that is in use.
 *
 * Invariant: at most one connection stands at a time, and what was held in one that is lost is not held in the next.
 */
export class ClusterStore implements AsyncDisposable {
  /** Where it is. */
  readonly address: BrokerAddress;
  /** The process that others are shown as the one who holds and waits. */
  readonly pid: number;
  #connection: BrokerConnection | undefined;
  #attempt: Promise<BrokerConnection> | undefined;
  /** The loss that people were told of last. */
  #told: unknown;
  readonly #closing = new AbortController();
  readonly #onHeldUp: (text: string) => void;

  private constructor(
    address: BrokerAddress,
    { pid, onHeldUp }: { pid: number; onHeldUp: (text: string) => void },
  ) {
    this.address = address;
    this.pid = pid;
    this.#onHeldUp = onHeldUp;
  }

  /**
   * Connects to a broker.
   *
   * Cancel safety: leaves nothing behind.
   *
   * @param url `amqp://user:password@host:port/vhost`, or `amqps://`; its parts are in {@link BrokerAddress}.
   * @param options How long to try, and who uses it.
   * @throws {UsageError} If the URL cannot be used.
   * @throws {SystemError} If there is no broker, it does not admit us, or is not done in time. No message has the password.
   */
  static async open(
    url: string,
    { onHeldUp = () => {}, pid = Deno.pid, ...options }: ClusterStoreOptions = {},
  ): Promise<ClusterStore> {
    const store = new ClusterStore(new BrokerAddress(url), { pid, onHeldUp });
    store.#connection = await BrokerConnection.open(store.address, { ...options, pid });
    return store;
  }

  /**
   * The connection that stands, or a new one if it was lost: tried for until it stands, at first after 100 ms, then after twice as long each
   * time, up to 5 s.
   *
   * Cancel safety: changes nothing.
   *
   * @param options How long to try.
   * @throws {TimeoutError} If the time ran out.
   * @throws {ClosedError} If the store was closed.
   */
  async connection({ timeoutMs = Infinity, signal }: WaitOptions = {}): Promise<BrokerConnection> {
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason;
    if (this.#connection?.isOpen) return this.#connection;
    using either = new EitherSignal(signal, this.#closing.signal);
    return await deadline((signal) => this.#again(signal), timeoutMs, { signal: either.signal });
  }

  /** Tells people what somebody waits for, if somebody wants to know. */
  tell(text: string): void {
    this.#onHeldUp(text);
  }

  /** Whether there is a connection that stands. */
  get isConnected(): boolean {
    return this.#connection?.isOpen ?? false;
  }

  /** Whether the broker takes nothing from us at the moment: see {@link BrokerConnection.isBlocked}. */
  get isBlocked(): boolean {
    return this.#connection?.isBlocked ?? false;
  }

  /** Closes it, within 1 s. What was held goes back. */
  async close(): Promise<void> {
    this.#closing.abort(
      new ClosedError(`cannot use the broker at ${this.address.hostAndPort}: it was closed`),
    );
    await this.#attempt?.catch(() => {});
    await this.#connection?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #again(signal: AbortSignal): Promise<BrokerConnection> {
    for (let pauseMs = FIRST_PAUSE_MS;; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        return await (this.#attempt ??= this.#connect().finally(() => this.#attempt = undefined));
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
      }
      await delay(pauseMs * (0.5 + Math.random() / 2), { signal });
      if (this.#connection?.isOpen) return this.#connection;
    }
  }

  /** One attempt, for all who wait for one. */
  async #connect(): Promise<BrokerConnection> {
    const lost = this.#connection?.lost.reason;
    if (lost !== undefined && lost !== this.#told) {
      this.#told = lost;
      this.#onHeldUp(`${lost.message}: waiting for it`);
    }
    return this.#connection = await BrokerConnection.open(this.address, {
      timeoutMs: ATTEMPT_LIMIT_MS,
      pid: this.pid,
      signal: this.#closing.signal,
    });
  }
}
