/**
 * `conc timer after`: run a command once, after some time.
 *
 * @module
 */

import { parseDuration } from "../lib/time/duration.ts";
import { after } from "../lib/time/once.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { runOnce } from "./ticking.ts";
import { JITTER_FLAGS, type JitterFlags, jitterOptions, RUN_FLAGS, type RunFlags } from "./timer_flags.ts";

type AfterFlags = RunFlags & JitterFlags;

export default command<AfterFlags>({
  brief: "Run a command once, after some time",
  description: `The time is counted on the monotonic clock: setting the wall clock changes
nothing.

The command has conc's stdin, stdout and stderr, and its exit code is conc's. A
single word with white space or a shell operator in it goes to sh -c. Without a
command the tick is printed: number, scheduled time, actual time, drift.`,
  examples: [
    { line: "conc timer after 0.3s echo later", does: "Say it later" },
    { line: "conc timer after 100ms --timeout 5s 'sleep 0.1; exit 3'", does: "A script", exitCode: 3 },
    { line: "conc timer after 0.2s --jitter 50%", does: "Wait for 200ms to 300ms" },
  ],
  words: { usage: "D [CMD…]", minimum: 1, maximum: Infinity, wrapsAfter: 1 },
  flags: { ...JITTER_FLAGS, ...RUN_FLAGS },
  run: runAfter,
});

function runAfter(
  context: Context,
  flags: AfterFlags & CommonFlags,
  [delay = "", ...command]: string[],
): Promise<number> {
  const delayMs = parseDuration(delay);
  return runOnce(context, {
    flags,
    command,
    ticks: (options) => after(delayMs, { ...options, ...jitterOptions(flags) }),
  });
}
