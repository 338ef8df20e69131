/**
 * `conc event wait`: wait for events, ports, files, processes, log lines, and then run a command.
 *
 * @module
 */

import { EitherSignal } from "../lib/abort.ts";
import { ConcError, InterruptedError, TimeoutError, UsageError } from "../lib/errors.ts";
import type { Reach } from "../lib/named.ts";
import { directoryOf } from "../lib/net/probe/file_changes.ts";
import { causeOf, type Child, type ChildStatus } from "../lib/process/spawn.ts";
import { type JsonRecord, ndjson } from "../lib/report/ndjson.ts";
import { gather } from "../lib/task/gather.ts";
import { formatDuration, parseDuration } from "../lib/time/duration.ts";
import { type Look, poll } from "../lib/time/poll.ts";
import { parseCount } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { parseTarget, type Source, type Target, type TargetLook } from "./event_target.ts";
import { exitCodeOf, FAILURE, SUCCESS, TIMEOUT } from "./exit_code.ts";
import { printRun } from "./holding.ts";
import { Interrupts } from "./interrupt.ts";
import { openReach } from "./reach.ts";
import { brokerUrl, STORE_FLAGS, type StoreFlags, storePath } from "./store_flags.ts";
import {
  runWrapped,
  WRAPPED_FLAGS,
  type WrappedCommand,
  wrappedCommand,
  type WrappedFlags,
} from "./wrapped.ts";

type WaitFlags =
  & StoreFlags
  & WrappedFlags
  & {
    any: boolean;
    not: boolean;
    timeout?: number;
    interval: number;
    attemptTimeout: number;
    retries?: number;
  };

/** The variable that has the data of the event for the command; of several, that of the last that was named. */
const DATA_VARIABLE = "CONC_EVENT_DATA";
const NO_LOOK: Look = { holds: false, seen: "no answer yet" };

const off = { kind: "boolean", default: false, withNegated: false } as const;

export default command<WaitFlags>({
  brief: "Wait for events, ports, files, and then run a command",
  description: `A TARGET is one of

  NAME              an event: it is set, or pulsed while we wait
  tcp:HOST:PORT     a server accepts connections (IPv6: tcp:[::1]:80)
  http(s)://…       a GET is answered with 2xx or 3xx; no redirect is followed
  unix:PATH         a server accepts connections at a socket
  file:PATH         there is such a file or directory
  pid:N             that process has exited
  log:FILE=~REGEXP  a line of a file matches: one that is there, or comes; the
                    file may come later, be truncated or replaced
  cmd:COMMAND       sh -c COMMAND exits 0

All must hold, each once, or with --any one; with --not none is to hold: each is
waited for until the opposite is so. stderr says what holds; an event's data is
printed on stdout. What stands behind -- is run then, with conc's stdin, stdout
and stderr, and its exit code is conc's; the data is in CONC_EVENT_DATA instead.

tcp, http, unix and cmd are asked every --interval, the others are watched.
--timeout 0 looks once. Exit code: 0; 1 if --retries were in vain; 124 if the
time ran out, with what was wrong with each.

--json prints a record of each target that held or was given up, and in the end
of those for which we waited in vain (type target: target, state (held, failed,
waiting), seen, attempts, elapsedMs; of an event also generation and data), one
of the command (type run: command, cause, exitCode, signal, waitedMs, startedAt,
durationMs, stdout, stderr), and one of type summary: targets, held, mode (all,
any), not, outcome (held, failed, timeout, interrupted), exitCode, durationMs.`,
  examples: [
    {
      line: "(sleep 0.3; conc event set up --data 'port 5432') & conc event wait up",
      does: "Wait for another script, and print what it says",
    },
    {
      line: "conc event wait file:one.log pid:4194304 --timeout 5s -- echo 'both hold'",
      does: "Wait for several things, then run a command",
    },
    {
      line: "conc event wait tcp:127.0.0.1:1 file:ready --timeout 0.5s",
      does: "Give up, and say why",
      exitCode: 124,
    },
    { line: "conc event wait --any tcp:127.0.0.1:1 'cmd:test -e one.log'", does: "One is enough" },
    { line: "conc event wait --not tcp:127.0.0.1:1 --json", does: "Until nobody listens there" },
  ],
  words: { usage: "TARGET… [-- CMD…]", minimum: 1, maximum: Infinity, keepsSeparator: true },
  flags: {
    any: { ...off, brief: "Wait until one target holds, not all" },
    not: { ...off, brief: "Wait for the opposite" },
    timeout: {
      kind: "parsed",
      parse: parseDuration,
      optional: true,
      placeholder: "D",
      brief: "Give up after D, with exit code 124; 0 looks once",
    },
    interval: {
      kind: "parsed",
      parse: parseDuration,
      default: "250ms",
      placeholder: "D",
      brief: "Pause between two attempts at tcp, http, unix and cmd",
    },
    attemptTimeout: {
      kind: "parsed",
      parse: parseDuration,
      default: "10s",
      placeholder: "D",
      brief: "An attempt that takes longer has failed; a cmd is ended then",
    },
    retries: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      optional: true,
      placeholder: "N",
      brief: "Give up after N attempts at one of these, with exit code 1",
    },
    ...WRAPPED_FLAGS,
    ...STORE_FLAGS,
  },
  run: runWait,
});

