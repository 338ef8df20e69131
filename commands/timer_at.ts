/**
 * `conc timer at`: run a command once, at a time of day or a date.
 *
 * @module
 */

import { UsageError } from "../lib/errors.ts";
import { parseMoment } from "../lib/time/at.ts";
import { at } from "../lib/time/once.ts";
import { localZone } from "../lib/time/zone.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { runOnce } from "./ticking.ts";
import { RUN_FLAGS, type RunFlags } from "./timer_flags.ts";

export default command<RunFlags>({
  brief: "Run a command once, at a time of day or a date",
  description: `A time is 18:30, 18:30:15, 'tomorrow 09:00', 2026-12-01T09:00 or, with an
offset, 2026-12-01T09:00Z. A time of day that has passed today is tomorrow's; a
date that has passed is an error. conc follows the wall clock: set forward over
the time, it runs within a second; set back, it waits. A time that the clocks
skip is the first moment after the gap, one that they show twice is the first of
the two.

The command has conc's stdin, stdout and stderr, and its exit code is conc's. A
single word with white space or a shell operator in it goes to sh -c. Without a
command the tick is printed: number, scheduled time, actual time, drift.`,
  examples: [
    {
      line: 'conc timer at "$(date -d +3sec +%FT%T)" echo now',
      does: "Three seconds from now, as date says it",
    },
    { line: 'conc timer at --json "$(date -u -d +3sec +%FT%TZ)"', does: "Wait until then, for programs" },
    { line: "conc timer at 2020-01-01T00:00 echo never", does: "Too late", exitCode: 2 },
  ],
  words: { usage: "TIME [CMD…]", minimum: 1, maximum: Infinity, wrapsAfter: 1 },
  flags: RUN_FLAGS,
  run: runAt,
});

function runAt(context: Context, flags: RunFlags & CommonFlags, words: string[]): Promise<number> {
  const { time, command } = readTime(words);
  const momentMs = parseMoment(time, { nowMs: context.now(), zone: flags.tz ?? localZone() });
  return runOnce(context, { flags, command, ticks: (options) => at(momentMs, options) });
}

/** A time of two words, such as tomorrow 09:00, needs no quotes; flags then stand before it. */
function readTime([time = "", ...rest]: string[]): { time: string; command: string[] } {
  const [second, ...command] = rest;
  const isDay = /^(today|tomorrow|\d{4}-\d\d-\d\d)$/.test(time);
  if (!isDay || second === undefined || !/^\d?\d:\d\d/.test(second)) return { time, command: rest };
  if (command[0]?.startsWith("-")) {
    throw new UsageError(
      `cannot run '${command[0]}': flags stand before the time, or quote '${time} ${second}'`,
    );
  }
  return { time: `${time} ${second}`, command };
}
