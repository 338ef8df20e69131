/**
 * The flags that `conc tcp-echo bench` and `conc udp-echo bench` share.
 *
 * @module
 */

import type { FlagParametersForType } from "@stricli/core";
import { UsageError } from "../lib/errors.ts";
import type { BenchOptions } from "../lib/net/bench.ts";
import { type Gate, parseGates } from "../lib/net/bench/gate.ts";
import { type Transform, TRANSFORMS } from "../lib/net/transform.ts";
import { parseDuration } from "../lib/time/duration.ts";
import { parseCount, parseRate, parseSize } from "../lib/units.ts";
import { parseLimit } from "./echo_send.ts";

/** Flags of a bench. */
export type BenchFlags = {
  connections: number;
  size: number;
  duration?: number;
  count?: number;
  rate?: number;
  transform: Transform;
  warmup: number;
  timeout: number;
  failIf?: Gate[];
};

/** The conditions, of whatever happens to datagrams. */
export const FAIL_IF = {
  kind: "parsed",
  parse: (text: string) => parseGates(text),
  optional: true,
  placeholder: "EXPR",
  brief: "Exit 1 if one of these holds: 'p99>5ms,loss>1%,rate<1000/s'",
} as const;

/** The declarations of {@link BenchFlags}, but for `timeout`. */
export const BENCH_FLAGS: FlagParametersForType<Omit<BenchFlags, "timeout">, never> = {
  connections: {
    kind: "parsed",
    parse: (text: string) => parseCount(text, 1),
    default: "10",
    placeholder: "N",
    brief: "How many connections, or sockets",
  },
  size: {
    kind: "parsed",
    parse: parseMessageSize,
    default: "64",
    placeholder: "SIZE",
    brief: "Bytes of a message; from 11 on it has room for its whole number",
  },
  duration: {
    kind: "parsed",
    parse: parseLimit,
    optional: true,
    placeholder: "D",
    brief: "Send for D (10s, or until --count)",
  },
  count: {
    kind: "parsed",
    parse: (text: string) => parseCount(text, 1),
    optional: true,
    placeholder: "N",
    brief: "End after N messages",
  },
  rate: {
    kind: "parsed",
    parse: parseRate,
    optional: true,
    placeholder: "N/s",
    brief: "Send so many per second, whatever the server does; round trips count from when each was due",
  },
  transform: {
    kind: "enum",
    values: TRANSFORMS,
    default: "none",
    brief: "What the server does to messages, and the check expects",
  },
  warmup: {
    kind: "parsed",
    parse: parseDuration,
    default: "0",
    placeholder: "D",
    brief: "Send for D before it is measured",
  },
  failIf: FAIL_IF,
};

/** Letters for {@link BENCH_FLAGS}. */
export const BENCH_ALIASES = {
  c: "connections",
  s: "size",
  d: "duration",
  n: "count",
  t: "transform",
} as const;

/** What the help of both says of the measurement, up to the keys that only one has. */
export const BENCH_GATES = `--fail-if compares (> >= < <=), with commas between: min, mean, max, p50, p99.9
or any other percentile with a time (ns, us, ms, s); loss, corrupt, errors,
unsent, and for UDP duplicated, reordered, late with a count, or a percentage of
the requests; rate with messages per second.

Exit code: 0; 1 if one of these holds, or the server cannot be reached; 124 if
no reply came at all. Ctrl-C ends it early: what was measured is reported, and
the exit code is 130.`;

/** The flags as the library takes them. */
export function benchOptions(
  { connections, size, duration, count, rate, ...rest }: BenchFlags,
): BenchOptions {
  return {
    connections,
    sizeBytes: size,
    ...(duration !== undefined && { durationMs: duration }),
    ...(count !== undefined && { count }),
    ...(rate !== undefined && { ratePerSecond: rate }),
    transform: rest.transform,
    warmupMs: rest.warmup,
    timeoutMs: rest.timeout,
  };
}

function parseMessageSize(text: string): number {
  const bytes = parseSize(text);
  if (bytes > 0) return bytes;
  throw new UsageError(`cannot send messages of nothing: received '${text}'`);
}
