/**
 * What `conc tcp-echo bench` and `conc udp-echo bench` share: the live line, the report, and what it comes to.
 *
 * @module
 */

import { EitherSignal } from "../lib/abort.ts";
import { ConnectionError, TimeoutError } from "../lib/errors.ts";
import { type Endpoint, formatEndpoint } from "../lib/net/address.ts";
import { type BenchInterval, type BenchOptions, type BenchSummary, percentileMs } from "../lib/net/bench.ts";
import type { Gate } from "../lib/net/bench/gate.ts";
import { drawHistogram, formatLatency } from "../lib/report/latency.ts";
import { LiveLine } from "../lib/report/live_line.ts";
import { type JsonRecord, ndjson } from "../lib/report/ndjson.ts";
import { table } from "../lib/report/table.ts";
import { formatDuration } from "../lib/time/duration.ts";
import { type BenchFlags, benchOptions } from "./bench_flags.ts";
import { type Context, say } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import { exitCodeOf, FAILURE, SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";

/** What is counted of both kinds of server, and what only of datagrams, in the order of the report. */
const COUNTED = ["corrupt", "lost", "errors"] as const;
const COUNTED_OF_DATAGRAMS = ["duplicated", "reordered", "late"] as const;

const PERCENTILES = [["p50", 50], ["p90", 90], ["p99", 99], ["p99.9", 99.9]] as const;

/** What both subcommands have in common, and where they differ. */
export interface BenchRun {
  flags: BenchFlags & CommonFlags;
  endpoint: Endpoint;
  /** Whether the server has datagrams. */
  isUdp: boolean;
  /** Measures. */
  measure(options: BenchOptions): Promise<BenchSummary>;
}

/**
 * Measures, shows how it goes, and reports.
 *
 * @returns The exit code.
 * @throws {TimeoutError} If no reply came.
 * @throws {ConnectionError} If the server cannot be reached, or ended every connection.
 */
export async function runBench(context: Context, run: BenchRun): Promise<number> {
  const { flags } = run;
  using interrupts = new Interrupts();
  const broken = new AbortController();
  let last: BenchInterval | undefined;
  let written = Promise.resolve();
  const interval = (news: BenchInterval) => {
    last = news;
    if (!flags.json) return;
    const record = intervalRecord(news, run);
    written = written.then(() => context.stdout.write(ndjson(record)));
    // Who no longer reads does not want the rest.
    written.catch((error) => broken.abort(error));
  };
  using either = new EitherSignal(interrupts.first, broken.signal);
  const { signal } = either;
  const isLive = context.stderr.isTerminal && !flags.quiet;
  let summary: BenchSummary;
  {
    await using _line = isLive
      ? new LiveLine((elapsedMs) => formatLive(last, { elapsedMs, run }), {
        stdout: context.stdout,
        stderr: context.stderr,
        columns: () => context.columns(),
      })
      : undefined;
    summary = await run.measure({ ...benchOptions(flags), signal, interval });
  }
  await written;
  return await conclude(context, { run, summary, signal });
}

/** Prints the report, and says what is wrong. */
async function conclude(
  context: Context,
  { run, summary, signal }: { run: BenchRun; summary: BenchSummary; signal: AbortSignal },
): Promise<number> {
  const { flags, endpoint } = run;
  const failed = (flags.failIf ?? []).filter((gate) => gate.holds(summary));
  const silence = signal.aborted ? undefined : silenceOf(summary, { endpoint, timeoutMs: flags.timeout });
  const exitCode = signal.aborted
    ? exitCodeOf(signal.reason)
    : silence !== undefined
    ? exitCodeOf(silence)
    : failed.length > 0
    ? FAILURE
    : SUCCESS;
  await context.stdout.write(
    flags.json
      ? ndjson(summaryRecord(summary, { run, failed, exitCode, isInterrupted: signal.aborted }))
      : formatReport(summary, { run, columns: context.columns() }),
  );
  signal.throwIfAborted();
  if (silence !== undefined) throw silence;
  if (summary.unsent > 0 && !flags.quiet) {
    await say(
      context,
      `behind the rate: ${summary.unsent} messages were due and not sent: allow more connections`,
    );
  }
  for (const gate of failed) await say(context, `failed as ${gate.text}: ${explain(gate, summary)}`);
  return exitCode;
}

/** What went wrong if not one reply came. */
function silenceOf(
  { messages, corrupt, errors, requests, reasons }: BenchSummary,
  { endpoint, timeoutMs }: { endpoint: Endpoint; timeoutMs: number },
): Error | undefined {
  if (messages + corrupt > 0 || requests + errors === 0) return undefined;
  const where = formatEndpoint(endpoint);
  const said = Object.entries(reasons).sort(([, a], [, b]) => b - a)[0];
  if (said !== undefined) return new ConnectionError(`no reply from ${where}: ${said[0]} (${said[1]} times)`);
  const sent = `${requests} ${requests === 1 ? "message was" : "messages were"} sent`;
  return new TimeoutError(`no reply from ${where} in ${formatDuration(timeoutMs)}: ${sent}`);
}

function explain(gate: Gate, summary: BenchSummary): string {
  const value = gate.read(summary);
  switch (gate.kind) {
    case "time":
      return summary.rtt.count === 0 ? "no reply came" : `${gate.metric} is ${formatLatency(value)}`;
    case "percentage":
      return `${gate.metric} is ${formatPercent(value)}`;
    case "rate":
      return `${gate.metric} is ${formatRate(value)}`;
    case "count":
      return `${gate.metric} is ${value}`;
  }
}

function counted({ isUdp }: BenchRun): readonly (typeof COUNTED | typeof COUNTED_OF_DATAGRAMS)[number][] {
  return isUdp ? [...COUNTED, ...COUNTED_OF_DATAGRAMS] : COUNTED;
}

/** What is counted, as keys of a record. */
function countEntries(counts: BenchInterval | BenchSummary, run: BenchRun): Record<string, number> {
  return Object.fromEntries(counted(run).map((name) => [name, counts[name]]));
}

function intervalRecord(interval: BenchInterval, run: BenchRun): JsonRecord {
  const { elapsedMs, messages, messagesPerSecond, bytesPerSecond, p50Ms, p99Ms, maxMs } = interval;
  return {
    type: "interval",
    ...rounded({ elapsedMs, messages, messagesPerSecond, bytesPerSecond, p50Ms, p99Ms, maxMs }),
    ...countEntries(interval, run),
  };
}

function summaryRecord(
  summary: BenchSummary,
  { run, failed, exitCode, isInterrupted }: {
    run: BenchRun;
    failed: readonly Gate[];
    exitCode: number;
    isInterrupted: boolean;
  },
): JsonRecord {
  const { rtt, durationMs, requests, messages, messagesPerSecond, bytesPerSecond, unsent, reasons } = summary;
  const { connections, size, transform, rate } = run.flags;
  const percentiles = PERCENTILES.map(([name, percent]) => [
    `${name.replace(".", "")}Ms`,
    percentileMs(rtt, percent),
  ]);
  const times = {
    minMs: rtt.minMs,
    meanMs: rtt.meanMs,
    ...Object.fromEntries(percentiles),
    maxMs: rtt.maxMs,
  };
  return {
    type: "summary",
    address: formatEndpoint(run.endpoint),
    ...{ connections, sizeBytes: size, transform, ratePerSecond: rate ?? null },
    ...rounded({ durationMs, requests, messages, messagesPerSecond, bytesPerSecond }),
    // Of nothing there are no times.
    ...(rtt.count === 0 ? Object.fromEntries(Object.keys(times).map((key) => [key, null])) : rounded(times)),
    ...countEntries(summary, run),
    ...{ reasons, unsent },
    failed: failed.map(({ text }) => text),
    outcome: isInterrupted ? "interrupted" : exitCode === SUCCESS ? "passed" : "failed",
    exitCode,
  };
}

function formatLive(
  interval: BenchInterval | undefined,
  { elapsedMs, run }: { elapsedMs: number; run: BenchRun },
): string {
  const seconds = formatDuration(Math.floor(elapsedMs / 1_000) * 1_000);
  if (interval === undefined) return `${seconds}: ${formatEndpoint(run.endpoint)}`;
  const { messagesPerSecond, p50Ms, p99Ms } = interval;
  const wrong = counted(run).filter((name) => interval[name] > 0).map((name) => `${interval[name]} ${name}`);
  const times = [`p50 ${formatLatency(p50Ms)}`, `p99 ${formatLatency(p99Ms)}`];
  return [`${seconds}: ${formatRate(messagesPerSecond)}`, ...times, ...wrong].join(", ");
}

function formatReport(
  summary: BenchSummary,
  { run, columns }: { run: BenchRun; columns: number },
): string {
  const { rtt, messages, requests, durationMs, messagesPerSecond, bytesPerSecond, reasons } = summary;
  const share = (count: number) =>
    count === 0 ? "" : ` (${formatPercent(count * 100 / Math.max(1, requests))})`;
  const speed = `${formatRate(messagesPerSecond)}, ${formatBytes(bytesPerSecond)}/s`;
  const rows = [
    ["messages", `${messages} in ${formatDuration(durationMs)}: ${speed}`],
    ...counted(run).map((name) => {
      const why = name === "errors"
        ? Object.entries(reasons).map(([text, count]) => `, ${count} x ${text}`)
        : [];
      return [name, `${summary[name]}${name === "errors" ? "" : share(summary[name])}${why.join("")}`];
    }),
  ];
  if (rtt.count === 0) return table(rows, { columns });
  const times: [string, number][] = [
    ["min", rtt.minMs],
    ["mean", rtt.meanMs],
    ...PERCENTILES.map(([name, percent]): [string, number] => [name, percentileMs(rtt, percent)]),
    ["max", rtt.maxMs],
  ];
  const percentiles = table([
    ["rtt", ...times.map(([name]) => name)],
    ["", ...times.map(([, ms]) => formatLatency(ms))],
  ]);
  return [table(rows, { columns }), percentiles, drawHistogram(rtt.steps, { columns })].join("\n");
}

function formatRate(perSecond: number): string {
  return `${perSecond < 100 ? Number(perSecond.toPrecision(3)) : Math.round(perSecond)}/s`;
}

function formatPercent(percent: number): string {
  return `${Number(percent.toPrecision(3))}%`;
}

function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  return `${Number((bytes / 2 ** (10 * power)).toPrecision(3))} ${units[power]}`;
}

/** The same with four decimals: of milliseconds a tenth of a microsecond. */
function rounded(values: Record<string, number>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, Math.round(value * 1e4) / 1e4]),
  );
}
