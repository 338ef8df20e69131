/**
 * What `conc spawn` says of a run, to programs and to people.
 *
 * @module
 */

import { toPrintable } from "../lib/bytes.ts";
import { reason, SystemError } from "../lib/errors.ts";
import type { ChildRun } from "../lib/jobs/child_run.ts";
import type { SupervisedEnd } from "../lib/jobs/supervisor.ts";
import { describeStatus } from "../lib/process/exit_status.ts";
import { causeOf, type Survivor } from "../lib/process/spawn.ts";
import { type JsonRecord, ndjson } from "../lib/report/ndjson.ts";
import { shorten } from "../lib/report/table.ts";
import { formatDuration } from "../lib/time/duration.ts";

/** A run that has ended. */
export interface SpawnEnd extends SupervisedEnd<ChildRun> {
  index: number;
  /** The command for people. */
  command: string;
}

/** The record of a run. What cannot be told is null. */
export async function runRecord(end: SpawnEnd): Promise<JsonRecord> {
  const { run, index, command, status, startedAtMs, durationMs, attempt, error } = end;
  const usage = await run?.child.usage;
  return {
    type: "run",
    index,
    pid: run?.child.pid ?? null,
    command,
    cause: causeOf(status),
    exitCode: status.exitCode,
    signal: status.signal ?? null,
    startedAt: new Date(startedAtMs).toISOString(),
    durationMs: Math.round(durationMs * 1_000) / 1_000,
    userMs: usage?.userMs ?? null,
    systemMs: usage?.systemMs ?? null,
    maxRssBytes: usage?.maxRssBytes ?? null,
    attempts: attempt,
    survivors: (run?.child.survivors ?? []).map(({ pid, command = null }) => ({ pid, command })),
    error: error?.message,
  };
}

/** Throws if nothing can be appended to a file. */
export function checkReport(path: string): void {
  append(path, "");
}

/** Appends a record to a file, in one piece. */
export function writeReport(path: string, record: JsonRecord): void {
  append(path, ndjson(record));
}

/** What people are told of a run: nothing, if there is nothing to tell. `always` are errors, `more` is for those who want to know. */
export function remarks(
  { run, command: text, status, error, attempt, restartMs }: SpawnEnd,
  { timeoutMs }: { timeoutMs: number | undefined },
): { always: string[]; more: string[] } {
  const command = shortened(text);
  const always: string[] = [];
  const more: string[] = [];
  if (error !== undefined && attempt > 1) always.push(error.message);
  if (status.cause === "timeout") {
    always.push(`timed out after ${formatDuration(timeoutMs!)}: '${command}' was ended`);
  }
  const { left = 0 } = run ?? {};
  if (left > 0) more.push(`ended ${processes(left)} that '${command}' had left running`);
  const { survivors = [] } = run?.child ?? {};
  if (survivors.length > 0) {
    more.push(`killed ${processes(survivors.length)} that did not end when asked: ${list(survivors)}`);
  }
  if (restartMs !== undefined) {
    const wait = formatDuration(restartMs);
    more.push(`'${command}' ended with ${describeStatus(status)}: restart ${attempt} in ${wait}`);
  }
  return { always, more };
}

function append(path: string, text: string): void {
  try {
    Deno.writeTextFileSync(path, text, { append: true });
  } catch (error) {
    throw new SystemError(`cannot write the report '${path}': ${reason(error)}`, { cause: error });
  }
}

/** `1 process`, `2 processes`. */
export function processes(count: number): string {
  return `${count} process${count === 1 ? "" : "es"}`;
}

const SHOWN_CHARACTERS = 60;
/** So many processes that a line has room for them. */
const LISTED = 3;

function list(survivors: readonly Survivor[]): string {
  const named = survivors.slice(0, LISTED).map(({ pid, command }) =>
    command === undefined ? String(pid) : `${pid} (${shortened(command)})`
  );
  return [...named, ...(survivors.length > LISTED ? ["…"] : [])].join(", ");
}

/** On one line, and so short that a screen has room for what is said of it. */
function shortened(command: string): string {
  return shorten(toPrintable(command), SHOWN_CHARACTERS);
}
