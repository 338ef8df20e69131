/**
 * A semaphore between machines.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import {
  type Holder,
  type KeepOptions,
  type LendOptions,
  type NamedAcquireOptions,
  type NamedSemaphore,
  noSuchLease,
  type Waiter,
} from "../named.ts";
import type { SemaphoreStatistics, WaitOptions } from "../primitives.ts";
import { follow } from "../abort.ts";
import { checkCount, weightProblem } from "../task/check.ts";
import type { BrokerChannel } from "./channel.ts";
import { collect, take } from "./collecting.ts";
import type { BrokerConnection } from "./connection.ts";
import { renewed } from "./gate.ts";
import type { ClusterLease } from "./lease.ts";
import { ClusterLoan, endLoan, type LoanPlace } from "./loan.ts";
import { namesOf } from "./names.ts";
import { holdersAndWaiters, isToken, type Part } from "./parts.ts";
import { type Claim, ClusterPermits, type Insider } from "./permits.ts";
import { type ClusterStore, objectName } from "./store.ts";
import { type Book, countTokens, MOST_PERMITS, putBack, type Token, token } from "./tokens.ts";
import { doSoon } from "./wait.ts";

/** Options of {@link ClusterSemaphore.open}. */
export interface ClusterSemaphoreOptions extends WaitOptions {
  /** How many permits there are. Default: as many as it has, or 1 if it is new. At most 65,535. */
  permits?: number;
  /** Milliseconds from one sign of life of a holder to the next, less than `consumer_timeout` of the broker. Default: 5 minutes. */
  renewMs?: number;
}

/** How long to wait for the answer of who is first in line, at a time, and how often. */
const ANSWER_LIMIT_MS = 30;
const ANSWER_ATTEMPTS = 10;

/**
 * At most so many permits are out at a time, on all machines together, first come first served. Leases may weigh more than one permit;
 * a heavy waiter at the head of the line is not overtaken by light ones behind it.
 *
 * Invariant: the weights of all leases that are out add up to `permits - available`, as the broker sees it: a lease is out until its connection ends,
 * and `lost` of the lease is aborted before the broker takes the connection for dead. Grants have growing fencing numbers.
 */
export class ClusterSemaphore implements NamedSemaphore {
  readonly #name: string;
  readonly #permits: ClusterPermits;

  private constructor(name: string, permits: ClusterPermits) {
    this.#name = name;
    this.#permits = permits;
  }

