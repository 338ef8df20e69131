/**
 * What a bench counts.
 *
 * @module
 */

import { type Distribution, type Histogram, percentileMs } from "./histogram.ts";

/** What became of requests. */
export interface Counts {
  /** Replies that came in time with every byte right. */
  messages: number;
  /** Replies with a wrong byte, too few or too many. */
  corrupt: number;
  /** Requests without a reply in time. */
  lost: number;
  /** Connections that could not be made or broke, and datagrams that were refused. */
  errors: number;
  /** Datagrams that came once more. */
  duplicated: number;
  /** Datagrams that came behind one that was sent after them (RFC 4737). */
  reordered: number;
  /** Datagrams that came after their request counted as lost. */
  late: number;
}

/** What happened since the interval before. */
export interface BenchInterval extends Counts {
  /** From the beginning to the end of the interval. */
  elapsedMs: number;
  messagesPerSecond: number;
  bytesPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** What a bench came to. */
export interface BenchSummary extends Counts {
  /** Requests of which it is known what became of them: answered, rightly or not, lost, or broken off. */
  requests: number;
  /** Requests that were due by `ratePerSecond` and never sent, as every connection was waiting. */
  unsent: number;
  /** How often each thing went wrong that is counted in `errors`. */
  reasons: Readonly<Record<string, number>>;
  /** How long was measured. */
  durationMs: number;
  messagesPerSecond: number;
  /** Bytes of the replies that were right. */
  bytesPerSecond: number;
  /** The round trips of these replies. */
  rtt: Distribution;
}

const NOTHING: Readonly<Counts> = {
  messages: 0,
  corrupt: 0,
  lost: 0,
  errors: 0,
  duplicated: 0,
  reordered: 0,
  late: 0,
};

/** Counts, all in all and for each interval. Invariant: the intervals add up to the whole. */
export class Tally {
  readonly #sizeBytes: number;
  readonly #times: Histogram;
  readonly #intervalTimes: Histogram;
  #counts: Counts = { ...NOTHING };
  #before: Counts = { ...NOTHING };
  #broken = 0;
  #reasons: Record<string, number> = {};
  #startMs = 0;
  #intervalStartMs = 0;
  #lastReplyMs = 0;
  #hasReplies = false;

  /**
   * @param sizeBytes Of each message.
   * @param makeHistogram From {@link Histogram.load}.
   */
  constructor(sizeBytes: number, makeHistogram: () => Histogram) {
    this.#sizeBytes = sizeBytes;
    this.#times = makeHistogram();
    this.#intervalTimes = makeHistogram();
  }

  /** Whether any reply came, since ever. */
  get hasReplies(): boolean {
    return this.#hasReplies;
  }

  /** Forgets what was counted, and begins to measure. */
  start(nowMs: number): void {
    this.#counts = { ...NOTHING };
    this.#before = { ...NOTHING };
    this.#broken = 0;
    this.#reasons = {};
    this.#startMs = this.#intervalStartMs = this.#lastReplyMs = nowMs;
    this.#times.reset();
    this.#intervalTimes.reset();
  }

  /** A reply came, and is right. */
  answered(rttMs: number, nowMs: number): void {
    this.#counts.messages += 1;
    this.#lastReplyMs = nowMs;
    this.#hasReplies = true;
    this.#times.record(rttMs);
    this.#intervalTimes.record(rttMs);
  }

  /** Something came that is not right. */
  corrupt(): void {
    this.#counts.corrupt += 1;
    this.#hasReplies = true;
  }

  /** Something happened to a datagram, or a request found no reply in time. */
  count(what: "lost" | "duplicated" | "reordered" | "late"): void {
    this.#counts[what] += 1;
  }

  /**
   * A connection could not be made or broke, or a datagram was refused.
   *
   * @param reason What happened, in few words.
   * @param withRequest Whether a request was under way that nothing else counts.
   */
  error(reason: string, withRequest = false): void {
    this.#counts.errors += 1;
    this.#reasons[reason] = (this.#reasons[reason] ?? 0) + 1;
    if (withRequest) this.#broken += 1;
  }

  /** What happened since this was called last. */
  interval(nowMs: number): BenchInterval {
    const counts = { ...this.#counts };
    for (const key of Object.keys(counts) as (keyof Counts)[]) counts[key] -= this.#before[key];
    const times = this.#intervalTimes.distribution();
    const seconds = (nowMs - this.#intervalStartMs) / 1_000;
    const messagesPerSecond = seconds > 0 ? counts.messages / seconds : 0;
    this.#before = { ...this.#counts };
    this.#intervalTimes.reset();
    this.#intervalStartMs = nowMs;
    return {
      elapsedMs: nowMs - this.#startMs,
      ...counts,
      messagesPerSecond,
      bytesPerSecond: messagesPerSecond * this.#sizeBytes,
      p50Ms: percentileMs(times, 50),
      p99Ms: percentileMs(times, 99),
      maxMs: times.maxMs,
    };
  }

  /**
   * What all came to.
   *
   * @param options `endMs`: when the last request was to be sent; `unsent`: see {@link BenchSummary}.
   */
  summary({ endMs, unsent }: { endMs: number; unsent: number }): BenchSummary {
    const { messages, corrupt, lost } = this.#counts;
    const durationMs = Math.max(endMs, this.#lastReplyMs) - this.#startMs;
    const messagesPerSecond = durationMs > 0 ? messages * 1_000 / durationMs : 0;
    return {
      ...this.#counts,
      requests: messages + corrupt + lost + this.#broken,
      unsent,
      reasons: this.#reasons,
      durationMs,
      messagesPerSecond,
      bytesPerSecond: messagesPerSecond * this.#sizeBytes,
      rtt: this.#times.distribution(),
    };
  }
}
