/**
 * `conc zombie-demo scan`: the zombies of this machine, and what to do about their parents.
 *
 * @module
 */

import { UsageError } from "../lib/errors.ts";
import { type ZombieScan, ZombieScanner } from "../lib/process/zombies.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { parseDuration } from "../lib/time/duration.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { FAILURE, SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";
import { rest } from "./resting.ts";
import { scanRecords, scanText } from "./zombie_text.ts";

type ScanFlags = { watch?: number; fail: boolean };

const SHORTEST_MS = 100;
const CLEAR = "\x1b[H\x1b[2J";

export default command<ScanFlags>({
  brief: "Find zombies, and say what to do about their parents",
  description: `A zombie has ended, and its parent has not waited for it. STARTED is how long
ago it started, SEEN since when it is known to be a zombie; when it ended no
system tells. Every process is a zombie for a moment: one counts that is still
there at a second look, 100ms later. A process whose first thread has ended
while others go on looks like one and is none; it is listed apart.

Of each parent: how many zombies it has, why it may not be waiting, and what to
run, the mildest first. Linux is read from /proc; elsewhere ps is asked, which
knows less. With --watch --fail it ends at the first zombie.

--json prints a record of each zombie (type zombie: pid, ppid, state, name,
ageMs, seenMs), of each parent that can be seen (type parent: pid, ppid, name,
command, state, ageMs, uid, tracerPid, childSignal, isInit, service, container,
zombies, cause, why, advice: a list of command and does), of each that only
looks like one (type halfEnded: pid, ppid, state, name, ageMs), and at the end
of each scan one of type scan: at, zombies, parents, processes, pidsUsed,
pidsLimit, hidden. What is not known is null. hidden is true where /proc hides
other users' processes. Exit code: 0; with --fail 1 if there is a zombie.`,
  examples: [
    { line: "conc zombie-demo scan", does: "Once" },
    { line: "conc zombie-demo scan --json", does: "For programs" },
    { line: "conc zombie-demo scan --watch 0.2s | head -2", does: "Again and again" },
  ],
  words: { usage: "", minimum: 0, maximum: 0 },
  flags: {
    watch: {
      kind: "parsed",
      parse: parseInterval,
      optional: true,
      placeholder: "D",
      brief: "Scan again, D after each scan, until a signal comes",
    },
    fail: { kind: "boolean", default: false, withNegated: false, brief: "Exit with 1 if there is any" },
  },
  run: runScan,
});

function parseInterval(text: string): number {
  const ms = parseDuration(text);
  if (ms >= SHORTEST_MS) return ms;
  throw new UsageError(`cannot scan that often as the interval must be 100ms or more: received '${text}'`);
}

async function runScan(context: Context, flags: ScanFlags & CommonFlags): Promise<number> {
  const { watch, fail, json } = flags;
  using interrupts = new Interrupts();
  const signal = interrupts.first;
  const scanner = new ZombieScanner();
  for (;;) {
    const scan = await scanner.scan({ signal });
    const at = new Date(context.now());
    const text = json ? scanRecords(scan, at).map(ndjson).join("") : page(context, { scan, at, flags });
    await context.stdout.write(text);
    if (fail && scan.zombies.length > 0) return FAILURE;
    if (watch === undefined) return SUCCESS;
    await rest(watch, { signal });
  }
}

/** A scan for people. Watched on a terminal it takes the place of the one before, and is no longer than the screen. */
function page(
  context: Context,
  { scan, at, flags }: { scan: ZombieScan; at: Date; flags: ScanFlags & CommonFlags },
): string {
  const isWatched = flags.watch !== undefined;
  const columns = context.stdout.isTerminal ? context.columns() : Infinity;
  const options = { columns, ...(isWatched && { at }), isQuiet: flags.quiet };
  if (!isWatched || !context.stdout.isTerminal) return scanText(scan, options);
  const rest = scanText(scan, { ...options, most: 0 }).split("\n").length;
  return CLEAR + scanText(scan, { ...options, most: Math.max(0, context.rows() - rest) });
}
