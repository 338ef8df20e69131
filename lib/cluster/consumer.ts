/**
 * Receiving items to work on, from a broker, and settling them.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { ClosedError, NotHeldError, UsageError } from "../errors.ts";
import type { Consumer, ConsumerOptions, GiveBackOptions, Received } from "../named.ts";
import { follow, onAbort } from "../abort.ts";
import { UnavailableError } from "./broker_error.ts";
import { deadline } from "../time/deadline.ts";
import type { BrokerChannel } from "./channel.ts";
import type { BrokerConnection } from "./connection.ts";
import { watchForEnd } from "./getting.ts";
import { closeSoon, Inbox } from "./inbox.ts";
import { ClusterQueue } from "./queue.ts";
import type { Book } from "./queue_layout.ts";
import { putBack } from "./putting_back.ts";
import type { ClusterStore } from "./store.ts";

/** How long {@link ClusterConsumer.close} waits for the broker: what it has not heard of by then it gives to another. */
const CLOSE_LIMIT_MS = 2_000;
/** From one attempt to the next at what the broker has not got up yet. */
const RETRY_MS = 200;

/** What comes over one connection. */
interface Flow {
  connection: BrokerConnection;
  channel: BrokerChannel;
  inbox: Inbox;
  books: { last: Book };
  /** Aborted when no item will come over it. */
  round: AbortController;
}

/**
 * Receives items one by one, at most `concurrency` at once, over whatever connections it takes.
 *
 * Invariants: an item that was returned by {@link next} is settled, or lost, or held; who settles it does so once. What is held when the
 * connection is lost goes to another: {@link onLost} is called for each before that, {@link graceMs} before at least if only the way to the broker is gone.
 */
export class ClusterConsumer implements Consumer {
  /** Told of an item that was lost: who works on it is to stop. */
  onLost: (token: string, reason?: Error) => void = () => {};
  graceMs: number | undefined;
  readonly #queue: ClusterQueue;
  readonly #options: ConsumerOptions;
  readonly #end = new AbortController();
  readonly #unfollow: () => void;
  readonly #settling = new Set<Promise<void>>();
  #turn: Promise<unknown> = Promise.resolve();
  #flow: Flow | undefined;
  #joined: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;

  /**
   * A consumer of the queue of a name, which is made if it is not there.
   *
   * @throws {UsageError} If a lease is to end by time: brokers take back what they gave only when the connection ends.
   * @throws {SystemError} If the broker cannot be used.
   */
  static async open(
    store: ClusterStore,
    name: string,
    options: ConsumerOptions = {},
  ): Promise<ClusterConsumer> {
    if (options.leaseMs !== undefined) {
      throw new UsageError(
        "cannot end a lease by time at a broker as it ends with the connection: leave out --lease, or use --timeout",
      );
    }
    const { signal } = options;
    return new ClusterConsumer(await ClusterQueue.open(store, name, signal && { signal }), options);
  }

