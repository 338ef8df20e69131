/**
 * What `conc lock run` and `conc sem run` share: a command runs while conc holds something for it.
 *
 * @module
 */

import { HeldUpError, TimeoutError, UsageError } from "../lib/errors.ts";
import type { JobLease, Reach } from "../lib/named.ts";
import type { StreamName } from "../lib/process/capture.ts";
import { causeOf, type Child, type ChildStatus } from "../lib/process/spawn.ts";
import type { WaitOptions } from "../lib/primitives.ts";
import type { OutputBlock } from "../lib/jobs/spill.ts";
import { type JsonRecord, ndjson } from "../lib/report/ndjson.ts";
import { formatDuration } from "../lib/time/duration.ts";
import { type Context, say } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import { SUCCESS, SYSTEM, TIMEOUT } from "./exit_code.ts";
import { describeHolders, recordsOf, type Situation } from "./holders.ts";
import { Interrupts } from "./interrupt.ts";
import { KEEPER_FLAGS, type KeeperFlags } from "./keeper_flags.ts";
import { LOSS_FLAGS, type LossFlags, LossWatch, LOST } from "./loss.ts";
import { openReach } from "./reach.ts";
import { brokerUrl, STORE_FLAGS, type StoreFlags, type WaitFlags, waitLimit } from "./store_flags.ts";
import { runWrapped, WRAPPED_FLAGS, wrappedCommand, type WrappedFlags } from "./wrapped.ts";

/** How long conc stays to give back what it held; after that its own end does. */
const GIVE_BACK_MS = 10_000;

/** The flags of both. */
export type HoldingFlags = StoreFlags & WaitFlags & WrappedFlags & LossFlags & KeeperFlags;

/** The declarations of {@link HoldingFlags}, but for those of the wait, which come first. */
export const HOLDING_FLAGS = { ...WRAPPED_FLAGS, ...LOSS_FLAGS, ...STORE_FLAGS, ...KEEPER_FLAGS };

/** What is held. */
export interface Guard<L> {
  /** For people: `the lock 'nightly'`. */
  what: string;
  /** Waits for it. */
  acquire(options: WaitOptions): Promise<L>;
  /** How it stands. */
  situation(): Promise<Situation>;
}

/** What is to be held, as a command line says, where it is, and how long making it may take. */
export type GuardOptions<F> = WaitOptions & { flags: F; name: string; text: string; reach: Reach };

/** Makes what is held. `text` is the command that it is for. */
export type MakeGuard<F> = (options: GuardOptions<F>) => Promise<Guard<JobLease>>;

/** What a wait came to: what was asked for, or the exit code of giving up. */
export type Acquired<L> = { lease: L; what: string; waitedMs: number } | { exitCode: number };

/** Who holds it: this process, or one that keeps it. */
export interface Place extends AsyncDisposable {
  acquire(signal: AbortSignal): Promise<Acquired<JobLease>>;
  /** Gives it back, and returns when it is free. */
  giveBack(lease: JobLease): Promise<void>;
}

/** What {@link runHolding} is told. */
export interface HoldingOptions<F> {
  /** Of the two commands, which: `lock`. */
  command: "lock" | "sem";
  flags: F;
  name: string;
  /** The words of the command. */
  typed: readonly string[];
  guard: MakeGuard<F>;
}

/**
 * Runs a command while it is guarded.
 *
 * @param options `guard`: makes what is held for the command, once the command line is known to make sense.
 * @returns The command's exit code, or that of giving up.
 */
export async function runHolding<F extends HoldingFlags & CommonFlags>(
  context: Context,
  { command: own, flags, name, typed, guard }: HoldingOptions<F>,
): Promise<number> {
  if (flags.keeper) return await (await import("./run_keeper.ts")).keep(context, guard);
  const command = wrappedCommand(typed, flags.shell);
  // What makes no sense is said whatever becomes of the store.
  waitLimit(flags);
  const broker = brokerUrl(context, flags);
  using interrupts = new Interrupts();
  const order = { flags: { ...flags, ...(broker && { store: broker }) }, name, text: command.text };
  await using place = broker === undefined
    ? await here(context, { ...order, guard, signal: interrupts.first })
    : new (await import("./run_keeper.ts")).KeptPlace(context, own, order);
  const acquired = await place.acquire(interrupts.first);
  if ("exitCode" in acquired) return acquired.exitCode;
  const { lease, what, waitedMs } = acquired;
  const ended = new AbortController();
  let exitCode: number;
  try {
    using loss = new LossWatch(context, { lease, what, flags });
    const signal = interrupts.first;
    signal.throwIfAborted();
    const env = await lease.guard(context.env, { signal });
    const started = (pid: number) => void tellProcess(lease, pid, ended.signal);
    const options = { env, killAfterMs: flags.killAfter, interrupts, started, ...loss.ending };
    const startedAtMs = context.now();
    const startMs = context.monotonic();
    const run = (capture?: (child: Child) => Promise<ChildStatus>) =>
      runWrapped(command, { ...options, capture });
    const record = (status: ChildStatus): JsonRecord => ({
      type: "run",
      ...{ name, command: command.text, cause: causeOf(status), exitCode: codeOf(status) },
      signal: status.signal ?? null,
      waitedMs: rounded(waitedMs),
      startedAt: new Date(startedAtMs).toISOString(),
      durationMs: rounded(context.monotonic() - startMs),
    });
    exitCode = flags.json ? await printRun(context, { run, record }) : codeOf(await run());
  } finally {
    ended.abort();
    // Of a loss was told.
    if (!lease.lost?.aborted) await giveBack(context, () => place.giveBack(lease));
  }
  interrupts.first.throwIfAborted();
  return exitCode;
}

