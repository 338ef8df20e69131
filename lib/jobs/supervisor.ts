/**
 * Keeping something running: starting it again when it has ended, later and later while it fails. What runs, a process or a fake, is the
 * caller's affair.
 *
 * @module
 */

import { InterruptedError, SpawnError } from "../errors.ts";
import { signalNumber, succeeded, TIMED_OUT } from "../process/exit_status.ts";
import { foregroundGroup } from "../process/proc.ts";
import type { ChildStatus } from "../process/spawn.ts";
import type { EndOptions } from "../process/terminate.ts";
import { type Clock, SYSTEM_CLOCK, waitUntil } from "../time/clock.ts";
import type { DurationRange } from "../time/duration.ts";
import { Timer } from "../time/timer.ts";

/** When to start again: never; if it failed, by exit code, signal or timeout; however it ended. */
export type RestartPolicy = "never" | "on-failure" | "always";

/** Something that was started. */
export interface SupervisedRun {
  /** Resolves when it has ended, and nothing of it is left. */
  finished: Promise<ChildStatus>;
  /** Ends it, with all that it started. The first cause stays. */
  end(cause: "timeout" | "interrupted" | "cancelled", options: EndOptions): Promise<void>;
}

/** How a run ended. */
export interface SupervisedEnd<R> {
  /** Undefined if it could not be started. */
  run: R | undefined;
  /** How many were started, with this one. */
  attempt: number;
  /** When it started, in milliseconds since the epoch. */
  startedAtMs: number;
  durationMs: number;
  /**
   * Its exit code is 124 if its time ran out, unless it had to be killed: then 137, as timeout(1) says it. If it had to be killed after signal
   * N to this process, it is 128+N.
   */
  status: ChildStatus;
  /** Why it did not start. */
  error: SpawnError | undefined;
  /** Milliseconds until it is started again; undefined if it is not. */
  restartMs: number | undefined;
}

/** What a {@link Supervisor} runs, and how. */
export interface SupervisorOptions<R extends SupervisedRun> {
  /** Starts a run; attempts count from 1. Throws {@link SpawnError} if it cannot. */
  start(attempt: number): R;
  /** Takes an end. Nothing is started before it resolves; if it rejects, that is the end. */
  ended(end: SupervisedEnd<R>): Promise<void>;
  /** Default `never`. */
  restart?: RestartPolicy;
  /** How often it is started again at most. Default Infinity. */
  maxRestarts?: number;
  /**
   * How long to wait before a restart: the shortest at first, twice as long each time, until the longest. After a run that took
   * longer than the longest it begins anew. Default 1 s to 1 minute.
   */
  backoff?: DurationRange;
  /** How many milliseconds a run may take. Default: as many as it likes. */
  timeoutMs?: number;
  /** What asks a run to end whose time ran out. Default `SIGTERM`. */
  timeoutSignal?: Deno.Signal;
  /** Milliseconds from the signal that asks to SIGKILL. Default 5000. */
  killAfterMs?: number;
  /** Stops it: no restart, and the run in progress gets the signal of an {@link InterruptedError}, else SIGTERM. */
  signal?: AbortSignal;
  /** Kills what still runs. */
  escalate?: AbortSignal;
  /** Default: that of this machine. */
  clock?: Clock;
}

const DEFAULT_BACKOFF: DurationRange = { minMs: 1_000, maxMs: 60_000 };

/**
 * Runs something, and runs it again as the policy says. Invariants: there is no more than one run at a time; each is reported once, when
 * nothing of it is left; once it stops, nothing is started.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { spawn } from "../process/spawn.ts";
 *
 * const supervisor = new Supervisor({
 *   start() {
 *     const child = spawn(["sh", "-c", "exit 3"]);
 *     return { finished: child.status, end: (cause, options) => child.end(cause, options) };
 *   },
 *   ended: () => Promise.resolve(),
 *   restart: "on-failure",
 *   maxRestarts: 2,
 *   backoff: { minMs: 1, maxMs: 5 },
 * });
 * assertEquals((await supervisor.run()).exitCode, 3);
 * ```
 */
export class Supervisor<R extends SupervisedRun> {
  readonly #options: SupervisorOptions<R>;
  readonly #clock: Clock;
  #attempts = 0;
  #delayMs = 0;

  constructor(options: SupervisorOptions<R>) {
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
  }

