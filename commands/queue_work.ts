/**
 * `conc queue work`: run a command for each item of a queue.
 *
 * @module
 */

import { InterruptedError, UsageError } from "../lib/errors.ts";
import { Admission } from "../lib/jobs/admission.ts";
import { Template } from "../lib/jobs/template.ts";
import { WorkRun, type WorkSummary } from "../lib/jobs/work.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { parseDuration } from "../lib/time/duration.ts";
import { parseCount, parseName } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { exitCodeOf, FAILURE, SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";
import { JOBS_FLAG } from "./jobs_flag.ts";
import { endLeftovers } from "./leftovers.ts";
import { LOSS_FLAGS, type LossFlags } from "./loss.ts";
import { items } from "./queue_flags.ts";
import { openReach } from "./reach.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";
import { WRAPPED_FLAGS, type WrappedFlags } from "./wrapped.ts";

type WorkFlags = StoreFlags & WrappedFlags & LossFlags & {
  jobs?: number;
  retries: number;
  backoff: number;
  lease?: number;
  untilEmpty: boolean;
  stdin: boolean;
  timeout?: number;
};

const SHORTEST_LEASE_MS = 1_000;

export default command<WorkFlags>({
  brief: "Run a command for each item, again where it failed",
  description: `The item stands for {} in the command, else it is the last argument; with
--stdin the command reads it. Placeholders are those of conc pool. An item
leaves the queue when the command exits with 0. Else it is tried again, by
whichever worker is free, after --backoff, twice that, four times that …; what
has failed --retries times is a dead letter: conc queue dead shows these.

A worker that dies, be it by SIGKILL, gives its items back; while their jobs
live on without it, these hold them. So an item may be done again, but not by
two at once. With --lease it comes back also from a worker that hangs, even if
its job still runs. Over a broker an item comes back once the connection of its
worker is lost: --on-lost says what becomes of its job. CONC_SEQ, CONC_SLOT and
CONC_ATTEMPT are in the environment.

Without --until-empty conc waits for more. The first SIGINT or SIGTERM stops new
work and is passed on to the jobs; what they do not finish is given back. Exit
code: 0; 1 if an item became a dead letter; 127 if there is no such command.

--json prints a record of each job, of type job: seq, slot, item (itemBase64 if
it is no UTF-8), command, outcome (done, retried, dead, returned, lost),
attempts, cause (exit, signal, timeout, interrupted, halted, lost), exitCode,
signal, retryInMs, startedAt, durationMs, error, stdout, stderr; and one of type
summary: name, done, retried, dead, returned, lost, exitCode, durationMs.`,
  examples: [
    {
      line: "seq 4 | conc queue put jobs; conc queue work jobs -j2 --until-empty echo",
      does: "Four items, two at a time",
    },
    {
      line: "seq 4 | conc queue put jobs; conc queue work jobs --stdin --until-empty wc -c",
      does: "Items as standard input",
    },
    {
      line: "conc queue put a 1 2; conc queue work a --until-empty --retries 2 test 1 -eq",
      does: "What fails twice is a dead letter",
      exitCode: 1,
    },
  ],
  words: { usage: "NAME CMD…", minimum: 1, maximum: Infinity, wrapsAfter: 1 },
  flags: {
    jobs: JOBS_FLAG,
    retries: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      default: "3",
      placeholder: "N",
      brief: "Try an item up to N times until it works",
    },
    backoff: {
      kind: "parsed",
      parse: parseDuration,
      default: "1s",
      placeholder: "D",
      brief: "Wait before the second try, and twice as long from each to the next, up to 1h",
    },
    lease: {
      kind: "parsed",
      parse: parseLease,
      optional: true,
      placeholder: "D",
      brief: "Give an item to another worker once conc has shown no sign of life for D",
    },
    untilEmpty: {
      kind: "boolean",
      default: false,
      withNegated: false,
      brief: "End once every item is dealt with, also by other workers",
    },
    stdin: {
      kind: "boolean",
      default: false,
      withNegated: false,
      brief: "Give the command the item as standard input",
    },
    timeout: {
      kind: "parsed",
      parse: parseTimeout,
      optional: true,
      placeholder: "D",
      brief: "End a job that takes longer than D; it has failed then",
    },
    ...WRAPPED_FLAGS,
    ...LOSS_FLAGS,
    ...STORE_FLAGS,
  },
  aliases: { j: "jobs" },
  run: runWork,
});

