/**
 * Putting items into a queue over however many connections that takes.
 *
 * @module
 */

import { SystemError } from "../errors.ts";
import type { WaitOptions } from "../primitives.ts";
import type { BrokerConnection } from "./connection.ts";
import type { Parcel, Putting } from "./putting.ts";
import type { QueueLayout } from "./queue_layout.ts";
import type { ClusterStore } from "./store.ts";
import { doSoon, timedOut, waitAcross } from "./wait.ts";

/** How long a put may take that is not to wait for room. */
const ANSWER_LIMIT_MS = 10_000;
/** How long it may take if whoever puts has less time. */
const MOMENT_MS = 1_000;

/**
 * Sends parcels until the broker has them.
 *
 * Invariant: what a put returned for is in the queue. Of what was sent, and neither confirmed nor refused by the time it has to end, it says that nobody
 * knows. What is sent again over the next connection, as the first was lost before the answer, may be there twice.
 */
export class Sending {
  readonly #store: ClusterStore;
  readonly #layout: QueueLayout;
  readonly #putting: Putting;
  readonly #isLimited: boolean;

  /** @param options `isLimited`: whether the queue has a limit, and there may be no room. */
  constructor(
    store: ClusterStore,
    { layout, putting, isLimited }: { layout: QueueLayout; putting: Putting; isLimited: boolean },
  ) {
    this.#store = store;
    this.#layout = layout;
    this.#putting = putting;
    this.#isLimited = isLimited;
  }

  /** Puts an item, waiting for room. */
  async put(parcel: Parcel, options: WaitOptions): Promise<void> {
    if (!this.#isLimited) return await this.#send([parcel], options);
    const { timeoutMs = Infinity } = options;
    if (timeoutMs < Infinity) {
      // The limit is for the wait, not for what needs none.
      if (await this.#trySend([parcel], { ...options, timeoutMs: Math.max(timeoutMs, MOMENT_MS) }) > 0) {
        return;
      }
      if (timeoutMs === 0) throw timedOut(0);
    }
    await this.#across(
      [parcel],
      options,
      (connection, signal) => this.#putting.waitAndSend(connection, { parcel, signal }),
    );
  }

  /** Puts an item if there is room and nobody waits. Says whether it did. */
  async tryPut(parcel: Parcel): Promise<boolean> {
    if (this.#isLimited) return await this.#trySend([parcel], {}) > 0;
    await this.#send([parcel], { timeoutMs: ANSWER_LIMIT_MS });
    return true;
  }

  /** Puts the first of some items for which there is room. Returns how many. */
  async putMany(parcels: readonly Parcel[], options: WaitOptions): Promise<number> {
    if (this.#isLimited) return await this.#trySend(parcels, options);
    await this.#send(parcels, options);
    return parcels.length;
  }

  #send(parcels: readonly Parcel[], options: WaitOptions): Promise<void> {
    return this.#across(
      parcels,
      options,
      (connection, signal) => this.#putting.send(connection, parcels.filter(({ isPut }) => !isPut), signal),
    );
  }

  async #across(
    parcels: readonly Parcel[],
    options: WaitOptions,
    send: (connection: BrokerConnection, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    try {
      await waitAcross(this.#store, options, send);
    } catch (error) {
      throw this.#blame(parcels, error);
    }
  }

  async #trySend(parcels: readonly Parcel[], { timeoutMs, signal }: WaitOptions): Promise<number> {
    const limits = { ...(timeoutMs !== undefined && { timeoutMs }), ...(signal && { signal }) };
    try {
      return await doSoon(this.#store, (connection) => this.#putting.trySend(connection, parcels), limits);
    } catch (error) {
      throw this.#blame(parcels, error);
    }
  }

  /** What to throw for an error: if it cannot be known what became of an item, one that says so. */
  #blame(parcels: readonly Parcel[], error: unknown): unknown {
    const unsure = parcels.filter(({ isSent, isPut }) => isSent && !isPut).length;
    if (unsure === 0) return error;
    const items = unsure === 1 ? "an item" : `${unsure} items`;
    return new SystemError(
      `cannot say whether ${this.#layout.what} has ${items}: the broker has not said so: ` +
        "put it again if twice is better than not at all",
      { cause: error },
    );
  }
}
