/**
 * `conc timer every`: run a command at a fixed interval that does not drift.
 *
 * @module
 */

import { UsageError } from "../lib/errors.ts";
import { parseDuration } from "../lib/time/duration.ts";
import { every } from "../lib/time/every.ts";
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

type EveryFlags = RepeatFlags & RunFlags;

const SHORTEST_MS = 1;

export default command<EveryFlags>({
  brief: "Run a command at a fixed interval that does not drift",
  description: `Tick N is due at the start plus N times D, on the monotonic clock: neither a
slow command nor a wall clock that is set moves it.

Runs print to conc's stdout and stderr and read /dev/null; CONC_SEQ is the
tick's number. A single word with white space or a shell operator in it goes to
sh -c. Without a command each tick is printed: number, scheduled time, actual
time, drift. Exit code: 0; 1 if a run failed (with --until-success: if all did);
127 if there is no such command.`,
  examples: [
    { line: "conc timer every 200ms --count 5", does: "Ticks, and how late each came" },
    { line: "conc timer every 0.2s -n 3 --immediate 'echo run $CONC_SEQ'", does: "A script, three times" },
    {
      line: "conc timer every 0.1s --until-success --timeout 1s --count 50 test -e one.log",
      does: "Wait until it works",
    },
    { line: "conc timer every 0.1s -n 2 --overlap kill sleep 0.15", does: "Only the latest run goes on" },
  ],
  words: { usage: "D [CMD…]", minimum: 1, maximum: Infinity, wrapsAfter: 1 },
  flags: { ...REPEAT_FLAGS, ...RUN_FLAGS },
  aliases: REPEAT_ALIASES,
  run: runEvery,
});

function runEvery(
  context: Context,
  flags: EveryFlags & CommonFlags,
  [interval = "", ...command]: string[],
): Promise<number> {
  const intervalMs = parseDuration(interval);
  if (intervalMs < SHORTEST_MS) {
    throw new UsageError(
      `cannot tick that often as the interval must be 1ms or more: received '${interval}'`,
    );
  }
  const { immediate } = flags;
  return runEach(context, {
    flags,
    command,
    ticks: (options) => every(intervalMs, { ...options, ...jitterOptions(flags), immediate }),
  });
}
