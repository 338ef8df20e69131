/**
 * Conditions on what a bench came to, such as `p99>5ms,loss>1%`: if one holds, the server is not good enough.
 *
 * @module
 */

import { UsageError } from "../../errors.ts";
import type { BenchSummary } from "./tally.ts";
import { percentileMs } from "./histogram.ts";

/** What can be compared with a time. */
const TIMES: Readonly<Record<string, (summary: BenchSummary) => number>> = {
  min: ({ rtt }) => rtt.minMs,
  mean: ({ rtt }) => rtt.meanMs,
  max: ({ rtt }) => rtt.maxMs,
};

/** What can be compared with a count, or with a percentage of the requests. */
const COUNTS_OF_STREAMS: Readonly<Record<string, (summary: BenchSummary) => number>> = {
  loss: ({ lost }) => lost,
  corrupt: ({ corrupt }) => corrupt,
  errors: ({ errors }) => errors,
  unsent: ({ unsent }) => unsent,
};

/** The same, and what happens to datagrams alone. */
const COUNTS: typeof COUNTS_OF_STREAMS = {
  ...COUNTS_OF_STREAMS,
  duplicated: ({ duplicated }) => duplicated,
  reordered: ({ reordered }) => reordered,
  late: ({ late }) => late,
};

const COMPARISONS: Readonly<Record<string, (value: number, limit: number) => boolean>> = {
  ">": (value, limit) => value > limit,
  ">=": (value, limit) => value >= limit,
  "<": (value, limit) => value < limit,
  "<=": (value, limit) => value <= limit,
};

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
};

/** A condition that makes a bench fail. */
export interface Gate {
  /** As it was typed. */
  text: string;
  /** What it is about, such as `p99`. */
  metric: string;
  /** Of what kind the value is. */
  kind: "time" | "count" | "percentage" | "rate";
  /** The value: milliseconds, a count, a percentage of the requests, or messages per second. */
  read(summary: BenchSummary): number;
  /** Whether the condition holds. */
  holds(summary: BenchSummary): boolean;
}

/**
 * Reads conditions with commas between them. Each is a metric, one of `> >= < <=`, and a value:
 *
 * - `min`, `mean`, `max`, `p50`, `p99.9` and any other percentile with a time: `5ms`, `250us`, `1s`;
 * - `loss`, `corrupt`, `errors`, `duplicated`, `reordered`, `late`, `unsent` with a count, or a percentage of the requests: `1%`;
 * - `rate` with messages per second: `1000/s`.
 *
 * Where no reply came there are no times: then every condition on a time holds.
 *
 * @param text What was typed.
 * @param options `isStream`: whether it is of TCP, where nothing is duplicated, reordered or late (false).
 * @throws {UsageError} If it cannot be read, or names what cannot happen.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseGates("p99>5ms, loss>1%").map(({ metric, kind }) => [metric, kind]), [["p99", "time"], ["loss", "percentage"]]);
 * ```
 */
export function parseGates(text: string, { isStream = false } = {}): Gate[] {
  const counts = isStream ? COUNTS_OF_STREAMS : COUNTS;
  return text.split(",").map((part) => parseGate(part.trim(), counts));
}

function parseGate(text: string, counts: typeof COUNTS): Gate {
  const [, metric = "", sign = "", value = ""] = /^([a-z][a-z\d.]*)\s*(>=?|<=?)\s*(\S+)$/.exec(text) ?? [];
  const compare = COMPARISONS[sign];
  if (compare === undefined) {
    throw unreadable(text, "it must be METRIC>VALUE or METRIC<VALUE, such as p99>5ms or loss>1%");
  }
  const { kind, limit, read } = parseMetric(text, { metric, value, counts });
  const isTime = kind === "time";
  return {
    ...{ text, metric, kind, read },
    holds: (summary) => isTime && summary.rtt.count === 0 || compare(read(summary), limit),
  };
}

function parseMetric(
  text: string,
  { metric, value, counts }: { metric: string; value: string; counts: typeof COUNTS },
): Pick<Gate, "kind" | "read"> & { limit: number } {
  const [, percentile] = /^p(\d{1,3}(?:\.\d+)?)$/.exec(metric) ?? [];
  const percent = Number(percentile);
  const time = Object.hasOwn(TIMES, metric)
    ? TIMES[metric]
    : percent <= 100
    ? ({ rtt }: BenchSummary) => percentileMs(rtt, percent)
    : undefined;
  if (time !== undefined) return { kind: "time", read: time, limit: parseTime(text, value) };
  if (metric === "rate") {
    const [, number] = /^(\d+(?:\.\d+)?)(?:\/s)?$/.exec(value) ?? [];
    if (number === undefined) throw unreadable(text, "a rate must be a number per second, such as 1000/s");
    return { kind: "rate", read: ({ messagesPerSecond }) => messagesPerSecond, limit: Number(number) };
  }
  const count = Object.hasOwn(counts, metric) ? counts[metric] : undefined;
  if (count === undefined) {
    const names = ["pN", ...Object.keys(TIMES), ...Object.keys(counts), "rate"].join(", ");
    throw unreadable(text, `'${metric}' is none of ${names}`);
  }
  const [, number, sign] = /^(\d+(?:\.\d+)?)(%?)$/.exec(value) ?? [];
  if (number === undefined) {
    throw unreadable(text, "the value must be a count, or a percentage of the requests");
  }
  if (sign === "") return { kind: "count", read: count, limit: Number(number) };
  const percentage = (summary: BenchSummary) =>
    summary.requests === 0 ? 0 : count(summary) * 100 / summary.requests;
  return { kind: "percentage", read: percentage, limit: Number(number) };
}

function parseTime(text: string, value: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)(ns|us|µs|ms|s)$/.exec(value) ?? [];
  if (number === undefined) throw unreadable(text, "a time must have ns, us, ms or s, such as 5ms");
  return Number(number) * UNIT_MS[unit]!;
}

function unreadable(text: string, why: string): UsageError {
  return new UsageError(`cannot read the condition '${text}': ${why}`);
}
