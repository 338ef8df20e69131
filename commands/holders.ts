/**
 * Who holds a lock or permits and who waits for them, as commands show it.
 *
 * @module
 */

import type { Holder, Reach, Waiter } from "../lib/named.ts";
import { type JsonRecord, ndjson } from "../lib/report/ndjson.ts";
import { shorten, table } from "../lib/report/table.ts";
import { parseName } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { openReach } from "./reach.ts";
import type { StoreFlags } from "./store_flags.ts";

/** How much is held or wanted: of a semaphore how many permits, of a lock whether it is shared. */
type Claim = { weight?: number; shared?: boolean };

/** A lock or semaphore at one moment. */
export interface Situation {
  name: string;
  /** How it stands, in a few words: `5 permits, 0 free, 3 waiting`. */
  text: string;
  /** Its own record. */
  record: JsonRecord;
  /** The longest first. */
  holders: readonly (Omit<Holder, "weight"> & Claim)[];
  /** In the order of the line. */
  waiters: readonly (Omit<Waiter, "weight"> & Claim)[];
  /** Whether somebody holds some of it who does not answer, and so is missing here. */
  isSilent: boolean;
}

/** Who holds something and does not say so. */
export const SILENT = "somebody who does not answer";

/** How much of a command stands in a message. */
const COMMAND_LENGTH = 60;

/** Who is in the way: `held by process 4711 (./backup.sh) since 2026-11-24 22:50:05`. */
export function describeHolders(
  { holders, waiters, isSilent }: Pick<Situation, "holders" | "waiters" | "isSilent">,
): string {
  const [first] = holders;
  if (first === undefined) {
    if (isSilent) return `is held by ${SILENT}: its process is stopped, or its machine is cut off`;
    const [next] = waiters;
    if (next === undefined) return "is free by now";
    const who = `process ${next.pid}${onHost(next.host)}${inParentheses(next.command)}`;
    return `has a line of ${waiters.length}, at its head ${who}`;
  }
  const { host, jobPid, pid = jobPid, command, since } = first;
  const process = pid === undefined ? "a token" : `process ${jobPid ?? pid}${onHost(host)}`;
  const who = `${process}${inParentheses(command)} since ${localText(since)}`;
  return holders.length === 1 ? `is held by ${who}` : `is held by ${holders.length}, the longest by ${who}`;
}

/** A record of each holder and each waiter. */
export function recordsOf({ name, holders, waiters }: Situation): JsonRecord[] {
  return [
    ...holders.map(({ pid, jobPid, since, command, ...rest }) => ({
      type: "holder",
      name,
      ...{ pid: pid ?? null, jobPid: jobPid ?? null },
      since: since.toISOString(),
      command: command ?? null,
      ...rest,
    })),
    ...waiters.map(({ pid, since, command, ...rest }, index) => ({
      type: "waiter",
      name,
      ...{ place: index + 1, pid, since: since.toISOString(), command: command ?? null, ...rest },
    })),
  ];
}

/**
 * Shows situations: as tables, or as records of holders, waiters, and each situation itself.
 *
 * @param options `none`: what is said to people if there are none.
 */
export async function showSituations(
  context: Context,
  { situations, flags, none }: { situations: readonly Situation[]; flags: CommonFlags; none: string },
): Promise<void> {
  if (flags.json) {
    const records = situations.flatMap((each) => [...recordsOf(each), each.record]);
    return await context.stdout.write(records.map(ndjson).join(""));
  }
  if (situations.length === 0 && !flags.quiet) return await say(context, none);
  // What is read by a program is not cut off.
  const columns = context.stdout.isTerminal ? context.columns() : Infinity;
  await context.stdout.write(situations.map((each) => situationText(each, columns)).join("\n"));
}

/**
 * Shows how those stand that are named, or else all there are.
 *
 * @param options `words`: their names; `all`: the names of all; `situation`: how one stands; `none`: what is said to people if there are none.
 * @throws {UsageError} If a word is no name, or the store is none that can be used.
 */
export async function runStatus(
  context: Context,
  { flags, words, all, situation, none }: {
    flags: StoreFlags & CommonFlags;
    words: readonly string[];
    all: (reach: Reach) => Promise<string[]>;
    situation: (reach: Reach, name: string) => Promise<Situation>;
    none: string;
  },
): Promise<number> {
  const wanted = words.map(parseName);
  await using reach = await openReach(context, flags);
  const situations: Situation[] = [];
  for (const name of wanted.length > 0 ? wanted : await all(reach)) {
    situations.push(await situation(reach, name));
  }
  await showSituations(context, { situations, flags, none });
  return SUCCESS;
}

/** A situation as a line, and a table of who holds and who waits. */
function situationText(situation: Situation, columns: number): string {
  const { name, text, holders, waiters } = situation;
  const head = `${name}: ${text}\n`;
  if (holders.length + waiters.length === 0) return head;
  const isWeighted = [...holders, ...waiters].every(({ weight }) => weight !== undefined);
  const hasHosts = [...holders, ...waiters].some(({ host }) => host !== undefined);
  const row = (
    state: string,
    { shared, weight, host = "-", since, command = "-" }: Claim & Pick<Waiter, "host" | "since" | "command">,
    { pid, token = "-" }: { pid: number | undefined; token?: string },
  ) => [
    `  ${state}${shared ? ", shared" : ""}`,
    String(pid ?? "-"),
    ...(hasHosts ? [host] : []),
    ...(isWeighted ? [String(weight)] : []),
    ...[localText(since), token, command],
  ];
  return head + table([
    [
      "  STATE",
      "PID",
      ...(hasHosts ? ["HOST"] : []),
      ...(isWeighted ? ["WEIGHT"] : []),
      "SINCE",
      "TOKEN",
      "COMMAND",
    ],
    ...holders.map((each) => row("holds", each, { pid: each.jobPid ?? each.pid, token: each.token })),
    ...waiters.map((each) => row("waits", each, { pid: each.pid })),
  ], { columns });
}

function onHost(host: string | undefined): string {
  return host === undefined ? "" : ` on ${host}`;
}

function inParentheses(command: string | undefined): string {
  return command === undefined ? "" : ` (${shorten(command, COMMAND_LENGTH)})`;
}

/** `2026-11-24 22:50:05`, on the clocks of this machine. */
function localText(date: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":")}`;
}
