/**
 * A bench over the sockets of the runtime: for TLS, and where there is no C library to call. Slower than {@link runBench}, and at a rate
 * of more than a thousand a second messages are sent several at a time, as timers have milliseconds; what is counted is the same.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { ConcError, ConnectionError, TimeoutError } from "../../errors.ts";
import type { BenchPlan } from "./loop.ts";
import { Messages } from "./message.ts";
import { Pace } from "./pace.ts";
import { type BenchInterval, type BenchSummary, Tally } from "./tally.ts";
import { DatagramFlow } from "./datagram_flow.ts";
import { Histogram } from "./histogram.ts";
import { problem } from "../problem.ts";
import { StreamFlow } from "./stream_flow.ts";

/** What is to be measured, without where. */
export type PortablePlan = Omit<BenchPlan, "address">;

/** Options of {@link runPortableBench}. */
export interface PortableOptions {
  /** Makes a connection, for streams. */
  connect?: () => Promise<Deno.Conn>;
  /** Where datagrams go. */
  target?: { ip: string; port: number };
  signal?: AbortSignal;
  interval?: (interval: BenchInterval) => void;
}

const CONNECTING_AT_ONCE = 100;
const FIRST_BACKOFF_MS = 10;
const LONGEST_BACKOFF_MS = 1_000;
const TICK_MS = 10;
const INTERVAL_MS = 1_000;
const LONGEST_DATAGRAM = 65_536;

/**
 * Runs a bench.
 *
 * @param plan What to measure.
 * @param options With what sockets.
 * @throws {ConnectionError} If no connection can be made.
 */
export async function runPortableBench(plan: PortablePlan, options: PortableOptions): Promise<BenchSummary> {
  const bench = new PortableBench(plan, {
    options,
    tally: new Tally(plan.sizeBytes, await Histogram.load()),
  });
  return await bench.run();
}

class PortableBench {
  readonly #plan: PortablePlan;
  readonly #options: PortableOptions;
  readonly #tally: Tally;
  /** Aborted when nothing more is to be sent, and when nothing more is waited for. */
  readonly #sending = new AbortController();
  readonly #waiting = new AbortController();
  #pace: Pace;

  constructor(plan: PortablePlan, { options, tally }: { options: PortableOptions; tally: Tally }) {
    this.#plan = plan;
    this.#options = options;
    this.#tally = tally;
    this.#pace = new Pace(performance.now(), plan);
  }

  async run(): Promise<BenchSummary> {
    const { signal } = this.#options;
    const stop = () => {
      this.#sending.abort();
      this.#waiting.abort();
    };
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
    this.#tally.start(performance.now());
    try {
      const start = this.#options.connect === undefined ? () => this.#datagrams() : await this.#streams();
      return await this.#measure(start);
    } finally {
      signal?.removeEventListener("abort", stop);
      stop();
    }
  }