  private constructor(queue: ClusterQueue, options: ConsumerOptions) {
    this.#queue = queue;
    this.#options = options;
    queue.parts.receipts.onLost = (token, reason) => this.onLost(token, reason);
    this.#unfollow = follow(this.#end, [options.signal]);
    if (this.#end.signal.aborted) return;
    onAbort(this.#end.signal, () => void this.#flow?.inbox.close().catch(() => {}));
  }

  /**
   * The next item, waiting while there is none; undefined when none will come.
   *
   * Cancel safety: once the signal is aborted no item is received, and this resolves with undefined.
   *
   * @throws {SystemError} If the broker refuses.
   */
  next(): Promise<Received | undefined> {
    const next = this.#turn.then(() => this.#next());
    this.#turn = next.catch(() => {});
    return next;
  }

  /** Says that an item is dealt with: it leaves the queue. */
  done(token: string): void {
    const { receipts } = this.#queue.parts;
    if (!receipts.has(token)) return;
    const done = receipts.settle(token, ({ channel, message: { deliveryTag } }) => {
      channel.raw.basicAck({ deliveryTag });
    });
    // If the channel is lost in this moment, another gets it.
    done.catch(() => {});
  }

  /** Gives an item back, or makes it a dead letter. */
  giveBack(token: string, options: GiveBackOptions): void {
    const { layout, receipts, putting } = this.#queue.parts;
    if (!receipts.has(token)) return;
    const { connection } = this.#flow!;
    const settling = receipts.settle(
      token,
      (receipt) => putBack(connection, { receipt, layout, putting, options }),
    ).catch((error) => {
      // If the connection is lost the broker gives it back itself.
      if (connection.isOpen && !(error instanceof NotHeldError)) this.#fail(error);
    }).finally(() => this.#settling.delete(settling));
    this.#settling.add(settling);
  }

  /**
   * Ends it: what was settled has reached the broker, and no item is received any more. What came and nobody was given goes back.
   *
   * @throws {SystemError} If something could not be settled.
   */
  async close(): Promise<void> {
    this.#stop();
    const leaving = async () => {
      await Promise.all(this.#settling);
      const flow = this.#flow;
      this.#flow = undefined;
      if (flow !== undefined && !flow.channel.lost.aborted) await this.#leave(flow);
    };
    await deadline(leaving, CLOSE_LIMIT_MS).catch(() => {});
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  [Symbol.dispose](): void {
    this.#stop();
    if (this.#flow !== undefined) void closeSoon(this.#flow.channel);
  }

  async #next(): Promise<Received | undefined> {
    const { receipts, putting } = this.#queue.parts;
    while (!this.#end.signal.aborted) {
      try {
        const { channel, inbox, books, round } = await this.#flowing();
        if (this.#options.untilEmpty) this.#joined ??= this.#join();
        const message = await inbox.next(round.signal);
        if (books.last.maxSize !== null) putting.tellRoom(channel);
        const { item, token, attempts } = receipts.add(message, { channel, book: books.last });
        return { item, token, attempts, env: {} };
      } catch (error) {
        if (this.#end.signal.aborted) break;
        const failure = this.#queue.parts.layout.gone(error);
        if (failure instanceof ClosedError) return undefined;
        // Over the next connection it goes on, or the next channel, if the broker has closed this one.
        if (!this.#flow?.channel.lost.aborted) throw failure;
      }
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    return undefined;
  }

  /** What comes over the connection that stands. */
  async #flowing(): Promise<Flow> {
    const { store, layout, receipts } = this.#queue.parts;
    if (this.#flow !== undefined && !this.#flow.channel.lost.aborted) return this.#flow;
    const before = this.#flow;
    if (before !== undefined) {
      before.round.abort();
      receipts.left(before.inbox.takeAll().length);
      this.#flow = undefined;
    }
    for (;;) {
      const connection = await store.connection({ signal: this.#end.signal });
      let channel: BrokerChannel | undefined;
      let came = 0;
      try {
        await receipts.join(connection);
        channel = await connection.channel(layout.what);
        const follower = await layout.log.follow(channel);
        const books = { last: (await follower.first(this.#end.signal)).state };
        const inbox = await Inbox.open(channel, layout.items, {
          prefetch: this.#options.concurrency ?? 1,
          arrived: () => {
            came += 1;
            receipts.arrived();
          },
        });
        const round = new AbortController();
        follow(round, [this.#end.signal]);
        watchForEnd(connection, { layout, follower, books, round });
        this.graceMs = connection.graceMs;
        return this.#flow = { connection, channel, inbox, books, round };
      } catch (error) {
        // A broker that answers late would send items here that nobody is given.
        if (channel !== undefined) await closeSoon(channel);
        receipts.left(came);
        if (!connection.isOpen) continue;
        if (!(error instanceof UnavailableError)) throw layout.gone(error);
        await delay(RETRY_MS, { signal: this.#end.signal });
      }
    }
  }

  async #leave({ connection, channel, inbox }: Flow): Promise<void> {
    const { layout, receipts } = this.#queue.parts;
    await inbox.close().catch(() => {});
    // What came and was given to nobody was no attempt; brokers send some also after they have said that they send no more.
    await layout.change(connection, ({ uncounted }) => ({ uncounted: uncounted + 1 })).catch(() => {});
    await closeSoon(channel);
    receipts.left(inbox.takeAll().length);
  }

  #stop(): void {
    this.#end.abort();
    this.#unfollow();
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#end.abort();
  }

  async #join(): Promise<void> {
    try {
      await this.#queue.join({ signal: this.#end.signal });
      this.#end.abort();
    } catch (error) {
      if (!this.#end.signal.aborted) this.#fail(error);
    }
  }
}