  /**
   * The semaphore of a name, made if it is not there.
   *
   * @param store Where it is kept.
   * @param name Its name: all who use this name and this broker share it.
   * @param options How many permits there are, and how long to try: 10 s at most.
   * @throws {RangeError} If `permits` is no whole number above 0.
   * @throws {UsageError} If it has another number of permits and is in use; if they are more than 65,535.
   * @throws {SystemError} If the broker cannot be used.
   */
  static async open(
    store: ClusterStore,
    name: string,
    { permits, renewMs, ...wait }: ClusterSemaphoreOptions = {},
  ): Promise<ClusterSemaphore> {
    if (permits !== undefined) checkPermits("make a semaphore", permits);
    const what = `the semaphore '${name}'`;
    const options = { kind: "semaphore" as const, name, what, ...(renewMs !== undefined && { renewMs }) };
    const semaphore = new ClusterSemaphore(name, new ClusterPermits(store, options));
    const contents = { permits: permits ?? 1 };
    const isNew = await doSoon(store, (connection) => semaphore.#permits.make(connection, contents), wait);
    if (!isNew && permits !== undefined) await semaphore.#agree(permits);
    return semaphore;
  }

  /** The semaphores of a broker, by their names. */
  static names(store: ClusterStore): Promise<string[]> {
    return doSoon(store, (connection) => namesOf(connection, "semaphore"));
  }

  /**
   * Waits until `weight` permits are free, and takes them together. A wait goes on over the next connection if one is lost, at the end of the line.
   *
   * Cancel safety: a cancelled wait holds no permit. An abort in the same turn as the grant loses.
   *
   * @param options When to give up (default: never), how many permits to take (default: 1), and what for.
   * @throws {RangeError} If `weight` is no whole number above 0, or more than there are permits; if `timeoutMs` is negative or NaN.
   * @throws {SystemError} If the broker refuses.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  acquire({ weight = 1, command, ...options }: NamedAcquireOptions = {}): Promise<ClusterLease> {
    return this.#permits.acquire(options, {
      wait: (connection, signal) => this.#wait(connection, { claim: { weight, command }, signal }),
      now: () => this.tryAcquire({ weight, ...(command !== undefined && { command }) }),
    });
  }

  /**
   * Takes `weight` permits if they are free and nobody waits, else returns undefined.
   *
   * @param options How many permits to take (default: 1), and what for.
   * @throws As {@link ClusterSemaphore.acquire}.
   */
  async tryAcquire(
    { weight = 1, command }: Omit<NamedAcquireOptions, "signal" | "timeoutMs"> = {},
  ): Promise<ClusterLease | undefined> {
    const permits = this.#permits;
    const wanted = wantedOf(weight);
    wanted(await permits.asking((channel) => permits.log.last(channel)));
    const attempt = (connection: BrokerConnection) =>
      permits.tryEnter(connection, {
        claim: { weight, command },
        mayPass: async (channel) => await permits.tokens.ready(channel) >= weight,
        work: async (insider) => {
          const held = await take(permits, insider, wanted);
          return held && this.#grant(insider, held);
        },
      });
    return await doSoon(permits.store, attempt, { undo: (lease) => lease?.release() });
  }

  /** Not at this reach: a connection holds permits; {@link keep} is what there is. */
  lend(_options: LendOptions): Promise<string> {
    return Promise.reject(
      new UsageError(
        `cannot hand permits of ${this.#permits.what} to another process: at a broker a connection holds them; keep them for it`,
      ),
    );
  }

  /**
   * Waits for permits as {@link acquire} does, and holds them for somebody else, until they are released by their token from wherever, or lost
   * with the connection. It is for the caller to end the loan when whom it is for has ended.
   *
   * @param options As for `acquire`; `owner`: the process that is shown as the holder (default: none).
   * @throws As {@link ClusterSemaphore.acquire}.
   */
  async keep({ owner, ...options }: KeepOptions = {}): Promise<ClusterLoan> {
    const lease = await this.acquire(options);
    try {
      lease.shows(owner?.pid);
      const connection = await this.#permits.store.connection(options);
      return await ClusterLoan.open(connection, { lease, ...this.#loan(lease.token) });
    } catch (error) {
      if (!lease.lost.aborted) lease.release();
      throw error;
    }
  }

  /**
   * Gives back permits that somebody keeps, by their token. They are free when the promise resolves.
   *
   * @throws {NotHeldError} If nobody keeps permits of this semaphore under the token.
   * @throws {SystemError} If who keeps them does not answer.
   */
  async release(token: string): Promise<void> {
    if (isToken(token) && await endLoan(this.#permits.store, this.#loan(token))) return;
    throw noSuchLease(this.#name, token);
  }

  /**
   * Changes how many permits there are. Leases that are out stay valid; with fewer permits than are held, nobody is admitted until
   * enough came back. A waiter that wants more than there now are rejects with `RangeError`.
   *
   * @param permits How many there are from now on.
   * @throws {RangeError} If `permits` is no whole number above 0.
   * @throws {UsageError} If they are more than 65,535.
   */
  async resize(permits: number): Promise<void> {
    checkPermits("resize a semaphore", permits);
    const { log, tokens } = this.#permits;
    await this.#permits.changing(async (channel, book) => {
      const count = permits - countTokens(book);
      const changed = { ...book, permits };
      if (count > 0) await tokens.add(channel, { log, book: changed, count });
      else await log.append(channel, changed);
    });
  }

  /** Permits, free ones, waiters, at this moment. */
  statistics(): Promise<SemaphoreStatistics> {
    const { gate, tokens, log } = this.#permits;
    return this.#permits.asking(async (channel, connection) => {
      const look = await gate.look(channel);
      const collected = look.taken ? await this.#collected(connection, channel) : 0;
      const book = await log.last(channel);
      const held = countTokens(book) - await tokens.ready(channel) - collected;
      const waiting = look.waiting + (look.taken ? 1 : 0);
      return { permits: book.permits, available: book.permits - held, waiting };
    });
  }

  /** Who holds it and who waits. Who does not answer within 300 ms is in the counts only. */
  async status(): Promise<SemaphoreStatistics & { holders: Holder[]; waiters: Waiter[] }> {
    const statistics = await this.statistics();
    const held = statistics.permits - statistics.available;
    if (held === 0 && statistics.waiting === 0) return { ...statistics, holders: [], waiters: [] };
    const areAll = (parts: readonly Part[]) => {
      const holding = parts.filter(({ state }) => state === "holds");
      return holding.reduce((sum, { weight }) => sum + weight, 0) >= held &&
        parts.length - holding.length >= statistics.waiting;
    };
    const { roll } = this.#permits;
    const parts = await this.#permits.asking((_, connection) => roll.ask(connection, areAll));
    return { ...statistics, ...holdersAndWaiters(parts) };
  }

  #loan(token: string): LoanPlace {
    return { queue: objectName("semaphore", this.#name, `lease.${token}`), what: this.#permits.what };
  }

  async #wait(
    connection: BrokerConnection,
    { claim, signal }: { claim: Claim; signal: AbortSignal },
  ): Promise<ClusterLease> {
    const permits = this.#permits;
    const end = new AbortController();
    const unfollow = follow(end, [signal]);
    const watching = await connection.channel(permits.what);
    try {
      const book = await this.#watch(watching, { weight: claim.weight, end });
      const wanted = wantedOf(claim.weight);
      return await permits.enter(connection, {
        ...{ claim, signal: end.signal },
        work: async (insider) =>
          this.#grant(insider, await collect(permits, insider, { book, wanted, signal: end.signal })),
      });
    } finally {
      unfollow();
      void watching.close();
    }
  }

  /** Follows how many permits there are, and ends the wait if they get too few. Returns the book as it is. */
  async #watch(
    channel: BrokerChannel,
    { weight, end }: { weight: number; end: AbortController },
  ): Promise<Book> {
    const follower = await this.#permits.log.follow(channel);
    const { state: first } = await follower.first(end.signal);
    wantedOf(weight)(first);
    void (async () => {
      try {
        for (;;) wantedOf(weight)((await follower.next(end.signal)).state);
      } catch (error) {
        // Of what else ends it the wait learns by itself.
        if (error instanceof RangeError) end.abort(error);
      }
    })();
    return first;
  }

  #grant(insider: Insider, held: Token[]): ClusterLease {
    const { channel, pass } = insider;
    pass.leave();
    return this.#permits.grant(insider, {
      renew: async () => {
        const delivered = held.map((each) => each.delivered);
        held = (await renewed(channel, this.#permits.tokens.queue, delivered)).map(token);
      },
      giveBack: () => putBack(channel, held),
    });
  }