/** The wait for one target. */
interface Wait {
  target: Target;
  source: Source;
  state: "held" | "failed" | "waiting";
  /** What was seen last. */
  look: TargetLook;
  /** How often it was looked at. */
  attempts: number;
}

/** What all came to. */
type Outcome = "held" | "failed" | "timeout" | "interrupted";

const EXIT_CODES: Readonly<Partial<Record<Outcome, number>>> = {
  held: SUCCESS,
  failed: FAILURE,
  timeout: TIMEOUT,
};

/** Tells gather that a target was given up. */
class GivenUpError extends ConcError {}

async function runWait(
  context: Context,
  flags: WaitFlags & CommonFlags,
  words: string[],
): Promise<number> {
  const { targets, command } = readWords(words, flags);
  using interrupts = new Interrupts();
  const startMs = context.monotonic();
  const elapsedMs = () => context.monotonic() - startMs;
  await using reach = targets.some(({ isEvent }) => isEvent)
    ? await openReach(context, flags, { signal: interrupts.first })
    : undefined;
  const waits = await begin(context, { targets, flags, reach });
  const show = (wait: Wait) => showTarget(context, { wait, flags, command, elapsedMs });
  let ending: unknown;
  try {
    ending = await waitForAll(waits, { flags, signal: interrupts.first, settled: show });
  } finally {
    for (const { source } of waits) source[Symbol.dispose]();
  }
  const outcome = outcomeOf(waits, { flags, ending });
  let exitCode = EXIT_CODES[outcome] ?? exitCodeOf(ending);
  if (outcome !== "held") {
    for (const wait of waits) if (wait.state === "waiting") await show(wait);
  } else if (command !== undefined) {
    interrupts.first.throwIfAborted();
    exitCode = await runCommand(context, { command, flags, interrupts, waits, waitedMs: elapsedMs() });
  }
  if (flags.json) {
    const held = waits.filter(({ state }) => state === "held").length;
    const counts = { targets: waits.length, held, mode: flags.any ? "any" : "all", not: flags.not };
    await context.stdout.write(
      ndjson({ type: "summary", ...counts, outcome, exitCode, durationMs: rounded(elapsedMs()) }),
    );
  }
  interrupts.first.throwIfAborted();
  if (outcome !== "held") await complain(context, { waits, flags, outcome });
  return exitCode;
}

/** Opens the targets. `reach` is where the events are, if one of them is one. */
async function begin(
  context: Context,
  { targets, flags, reach }: { targets: readonly Target[]; flags: StoreFlags; reach: Reach | undefined },
): Promise<Wait[]> {
  const surroundings = {
    event: (name: string) => reach!.event(name),
    storeDirectory: reach && brokerUrl(context, flags) === undefined
      ? directoryOf(storePath(context, flags))
      : undefined,
  };
  const waits: Wait[] = [];
  for (const target of targets) {
    const source = await target.open(surroundings);
    waits.push({ target, source, state: "waiting", look: NO_LOOK, attempts: 0 });
  }
  return waits;
}

/** What a wait came to, by its targets and what ended it. */
function outcomeOf(
  waits: readonly Wait[],
  { flags: { any }, ending }: { flags: WaitFlags; ending: unknown },
): Outcome {
  const isHeld = ({ state }: Wait) => state === "held";
  if (any ? waits.some(isHeld) : waits.every(isHeld)) return "held";
  if (ending instanceof InterruptedError) return "interrupted";
  return ending instanceof TimeoutError ? "timeout" : "failed";
}

/**
 * Says what was wrong with each target that did not hold.
 *
 * @throws {TimeoutError} If the time ran out.
 */
async function complain(
  context: Context,
  { waits, flags: { timeout, retries }, outcome }: {
    waits: readonly Wait[];
    flags: WaitFlags;
    outcome: Outcome;
  },
): Promise<void> {
  const problems = waits.filter(({ state }) => state !== "held")
    .map(({ target, look }) => `${target.text}: ${look.seen}`).join("; ");
  if (outcome === "timeout") {
    throw new TimeoutError(
      timeout === 0 ? `looked once: ${problems}` : `timed out after ${formatDuration(timeout!)}: ${problems}`,
    );
  }
  await say(context, `gave up after ${retries} ${retries === 1 ? "attempt" : "attempts"}: ${problems}`);
}

