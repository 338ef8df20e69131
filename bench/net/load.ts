/**
 * The programs in C: they are compiled on the spot, and the load that they make is read back.
 *
 * @module
 */

import { findProgram } from "../executable.ts";
import { median, runProgram } from "../measure.ts";

/** Which of the two pairs. */
export type Protocol = "tcp" | "udp";

/** The paths of what is compiled. */
export type Programs = Record<"tcp_server" | "udp_server" | "delay_server" | "tcp_load" | "udp_load", string>;

/** What a load generator found. Times are round trips. */
export interface Report {
  messagesPerSecond: number;
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
  /** All that went wrong, and how often: replies that were corrupt, lost, cut short … */
  faults: Record<string, number>;
}

/** What a load is made of. */
export interface LoadOptions {
  clients: number;
  sizeBytes: number;
  seconds: number;
  /** What is not counted at the beginning. Default: {@link WARM_UP_SECONDS}. */
  warmUpSeconds?: number;
}

/** What is not counted at the beginning, unless told otherwise. */
export const WARM_UP_SECONDS = 0.3;

const FAULTS = [
  "refused",
  "corrupt",
  "cut",
  "closed",
  "unanswered",
  "lost",
  "late",
  "duplicated",
  "reordered",
  "errors",
] as const;

/** Compiles all of them into a directory; undefined if there is no compiler. */
export async function compile(directory: string): Promise<Programs | undefined> {
  const cc = findProgram("cc");
  if (cc === undefined) return undefined;
  const names = ["tcp_server", "udp_server", "delay_server", "tcp_load", "udp_load"] as const;
  const paths = await Promise.all(names.map(async (name) => {
    const path = `${directory}/${name}`;
    const source = `${import.meta.dirname}/${name}.c`;
    await runProgram([cc, "-Wall", "-Wextra", "-O2", "-pthread", "-o", path, source, "-lm"]);
    return [name, path] as const;
  }));
  return Object.fromEntries(paths) as Programs;
}

/** The words that make a load on a port. */
export function loadWords(program: string, port: number, options: LoadOptions): string[] {
  const { clients, sizeBytes, seconds, warmUpSeconds = WARM_UP_SECONDS } = options;
  return [
    program,
    ...["-c", clients, "-s", sizeBytes, "-d", seconds, "-w", warmUpSeconds].map(String),
    String(port),
  ];
}

/**
 * Lets a load generator run to its end.
 *
 * @throws {Error} If it could not do its work; what the server does wrong is in the report.
 */
export async function runLoad(words: readonly string[]): Promise<Report> {
  const [program, ...args] = words;
  const { code, stdout, stderr } = await new Deno.Command(program!, { args, stdin: "null" }).output();
  if (code <= 1) return readReport(new TextDecoder().decode(stdout));
  throw new Error(`${words.join(" ")} ended with ${code}: ${new TextDecoder().decode(stderr).trim()}`);
}

/** The report that ends what a load generator prints: its last line, a JSON object. */
export function readReport(printed: string): Report {
  const values = JSON.parse(printed.trimEnd().split("\n").at(-1)!) as Record<string, number>;
  const { messagesPerSecond, p50Ms, p90Ms, p99Ms } = values;
  for (const value of [messagesPerSecond, p50Ms, p90Ms, p99Ms]) {
    if (typeof value !== "number") throw new Error(`a load generator's report lacks a figure: ${printed}`);
  }
  const faults = FAULTS.filter((name) => (values[name] ?? 0) > 0).map((name) => [name, values[name]!]);
  return {
    messagesPerSecond: messagesPerSecond!,
    p50Ms: p50Ms!,
    p90Ms: p90Ms!,
    p99Ms: p99Ms!,
    faults: Object.fromEntries(faults),
  };
}

/** How many times the rate of others: the median of the rounds, each beside the one that ran right before or after it. */
export function ratioOf(reports: readonly Report[], others: readonly Report[]): number {
  return median(reports.map((report, round) => report.messagesPerSecond / others[round]!.messagesPerSecond));
}

/** Messages a second, p50, p99 and faults of some rounds, for a table. */
export function figures(reports: readonly Report[]): string[] {
  const ms = (key: "p50Ms" | "p99Ms") => `${median(reports.map((report) => report[key])).toFixed(2)} ms`;
  const faults: Report["faults"] = {};
  for (const report of reports) {
    for (const [name, count] of Object.entries(report.faults)) faults[name] = (faults[name] ?? 0) + count;
  }
  return [
    median(reports.map((report) => report.messagesPerSecond)).toFixed(0),
    ms("p50Ms"),
    ms("p99Ms"),
    describeFaults(faults),
  ];
}

/** The faults of a report in words: `none`, or such as `3 lost, 1 late`. */
export function describeFaults(faults: Report["faults"]): string {
  return Object.entries(faults).map(([name, count]) => `${count} ${name}`).join(", ") || "none";
}
