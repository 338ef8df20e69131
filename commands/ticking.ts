/**
 * What the subcommands of `conc timer` do at a tick: without a command it is printed, with one that is run.
 *
 * @module
 */

import { InterruptedError, TimeoutError, UsageError } from "../lib/errors.ts";
import { recordWithOutput } from "../lib/jobs/record.ts";
import {
  Repeater,
  type RepeaterOptions,
  type RepeaterSummary,
  type Run,
  type RunEnd,
} from "../lib/jobs/repeater.ts";
import { type OutputBlock, Spill } from "../lib/jobs/spill.ts";
import { capture, type StreamName } from "../lib/process/capture.ts";
import { shellWords, wantsShell } from "../lib/process/command_line.ts";
import { isReaderGone } from "../lib/process/libc.ts";
import { spawn } from "../lib/process/spawn.ts";
import { endAllDescendants } from "../lib/process/terminate.ts";
import { type JsonRecord, ndjson } from "../lib/report/ndjson.ts";
import { ReaderGoneError } from "../lib/report/output.ts";
import { type Clock, SYSTEM_CLOCK } from "../lib/time/clock.ts";
import { formatDuration } from "../lib/time/duration.ts";
import type { Tick } from "../lib/time/every.ts";
import { formatInZone, localZone } from "../lib/time/zone.ts";
import { type Context, say } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import { FAILURE, SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";
import { openReach } from "./reach.ts";
import type { RepeatFlags, RunFlags } from "./timer_flags.ts";

/** Gives the ticks of a subcommand until the signal is aborted. */
export type TickSource = (options: { signal: AbortSignal; clock: Clock }) => AsyncIterable<Tick>;

/**
 * Waits for one tick, and prints it or runs the command.
 *
 * @param options `command`: its words, none to print the tick; `ticks`: what is waited for.
 * @returns The command's own exit code.
 * @throws {TimeoutError} If the command took too long.
 */
export async function runOnce(
  context: Context,
  { flags, command, ticks: source }: {
    flags: RunFlags & CommonFlags;
    command: readonly string[];
    ticks: TickSource;
  },
): Promise<number> {
  checkCommand(command, { timeout: flags.timeout });
  const ticks = await announced(context, { flags, ticks: source, by: "set" });
  using interrupts = new Interrupts();
  if (command.length === 0) return await printTicks(context, { flags, ticks, interrupts });
  let end: RunEnd | undefined;
  await repeat(context, {
    ...{ flags, command, ticks, interrupts, stdin: "inherit", count: 1 },
    ended: (last) => Promise.resolve(void (end = last)),
  });
  interrupts.first.throwIfAborted();
  if (end!.status.cause !== "timeout") return end!.status.exitCode;
  throw new TimeoutError(
    `timed out after ${formatDuration(flags.timeout!)}: '${command.join(" ")}' was ended`,
  );
}

/**
 * Prints each tick, or runs the command at each.
 *
 * @param options `command`: its words, none to print the ticks; `ticks`: what is waited for.
 */
export async function runEach(
  context: Context,
  { flags, command, ticks: source }: {
    flags: RunFlags & RepeatFlags & CommonFlags;
    command: readonly string[];
    ticks: TickSource;
  },
): Promise<number> {
  checkCommand(command, { timeout: flags.timeout, untilSuccess: flags.untilSuccess });
  const ticks = await announced(context, { flags, ticks: source, by: "pulse" });
  using interrupts = new Interrupts();
  const { count = Infinity, overlap, untilSuccess, json } = flags;
  if (command.length === 0) return await printTicks(context, { flags, ticks, interrupts, count });
  const startedMs = context.monotonic();
  const summary = await repeat(context, {
    ...{ flags, command, ticks, interrupts, stdin: "null", count, overlap, untilSuccess },
    async ended({ tick, status, error }) {
      if (error !== undefined) await say(context, `run ${tick.number}: ${error.message}`);
      if (status.cause === "timeout") {
        await say(context, `run ${tick.number} timed out after ${formatDuration(flags.timeout!)}`);
      }
      // Without this, a command whose output nobody reads would be started for ever.
      if (!json && isReaderGone(1)) throw new ReaderGoneError("nobody reads stdout any more");
    },
    async skipped({ number, scheduledMs }) {
      if (json) {
        await context.stdout.write(ndjson({ type: "skipped", number, scheduledAt: iso(scheduledMs) }));
      }
    },
  });
  const durationMs = context.monotonic() - startedMs;
  return await report(context, { summary, flags, durationMs, interruption: interrupts.first.reason });
}

/** Runs the command at each tick; when it returns, nothing of it is left. */
async function repeat(
  context: Context,
  { flags, command, ticks, interrupts, stdin, ended, ...options }:
    & {
      flags: RunFlags & CommonFlags;
      command: readonly string[];
      ticks: TickSource;
      interrupts: Interrupts;
      stdin: "inherit" | "null";
    }
    & Pick<RepeaterOptions, "ended" | "skipped" | "count" | "overlap" | "untilSuccess">,
): Promise<RepeaterSummary> {
  const { timeout: timeoutMs, killAfter: killAfterMs, json } = flags;
  const { first: signal, second: escalate } = interrupts;
  const clock = clockOf(context);
  const script = command.join(" ");
  const words = wantsShell(command, flags.shell) ? shellWords(script) : command;
  using spill = new Spill();
  const outputs = new Map<Tick, Record<StreamName, OutputBlock>>();
  const start = (tick: Tick): Run => {
    const stream = json ? "piped" : "inherit";
    const env = { CONC_SEQ: String(tick.number) };
    const child = spawn(words, { stdin, stdout: stream, stderr: stream, env });
    const end: Run["end"] = (cause, options) => child.end(cause, options);
    if (!json) return { finished: child.status, end };
    const blocks = { stdout: spill.block(), stderr: spill.block() };
    outputs.set(tick, blocks);
    return { finished: capture(child, (stream, bytes) => blocks[stream].append(bytes.slice())), end };
  };
  const printAndTell = async (end: RunEnd) => {
    const blocks = outputs.get(end.tick) ?? { stdout: spill.block(), stderr: spill.block() };
    outputs.delete(end.tick);
    if (json) await context.stdout.writeParts(recordWithOutput(runRecord(end, script), blocks));
    blocks.stdout.clear();
    blocks.stderr.clear();
    await ended(end);
  };
  try {
    return await new Repeater({
      ...options,
      ticks: (signal) => ticks({ signal, clock }),
      start,
      ended: printAndTell,
      ...(timeoutMs !== undefined && { timeoutMs }),
      killAfterMs,
      signal,
      escalate,
      clock,
    }).run();
  } finally {
    await endAllDescendants({ graceMs: killAfterMs, escalate });
  }
}

/** Ticks that let the event happen that the flags name, before anything else is done at a tick. Its data is when the tick was due. */
async function announced(
  context: Context,
  { flags, ticks, by }: { flags: RunFlags & CommonFlags; ticks: TickSource; by: "set" | "pulse" },
): Promise<TickSource> {
  if (flags.event === undefined) return ticks;
  const reach = await openReach(context, flags);
  const event = await reach.event(flags.event);
  return async function* (options) {
    await using _reach = reach;
    const { signal } = options;
    for await (const tick of ticks(options)) {
      const happen = () => event[by](iso(tick.scheduledMs));
      try {
        await reach.whenFree(happen, { timeoutMs: Infinity, signal });
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      yield tick;
    }
  };
}

/** The clock of a command's context. */
function clockOf(context: Context): Clock {
  return {
    now: () => context.now(),
    monotonic: () => context.monotonic(),
    setTimeout: SYSTEM_CLOCK.setTimeout,
  };
}

async function printTicks(
  context: Context,
  { flags, ticks, interrupts, count = Infinity }: {
    flags: RunFlags & CommonFlags;
    ticks: TickSource;
    interrupts: Interrupts;
    count?: number;
  },
): Promise<number> {
  for await (const tick of ticks({ signal: interrupts.first, clock: clockOf(context) })) {
    await context.stdout.write(
      flags.json ? ndjson(tickRecord(tick)) : tickLine(tick, flags.tz ?? localZone()),
    );
    if (tick.number === count) break;
  }
  interrupts.first.throwIfAborted();
  return SUCCESS;
}

/** `1  2026-12-01T09:00:00.000+01:00  2026-12-01T09:00:00.001+01:00  0.8ms` */
function tickLine({ number, scheduledMs, actualMs, driftMs, missed }: Tick, zone: string): string {
  const drift = driftMs < 1_000 ? `${driftMs.toFixed(1)}ms` : formatDuration(driftMs);
  const times = `${formatInZone(scheduledMs, zone)}  ${formatInZone(actualMs, zone)}`;
  return `${String(number).padStart(4)}  ${times}  ${drift}${missed > 0 ? `  ${missed} missed` : ""}\n`;
}

function tickRecord({ number, scheduledMs, actualMs, driftMs, missed }: Tick): JsonRecord {
  const times = { scheduledAt: iso(scheduledMs), actualAt: iso(actualMs), driftMs: rounded(driftMs) };
  return { type: "tick", number, ...times, missed };
}

function runRecord({ tick, startedAtMs, durationMs, status, error }: RunEnd, command: string): JsonRecord {
  const { number, scheduledMs, driftMs, missed } = tick;
  return {
    type: "run",
    number,
    command,
    scheduledAt: iso(scheduledMs),
    startedAt: iso(startedAtMs),
    driftMs: rounded(driftMs),
    missed,
    cause: error !== undefined ? "error" : status.cause ?? (status.signal === undefined ? "exit" : "signal"),
    exitCode: status.exitCode,
    signal: status.signal ?? null,
    durationMs: rounded(durationMs),
    error: error?.message,
  };
}

async function report(
  context: Context,
  { summary, flags, durationMs, interruption }: {
    summary: RepeaterSummary;
    flags: RepeatFlags & CommonFlags;
    durationMs: number;
    interruption: unknown;
  },
): Promise<number> {
  const { runs, succeeded, failed, skipped } = summary;
  const isSuccess = flags.untilSuccess ? succeeded > 0 : failed === 0;
  const exitCode = isSuccess ? SUCCESS : FAILURE;
  if (flags.json) {
    await context.stdout.write(
      ndjson({ type: "summary", ...summary, exitCode, durationMs: rounded(durationMs) }),
    );
  }
  if (interruption instanceof InterruptedError) throw interruption;
  if (skipped > 0 && !flags.quiet) {
    await say(
      context,
      `skipped ${skipped} of ${runs + skipped} ticks as a run was not over: --overlap knows what else to do`,
    );
  }
  if (!isSuccess) await say(context, `${failed} of ${runs} runs failed`);
  return exitCode;
}

/** Throws if there is no command, and a flag wants one. */
function checkCommand(
  command: readonly string[],
  { timeout, untilSuccess = false }: { timeout: number | undefined; untilSuccess?: boolean },
): void {
  if (command[0] === "") throw new UsageError("cannot run an empty command: give its name");
  if (command.length > 0) return;
  const flag = timeout !== undefined ? "--timeout" : untilSuccess ? "--until-success" : undefined;
  if (flag !== undefined) throw new UsageError(`no command: ${flag} is about the command's runs`);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
