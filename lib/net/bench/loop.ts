/**
 * A bench from beginning to end in one thread that does nothing else: connect, warm up, measure, wait for the last replies.
 *
 * @module
 */

import { ConnectionError, SystemError } from "../../errors.ts";
import { DatagramLinks } from "./datagrams.ts";
import { Pace, type PaceOptions } from "./pace.ts";
import { StreamLinks } from "./streams.ts";
import { type BenchInterval, type BenchSummary, Tally } from "./tally.ts";
import type { MessageShape } from "./message.ts";
import { Histogram } from "./histogram.ts";
import type { SocketAddress } from "../socket/socket_address.ts";
import { type SocketEvent, Sockets } from "../socket/sockets.ts";

/** What is to be measured. */
export interface BenchPlan extends MessageShape, PaceOptions {
  kind: "stream" | "datagram";
  address: SocketAddress;
  connections: number;
  /** How many requests may be under way at a socket with datagrams; streams have one. */
  window: number;
  /** How long a reply may take, and a connection. */
  timeoutMs: number;
  /** How long requests are sent before it is measured. */
  warmupMs: number;
}

/** What the loop needs of a kind of connections. */
export interface Links {
  /** Opens what is to be opened now, and gives up what took too long. */
  keep(nowMs: number): void;
  handle(event: SocketEvent, nowMs: number): void;
  /** Whether a request can begin at a connection. */
  canSend(slot: number): boolean;
  /** Begins a request. */
  send(slot: number, times: { nowMs: number; intendedMs: number }): void;
  /** Connections that have not yet been made, nor failed. */
  readonly connecting: number;
  /** Requests that may still be answered. */
  isWaiting(): boolean;
  /** Called with each connection where a request can begin that could not before. */
  onReady: (slot: number) => void;
}

/** How long to wait at most: so often is looked whether the time of a request is up, and whether to stop. */
const TICK_MS = 10;
const INTERVAL_MS = 1_000;
/** How many requests may begin before what came is received: more would fill the buffer that replies wait in. */
const MOST_AT_ONCE = 16;

/**
 * Runs a bench. It blocks its thread until all is over.
 *
 * @param plan What to measure.
 * @param options `isStopped`: asked a hundred times a second whether to end early; `interval`: called every second.
 * @throws {ConnectionError} If there is nobody at the address.
 * @throws {SystemError} If there are not enough files for all connections.
 */
export async function runBench(
  plan: BenchPlan,
  { isStopped, interval }: { isStopped: () => boolean; interval: (interval: BenchInterval) => void },
): Promise<BenchSummary> {
  const tally = new Tally(plan.sizeBytes, await Histogram.load());
  using sockets = new Sockets(plan.address, { kind: plan.kind });
  const links = plan.kind === "stream"
    ? new StreamLinks(plan, { sockets, tally })
    : new DatagramLinks(plan, { sockets, tally });
  const loop = new Loop(links, { sockets, tally, isStopped });
  loop.connect(plan);
  if (plan.warmupMs > 0) {
    loop.run({ ...plan, durationMs: plan.warmupMs, count: Infinity }, { drains: false });
  }
  return loop.run(plan, { drains: true, interval });
}

/** Waits, and hands what happened to the links. Invariant: a connection is in the line of those that are ready at most once. */
class Loop {
  readonly #links: Links;
  readonly #sockets: Sockets;
  readonly #tally: Tally;
  readonly #isStopped: () => boolean;
  /** Connections where a request can begin, the longest idle first. */
  #ready: number[] = [];
  #readyFrom = 0;
  readonly #isReady: boolean[] = [];
  #keptMs = -Infinity;

  constructor(
    links: Links,
    { sockets, tally, isStopped }: { sockets: Sockets; tally: Tally; isStopped: () => boolean },
  ) {
    this.#links = links;
    this.#sockets = sockets;
    this.#tally = tally;
    this.#isStopped = isStopped;
    links.onReady = (slot) => {
      if (this.#isReady[slot]) return;
      this.#isReady[slot] = true;
      this.#ready.push(slot);
    };
  }

  /** Makes the connections, so that none is made while it is measured. */
  connect({ connections }: BenchPlan): void {
    this.#tally.start(performance.now());
    this.#keep(performance.now());
    while (this.#links.connecting > 0 && !this.#isStopped() && !this.#sockets.isShortOfFiles) {
      this.#turn(TICK_MS);
    }
    if (this.#sockets.isShortOfFiles) {
      throw new SystemError(
        `cannot open ${connections} connections: ${this.#sockets.reason}: raise ulimit -n, or use fewer`,
      );
    }
    if (this.#ready.length === 0 && !this.#isStopped()) throw new ConnectionError(this.#sockets.reason);
  }

  /** Sends at a pace until that is over, and then, if it drains, waits for the replies. */
  run(
    options: PaceOptions,
    { drains, interval }: { drains: boolean; interval?: (interval: BenchInterval) => void },
  ): BenchSummary {
    const startMs = performance.now();
    const pace = new Pace(startMs, options);
    this.#tally.start(startMs);
    let nextMs = startMs + INTERVAL_MS;
    let nowMs = startMs;
    for (; !pace.isOver(nowMs) && !this.#isStopped(); nowMs = performance.now()) {
      if (nowMs >= nextMs) {
        interval?.(this.#tally.interval(nowMs));
        nextMs += INTERVAL_MS;
      }
      this.#send(pace, nowMs);
      const hasReady = this.#readyFrom < this.#ready.length;
      this.#turn(hasReady ? Math.min(Math.max(0, pace.dueMs - nowMs), TICK_MS) : TICK_MS, pace);
    }
    const end = { endMs: nowMs, unsent: pace.unsent(nowMs) };
    while (drains && this.#links.isWaiting() && !this.#isStopped()) this.#turn(TICK_MS);
    if (nowMs > startMs) interval?.(this.#tally.interval(performance.now()));
    return this.#tally.summary(end);
  }

  /** Waits for what happens next. Whoever was answered sends at once: what comes later in the same turn would make it late. */
  #turn(limitMs: number, pace?: Pace): void {
    const count = this.#sockets.wait(limitMs);
    let nowMs = performance.now();
    for (let i = 0; i < count; i++) {
      if (i > 0) nowMs = performance.now();
      this.#links.handle(this.#sockets.event(i), nowMs);
      if (pace !== undefined) this.#send(pace, nowMs);
    }
    if (nowMs - this.#keptMs >= TICK_MS) this.#keep(nowMs);
  }

  #keep(nowMs: number): void {
    this.#keptMs = nowMs;
    this.#links.keep(nowMs);
  }

  #send(pace: Pace, nowMs: number): void {
    for (let sent = 0; sent < MOST_AT_ONCE && this.#readyFrom < this.#ready.length;) {
      const slot = this.#ready[this.#readyFrom]!;
      if (!this.#links.canSend(slot)) {
        this.#isReady[slot] = false;
        this.#readyFrom += 1;
        continue;
      }
      const intendedMs = pace.take(nowMs);
      if (intendedMs === undefined) break;
      this.#links.send(slot, { nowMs, intendedMs });
      sent += 1;
    }
    if (this.#readyFrom === this.#ready.length) {
      this.#ready.length = 0;
      this.#readyFrom = 0;
    } else if (this.#readyFrom > 4_096) {
      this.#ready = this.#ready.slice(this.#readyFrom);
      this.#readyFrom = 0;
    }
  }
}