async function runWork(
  context: Context,
  flags: WorkFlags & CommonFlags,
  [name = "", ...typed]: string[],
): Promise<number> {
  if (typed.length === 0 || typed[0] === "") {
    throw new UsageError("no command: give what to run for each item behind the name");
  }
  const template = new Template(typed, {
    append: !flags.stdin,
    ...(flags.shell !== undefined && { shell: flags.shell }),
  });
  parseName(name);
  using interrupts = new Interrupts();
  const signal = interrupts.first;
  await using reach = await openReach(context, flags, { signal });
  const slots = flags.jobs ?? navigator.hardwareConcurrency;
  using source = await reach.consumer(name, {
    concurrency: slots,
    ...(flags.lease !== undefined && { leaseMs: flags.lease }),
    untilEmpty: flags.untilEmpty,
    command: typed.join(" "),
    signal,
  });
  const startMs = context.monotonic();
  const run = new WorkRun({
    ...{ template, source, stdout: context.stdout, stderr: context.stderr },
    ...{ json: flags.json, stdin: flags.stdin, retries: flags.retries, backoffMs: flags.backoff },
    onLost: flags.onLost,
    say: async (text, { isNews } = { isNews: false }) => {
      if (!(isNews && flags.quiet)) await say(context, text);
    },
    pool: {
      slots,
      admission: new Admission({}),
      ...(flags.timeout !== undefined && { timeout: { ms: flags.timeout } }),
      killAfterMs: flags.killAfter,
      signal,
      escalate: interrupts.second,
    },
  });
  let summary: WorkSummary;
  try {
    summary = await run.run();
  } finally {
    await endLeftovers(context, { killAfterMs: flags.killAfter, quiet: flags.quiet, interrupts });
  }
  const durationMs = context.monotonic() - startMs;
  return await report(context, { summary, flags, name, durationMs, interruption: signal.reason });
}

async function report(
  context: Context,
  { summary, flags, name, durationMs, interruption }: {
    summary: WorkSummary;
    flags: CommonFlags;
    name: string;
    durationMs: number;
    interruption: unknown;
  },
): Promise<number> {
  const isInterrupted = interruption instanceof InterruptedError;
  const exitCode = isInterrupted ? exitCodeOf(interruption) : summary.dead > 0 ? FAILURE : SUCCESS;
  if (flags.json) {
    const rounded = Math.round(durationMs * 1_000) / 1_000;
    await context.stdout.write(
      ndjson({ type: "summary", name, ...summary, exitCode, durationMs: rounded }),
    );
  }
  const { done, dead, returned } = summary;
  if (isInterrupted) {
    if (!flags.quiet) {
      await say(context, `stopped by ${interruption.signal}: ${done} done, ${items(returned)} given back`);
    }
    throw interruption;
  }
  if (dead > 0) await say(context, `${items(dead)} failed for good: conc queue dead ${name} shows why`);
  return exitCode;
}

function parseLease(text: string): number {
  const ms = parseDuration(text);
  if (ms >= SHORTEST_LEASE_MS) return ms;
  throw new UsageError(`cannot use a lease that short as it must be 1s or more: received '${text}'`);
}

function parseTimeout(text: string): number {
  const ms = parseDuration(text);
  if (ms > 0) return ms;
  throw new UsageError(`cannot use a timeout of nothing: received '${text}'`);
}