/** This process holds it. */
async function here<F extends HoldingFlags & CommonFlags>(
  context: Context,
  { guard, signal, ...order }: Omit<GuardOptions<F>, "reach"> & { guard: MakeGuard<F>; signal: AbortSignal },
): Promise<Place> {
  const { flags } = order;
  const reach = await openReach(context, flags, { signal });
  return {
    acquire: (signal) =>
      acquire(context, { flags, signal, guard: (wait) => guard({ ...order, reach, ...wait }) }),
    giveBack: (lease) => reach.whenFree(() => lease.release(), { timeoutMs: GIVE_BACK_MS }),
    [Symbol.asyncDispose]: () => reach[Symbol.asyncDispose](),
  };
}

/**
 * Waits for something as the flags say, and tells who is in the way if that is in vain.
 *
 * @param options `guard`: makes what is waited for.
 * @throws {UsageError} If what is asked for can never be had.
 * @throws {TimeoutError} If the time ran out.
 */
export async function acquire<L>(
  context: Context,
  { flags, signal, guard: makeGuard }: {
    flags: WaitFlags & CommonFlags;
    signal: AbortSignal;
    guard: (options: WaitOptions) => Promise<Guard<L>>;
  },
): Promise<Acquired<L>> {
  const timeoutMs = waitLimit(flags);
  const startMs = context.monotonic();
  const guard = await makeGuard({ signal, timeoutMs });
  try {
    // A wait for nothing is one still; one that is over tries once.
    const leftMs = timeoutMs === 0 ? 0 : Math.max(1, timeoutMs - (context.monotonic() - startMs));
    const lease = await guard.acquire({ signal, timeoutMs: leftMs });
    return { lease, what: guard.what, waitedMs: context.monotonic() - startMs };
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    if (!(error instanceof TimeoutError) || error instanceof HeldUpError) throw error;
    const situation = await guard.situation();
    const exitCode = flags.noWait ? flags.conflictExitCode : TIMEOUT;
    if (flags.json) {
      const cause = flags.noWait ? "conflict" : "timeout";
      const waitedMs = rounded(context.monotonic() - startMs);
      await context.stdout.write(
        [...recordsOf(situation), { type: "refused", name: situation.name, cause, exitCode, waitedMs }].map(
          ndjson,
        ).join(""),
      );
    }
    const text = `${guard.what} ${describeHolders(situation)}`;
    if (!flags.noWait) {
      throw new TimeoutError(`timed out after ${formatDuration(timeoutMs)}: ${text}: allow more time`);
    }
    // An exit code of success says that a conflict is no error.
    const isSilent = flags.quiet && exitCode === SUCCESS;
    if (!isSilent) await say(context, `${text}: try later, or wait without --no-wait`);
    return { exitCode };
  }
}

/** Runs the command with its output kept, and prints the record of the run. */
export async function printRun(
  context: Context,
  { run, record }: {
    run: (capture: (child: Child) => Promise<ChildStatus>) => Promise<ChildStatus>;
    record: (status: ChildStatus) => JsonRecord;
  },
): Promise<number> {
  const [{ capture }, { Spill }, { recordWithOutput }] = await Promise.all([
    import("../lib/process/capture.ts"),
    import("../lib/jobs/spill.ts"),
    import("../lib/jobs/record.ts"),
  ]);
  using spill = new Spill();
  const blocks: Record<StreamName, OutputBlock> = { stdout: spill.block(), stderr: spill.block() };
  const status = await run((child) =>
    capture(child, (stream, bytes) => blocks[stream].append(bytes.slice()))
  );
  await context.stdout.writeParts(recordWithOutput(record(status), blocks));
  return codeOf(status);
}

/** Says which process the job began with, for people who ask who holds the lease; that it is held is known without. */
async function tellProcess(lease: JobLease, pid: number, signal: AbortSignal): Promise<void> {
  try {
    await lease.guards(pid, { signal });
  } catch {
    // The job has ended, or the store cannot be written any more: giving back says so.
  }
}

/**
 * Gives a lease back. What fails here, or takes long, changes nothing for the command, which has ended: a lease of nobody's is found to be
 * free.
 */
async function giveBack(context: Context, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    await say(context, error instanceof Error ? error.message : String(error));
  }
}

/** What conc exits with for a command: its own exit code, unless conc failed it. */
function codeOf({ cause, exitCode }: ChildStatus): number {
  return cause === LOST ? SYSTEM : exitCode;
}

function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