/** The targets, and the command behind `--`. */
function readWords(
  words: readonly string[],
  { shell }: WrappedFlags,
): { targets: Target[]; command: WrappedCommand | undefined } {
  const at = words.indexOf("--");
  const targets = (at < 0 ? words : words.slice(0, at)).map(parseTarget);
  if (targets.length === 0) throw new UsageError("nothing to wait for: conc event wait TARGET… [-- CMD…]");
  if (at < 0) return { targets, command: undefined };
  if (at === words.length - 1) throw new UsageError("no command: give what to run behind --");
  return { targets, command: wrappedCommand(words.slice(at + 1), shell) };
}

/**
 * Waits for the targets as the flags say.
 *
 * @param options `settled`: called as soon as one is held or given up.
 * @returns What ended it, if that was no success.
 */
async function waitForAll(
  waits: readonly Wait[],
  { flags, signal, settled }: {
    flags: WaitFlags;
    signal: AbortSignal;
    settled: (wait: Wait) => Promise<void>;
  },
): Promise<unknown> {
  const { any, timeout: timeoutMs = Infinity } = flags;
  const once = timeoutMs === 0;
  const defect = new AbortController();
  const runs = waits.map((wait) => async (signal: AbortSignal) => {
    try {
      wait.look = await waitForOne(wait, { flags, signal });
      wait.state = wait.look.holds === flags.not ? "failed" : "held";
      await settled(wait);
    } catch (error) {
      if (!signal.aborted) defect.abort(error);
      throw error;
    }
    if (wait.state === "failed") throw new GivenUpError(wait.look.seen);
  });
  using either = new EitherSignal(signal, defect.signal);
  try {
    await gather(runs, {
      // Who looks once wants to know what is wrong with each.
      mode: any ? "any" : once ? "settled" : "all",
      signal: either.signal,
      ...(Number.isFinite(timeoutMs) && !once && { timeoutMs }),
    });
  } catch (error) {
    defect.signal.throwIfAborted();
    if (!once || signal.aborted) return error;
  }
  return once ? new TimeoutError("looked once") : undefined;
}

/** Waits for one target: until it is so, or was given up. */
async function waitForOne(
  wait: Wait,
  { flags, signal }: { flags: WaitFlags; signal: AbortSignal },
): Promise<TargetLook> {
  const { source } = wait;
  const { not, interval: intervalMs, attemptTimeout, retries = Infinity, timeout } = flags;
  const { rest } = source;
  if (source.wait !== undefined && !not && timeout !== 0) {
    wait.look = await source.probe(signal);
    return await source.wait(signal);
  }
  const asked = rest === undefined;
  return await poll(source.probe, {
    wanted: !not,
    ...{ intervalMs, signal },
    attempts: timeout === 0 ? 1 : asked ? retries : Infinity,
    limitMs: asked ? attemptTimeout : Infinity,
    looked(look, attempt) {
      wait.look = look;
      wait.attempts = attempt;
    },
    ...(rest !== undefined && { rest }),
  });
}

/** Says what a target is like, for people or programs, and prints the data of an event unless a command gets it. */
async function showTarget(
  context: Context,
  { wait: { target, state, look, attempts }, flags, command, elapsedMs }: {
    wait: Wait;
    flags: CommonFlags;
    command: WrappedCommand | undefined;
    elapsedMs: () => number;
  },
): Promise<void> {
  const { seen, generation, data } = look;
  if (flags.json) {
    const times = { attempts, elapsedMs: rounded(elapsedMs()) };
    const event = generation !== undefined && { generation, data: data ?? null };
    await context.stdout.write(
      ndjson({ type: "target", target: target.text, state, seen, ...times, ...event }),
    );
    return;
  }
  if (state !== "held") return;
  if (data !== undefined && command === undefined) await context.stdout.write(`${data}\n`);
  if (!flags.quiet) await say(context, `${target.text}: ${seen} (after ${formatDuration(elapsedMs())})`);
}

/** Runs what stands behind `--`, and returns its exit code. */
async function runCommand(
  context: Context,
  { command, flags, interrupts, waits, waitedMs }: {
    command: WrappedCommand;
    flags: WaitFlags & CommonFlags;
    interrupts: Interrupts;
    waits: readonly Wait[];
    waitedMs: number;
  },
): Promise<number> {
  const data = waits.findLast(({ state, look }) => state === "held" && look.data !== undefined)?.look.data;
  const env: Record<string, string> = data === undefined ? {} : { [DATA_VARIABLE]: data };
  const startedAt = new Date(context.now()).toISOString();
  const startMs = context.monotonic();
  const run = (capture?: (child: Child) => Promise<ChildStatus>) =>
    runWrapped(command, { env, killAfterMs: flags.killAfter, interrupts, started: () => {}, capture });
  if (!flags.json) return (await run()).exitCode;
  const record = (status: ChildStatus): JsonRecord => ({
    type: "run",
    ...{ command: command.text, cause: causeOf(status), exitCode: status.exitCode },
    signal: status.signal ?? null,
    waitedMs: rounded(waitedMs),
    startedAt,
    durationMs: rounded(context.monotonic() - startMs),
  });
  return await printRun(context, { run, record });
}

function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
