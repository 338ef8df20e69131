/**
 * `conc timer cron`: run a command at the times of a cron line.
 *
 * @module
 */

import { parseCron } from "../lib/time/cron.ts";
import { schedule } from "../lib/time/schedule.ts";
import { localZone } from "../lib/time/zone.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { runEach } from "./ticking.ts";
import {
  jitterOptions,
  REPEAT_ALIASES,
  REPEAT_FLAGS,
  type RepeatFlags,
  RUN_FLAGS,
  type RunFlags,
} from "./timer_flags.ts";

type CronFlags = RepeatFlags & RunFlags;

export default command<CronFlags>({
  brief: "Run a command at the times of a cron line",
  description: `The line has five fields (minute, hour, day of month, month, day of week), six
with seconds before them, or is @hourly @daily @weekly @monthly @yearly. Where
clocks change, fixed times that are skipped run right after the gap and those
that come twice run once; lines with * or a step in minute or hour go by the
clock. The wall clock is looked at every second: what a jump forward passes over
gives one late tick, and a jump back of less than three hours repeats nothing.

Runs print to conc's stdout and stderr and read /dev/null; CONC_SEQ is the
tick's number. A single word with white space or a shell operator in it goes to
sh -c. Without a command each tick is printed: number, scheduled time, actual
time, drift. Exit code: 0; 1 if a run failed (with --until-success: if all did);
127 if there is no such command.`,
  examples: [
    { line: "conc timer cron '* * * * * *' --count 2", does: "Every second, twice" },
    {
      line: "conc timer cron '@daily' --immediate -n 1 --timeout 1h 'echo backup'",
      does: "The first of the daily runs at once",
    },
  ],
  words: { usage: "EXPR [CMD…]", minimum: 1, maximum: Infinity, wrapsAfter: 1 },
  flags: { ...REPEAT_FLAGS, ...RUN_FLAGS },
  aliases: REPEAT_ALIASES,
  run: runCron,
});

function runCron(
  context: Context,
  flags: CronFlags & CommonFlags,
  [line = "", ...command]: string[],
): Promise<number> {
  const { immediate, tz: zone = localZone() } = flags;
  const cron = parseCron(line, { zone, nowMs: context.now() });
  return runEach(context, {
    flags,
    command,
    ticks: (options) => schedule(cron, { ...options, ...jitterOptions(flags), immediate }),
  });
}