  /**
   * Runs until the policy wants no restart, or it is stopped.
   *
   * Cancel safety: when it resolves or rejects, no run is in progress.
   *
   * @returns How the last run ended.
   * @throws {SpawnError} If the first run cannot be started: a later one that cannot is a run that failed.
   * @throws The reason of the signal, if it is aborted while nothing runs.
   * @throws What the callbacks threw.
   */
  async run(): Promise<ChildStatus> {
    const { signal } = this.#options;
    for (;;) {
      signal?.throwIfAborted();
      this.#attempts += 1;
      const { status, error, restartMs } = await this.#runOnce();
      if (error !== undefined && this.#attempts === 1) throw error;
      if (restartMs === undefined) return status;
      const dueMs = this.#clock.monotonic() + restartMs;
      await waitUntil(dueMs, { clock: this.#clock, ...(signal && { signal }) });
    }
  }

  async #runOnce(): Promise<SupervisedEnd<R>> {
    const attempt = this.#attempts;
    const startedAtMs = this.#clock.now();
    const startMs = this.#clock.monotonic();
    let run: R | undefined;
    let status: ChildStatus;
    let error: SpawnError | undefined;
    try {
      run = this.#options.start(attempt);
      status = await this.#finish(run);
    } catch (thrown) {
      if (!(thrown instanceof SpawnError)) throw thrown;
      error = thrown;
      status = { exitCode: error.exitCode, signal: undefined, cause: undefined };
    }
    const durationMs = this.#clock.monotonic() - startMs;
    const restartMs = this.#restartDelay(status, { durationMs, error });
    const end = { run, attempt, startedAtMs, durationMs, status, error, restartMs };
    await this.#options.ended(end);
    return end;
  }

  async #finish(run: R): Promise<ChildStatus> {
    const { timeoutMs, timeoutSignal = "SIGTERM", signal } = this.#options;
    const interrupt = () => this.#interrupt(run, signal!.reason);
    signal?.addEventListener("abort", interrupt, { once: true });
    using _timer = timeoutMs === undefined
      ? undefined
      : new Timer(timeoutMs, () => void this.#end(run, "timeout", { signal: timeoutSignal }), {
        clock: this.#clock,
      });
    try {
      const status = await run.finished.catch(async (error) => {
        await this.#end(run, "cancelled");
        throw error;
      });
      return { ...status, exitCode: exitCodeOf(status, signal?.reason) };
    } finally {
      signal?.removeEventListener("abort", interrupt);
    }
  }

  #interrupt(run: R, reason: unknown): void {
    const signal = reason instanceof InterruptedError ? reason.signal as Deno.Signal : "SIGTERM";
    // What was typed at the terminal has reached our whole process group already.
    const typedFor = signal === "SIGINT" ? foregroundGroup() : undefined;
    void this.#end(run, "interrupted", { signal, delivered: ({ pgid }) => pgid === typedFor });
  }

  #end(run: R, cause: "timeout" | "interrupted" | "cancelled", options: EndOptions = {}): Promise<void> {
    const { killAfterMs: graceMs = 5_000, escalate } = this.#options;
    return run.end(cause, { ...options, graceMs, ...(escalate && { escalate }) });
  }

  /** How long to wait before the next run; undefined if there is to be none. */
  #restartDelay(
    status: ChildStatus,
    { durationMs, error }: { durationMs: number; error: SpawnError | undefined },
  ): number | undefined {
    const { restart = "never", maxRestarts = Infinity, backoff = DEFAULT_BACKOFF, signal } = this.#options;
    const wanted = restart === "always" || restart === "on-failure" && !succeeded(status);
    const isStopped = signal?.aborted || error !== undefined && this.#attempts === 1;
    if (!wanted || isStopped || this.#attempts > maxRestarts) return undefined;
    const isNew = this.#attempts === 1 || durationMs > backoff.maxMs;
    this.#delayMs = isNew ? backoff.minMs : Math.min(this.#delayMs * 2, backoff.maxMs);
    return this.#delayMs;
  }
}

/** What a run counts as, whose process ended so; `reason` is why the supervisor was stopped. */
function exitCodeOf({ exitCode, signal, cause }: ChildStatus, reason: unknown): number {
  const isKilled = signal === "SIGKILL";
  if (cause === "timeout" && !isKilled) return TIMED_OUT;
  const isStopped = cause === "interrupted" && isKilled && reason instanceof InterruptedError;
  return isStopped ? 128 + signalNumber(reason.signal) : exitCode;
}