  /** Warms up, measures, and waits for the last replies. */
  async #measure(start: () => Promise<unknown>): Promise<BenchSummary> {
    const { interval } = this.#options;
    const { warmupMs } = this.#plan;
    let startMs = performance.now();
    const begin = () => {
      startMs = performance.now();
      this.#pace = new Pace(startMs, this.#plan);
      this.#tally.start(startMs);
    };
    let isWarm = warmupMs === 0;
    if (isWarm) begin();
    else this.#pace = new Pace(startMs, { ...this.#plan, durationMs: Infinity, count: Infinity });
    let nextMs = startMs + INTERVAL_MS;
    let end: { endMs: number; unsent: number } | undefined;
    const timer = setInterval(() => {
      const nowMs = performance.now();
      if (!isWarm && nowMs >= startMs + warmupMs) {
        isWarm = true;
        begin();
        nextMs = startMs + INTERVAL_MS;
      } else if (isWarm && this.#pace.isOver(nowMs) && end === undefined) {
        end = { endMs: nowMs, unsent: this.#pace.unsent(nowMs) };
        this.#sending.abort();
      } else if (isWarm && nowMs >= nextMs && end === undefined) {
        nextMs += INTERVAL_MS;
        interval?.(this.#tally.interval(nowMs));
      }
    }, TICK_MS);
    try {
      await start();
    } finally {
      clearInterval(timer);
    }
    const nowMs = performance.now();
    interval?.(this.#tally.interval(nowMs));
    return this.#tally.summary(end ?? { endMs: nowMs, unsent: this.#pace.unsent(nowMs) });
  }

  /** When the next message was to be sent, once that has come; undefined if no more is sent. */
  async #turn(): Promise<number | undefined> {
    const { signal } = this.#sending;
    for (;;) {
      const nowMs = performance.now();
      if (signal.aborted) return undefined;
      const intendedMs = this.#pace.take(nowMs);
      if (intendedMs !== undefined) return intendedMs;
      const waitMs = this.#pace.isOver(nowMs) ? TICK_MS : Math.max(1, this.#pace.dueMs - nowMs);
      await delay(Math.min(waitMs, INTERVAL_MS), { signal }).catch(() => {});
    }
  }

  /** Makes the connections. Returns what uses them. */
  async #streams(): Promise<() => Promise<unknown>> {
    const { connections } = this.#plan;
    const first: (Deno.Conn | undefined)[] = [];
    let failure: unknown;
    while (first.length < connections && !this.#sending.signal.aborted) {
      const count = Math.min(CONNECTING_AT_ONCE, connections - first.length);
      const attempts = Array.from({ length: count }, () => this.#options.connect!());
      for (const attempt of await Promise.allSettled(attempts)) {
        first.push(attempt.status === "fulfilled" ? attempt.value : undefined);
        if (attempt.status === "rejected") failure ??= attempt.reason;
      }
    }
    if (failure !== undefined && first.every((connection) => connection === undefined)) {
      throw failure instanceof TimeoutError ? new ConnectionError("connection timed out") : failure;
    }
    return () => Promise.all(first.map((connection, index) => this.#stream(connection, index)));
  }

  /** Keeps one connection busy, and makes it anew when it breaks. */
  async #stream(first: Deno.Conn | undefined, index: number): Promise<void> {
    const { signal } = this.#sending;
    const flow = new StreamFlow(new Messages(this.#plan, index), { ...this.#plan, tally: this.#tally });
    let backoffMs = FIRST_BACKOFF_MS;
    for (let connection = first; !signal.aborted;) {
      try {
        connection ??= await this.#options.connect!();
        const answered = await this.#converse(connection, flow);
        backoffMs = answered > 0 ? FIRST_BACKOFF_MS : backoffMs;
      } catch (error) {
        this.#tally.error(error instanceof ConcError ? error.message : problem(error));
      }
      connection = undefined;
      await delay(backoffMs, { signal }).catch(() => {});
      backoffMs = Math.min(2 * backoffMs, LONGEST_BACKOFF_MS);
    }
  }

  /** Sends and receives until the connection breaks or nothing more is sent; says how many were answered. */
  async #converse(connection: Deno.Conn, flow: StreamFlow): Promise<number> {
    let answered = 0;
    let isOpen = true;
    const close = () => {
      if (isOpen) connection.close();
      isOpen = false;
    };
    const timer = setInterval(() => {
      if (flow.expire(performance.now())) close();
    }, TICK_MS);
    this.#waiting.signal.addEventListener("abort", close);
    if (this.#waiting.signal.aborted) close();
    try {
      for (let intendedMs; isOpen && (intendedMs = await this.#turn()) !== undefined;) {
        if (!isOpen) break;
        const writing = writeAll(connection, flow.next(performance.now(), intendedMs));
        writing.catch(() => {});
        while (flow.isWaiting) {
          const count = await connection.read(flow.reply.subarray(flow.received));
          if (count === null) throw new ConnectionError("it closed the connection");
          if (flow.take(count, performance.now()) === "broken") return answered;
        }
        await writing;
        answered += 1;
      }
    } catch (error) {
      // What we closed ourselves was counted, or is of no interest.
      if (isOpen) flow.cut(error instanceof ConcError ? error.message : problem(error));
    } finally {
      clearInterval(timer);
      this.#waiting.signal.removeEventListener("abort", close);
      close();
    }
    return answered;
  }

  #datagrams(): Promise<unknown> {
    return Promise.all(
      Array.from({ length: this.#plan.connections }, (_, index) => this.#datagramSocket(index)),
    );
  }

  /** Keeps one socket busy. */
  async #datagramSocket(index: number): Promise<void> {
    const { ip, port } = this.#options.target!;
    const any = ip.includes(":") ? "::" : "0.0.0.0";
    const socket = Deno.listenDatagram({ transport: "udp", hostname: any, port: 0 });
    const flow = new DatagramFlow(new Messages(this.#plan, index), { ...this.#plan, tally: this.#tally });
    let wake = () => {};
    const receiving = (async () => {
      const buffer = new Uint8Array(LONGEST_DATAGRAM);
      for (;;) {
        const [bytes, from] = await socket.receive(buffer) as [Uint8Array, Deno.NetAddr];
        if (from.port !== port || from.hostname !== ip) continue;
        flow.take(buffer, bytes.length, performance.now());
        wake();
      }
    })();
    receiving.catch(() => {});
    const timer = setInterval(() => {
      flow.expire(performance.now());
      wake();
    }, TICK_MS);
    const change = () => new Promise<void>((resolve) => wake = resolve);
    try {
      const { signal } = this.#sending;
      for (let intendedMs; (intendedMs = await this.#turn()) !== undefined;) {
        const bytes = flow.next(performance.now(), intendedMs);
        await socket.send(bytes, { transport: "udp", hostname: ip, port });
        while (!flow.hasRoom && !signal.aborted) await change();
      }
      while (flow.isWaiting && !this.#waiting.signal.aborted) await change();
    } finally {
      clearInterval(timer);
      socket.close();
      await receiving.catch(() => {});
    }
  }
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}
