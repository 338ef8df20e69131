/**
 * What a UDP echo server counts. The counts are in memory that threads can share: one thread counts, and any may look.
 *
 * @module
 */

/** The counts, in the order in which people are told of them. */
const NAMES = [
  "datagramsIn",
  "datagramsOut",
  "bytesIn",
  "bytesOut",
  "truncated",
  "truncatedBytes",
  "ignored",
  "dropped",
  "duplicated",
  "delayed",
  "reordered",
  "overflowed",
  "errors",
] as const;

type Name = typeof NAMES[number];

/**
 * What a UDP echo server has counted. Invariant, once it has ended, unless the system failed to receive:
 * `datagramsOut + errors = datagramsIn - ignored - dropped - overflowed + duplicated`.
 */
export interface UdpEchoStatistics {
  /** Datagrams that were received. */
  datagramsIn: number;
  /** Datagrams that were sent. */
  datagramsOut: number;
  /** What was received of the datagrams' contents, without what was cut off. */
  bytesIn: number;
  /** What was sent. */
  bytesOut: number;
  /** Datagrams that were longer than the buffer. */
  truncated: number;
  /** What they held beyond it, and was lost. */
  truncatedBytes: number;
  /** Datagrams that are not answered, as their source is likely to answer the answer. */
  ignored: number;
  /** Replies that were not sent, on purpose. */
  dropped: number;
  /** Replies that were sent twice, on purpose. */
  duplicated: number;
  /** Replies that were held back, on purpose. */
  delayed: number;
  /** Replies that were sent after the one behind them, on purpose. */
  reordered: number;
  /** Replies that were to be held back when there was no room for more, and were lost. */
  overflowed: number;
  /** How often the system failed: to send a reply, which is lost then, or to receive. */
  errors: number;
}

/** Where each count is. */
export const COUNT: Readonly<Record<Name, number>> = Object.fromEntries(
  NAMES.map((name, index) => [name, index]),
) as Record<Name, number>;

/** The counts of a server: one number each, at its {@link COUNT}. */
export type Counts = Float64Array;

/** Counts that are all 0. */
export function makeCounts(): Counts {
  return new Float64Array(new SharedArrayBuffer(NAMES.length * Float64Array.BYTES_PER_ELEMENT));
}

/** What the counts are now. While another thread counts they may be a datagram apart from each other. */
export function readCounts(counts: Counts): UdpEchoStatistics {
  return Object.fromEntries(
    NAMES.map((name, index) => [name, counts[index]!]),
  ) as unknown as UdpEchoStatistics;
}