  /** How many permits who is first in line has collected. */
  async #collected(connection: BrokerConnection, channel: BrokerChannel): Promise<number> {
    for (let attempt = 0; attempt < ANSWER_ATTEMPTS; attempt++) {
      const isInside = ({ collected }: { collected?: number }) => collected !== undefined;
      const parts = await this.#permits.roll.ask(
        connection,
        (parts) => parts.some(isInside),
        ANSWER_LIMIT_MS,
      );
      const insider = parts.find(isInside);
      if (insider !== undefined) return insider.collected!;
      if (!(await this.#permits.gate.look(channel)).taken) return 0;
    }
    return 0;
  }

  /** Has it have so many permits, if it is not in use. */
  async #agree(permits: number): Promise<void> {
    const known = await this.#permits.asking((channel) => this.#permits.log.last(channel));
    if (known.permits === permits) return;
    const statistics = await this.statistics();
    if (statistics.available < statistics.permits || statistics.waiting > 0) {
      throw new UsageError(
        `the semaphore '${this.#name}' has ${known.permits} permits and is in use: ask for ${known.permits}, or resize it`,
      );
    }
    await this.resize(permits);
  }
}

/** How many permits a claim of some weight wants, by the book: throws `RangeError` if there are not so many, or it makes no sense. */
function wantedOf(weight: number): (book: Book) => number {
  return ({ permits }) => {
    const problem = weightProblem(weight, permits);
    if (problem !== undefined) throw problem;
    return weight;
  };
}

function checkPermits(action: string, permits: number): void {
  checkCount(action, { name: "permits", value: permits });
  if (permits <= MOST_PERMITS) return;
  throw new UsageError(
    `cannot ${action} of that many permits at a broker as a connection can hold ${MOST_PERMITS} at most: received ${permits}`,
  );
}
