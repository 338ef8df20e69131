/**
 * Running something at each tick: what happens when one run is not over as the next is due, when to stop, and how it all ends. What a
 * run is, a process or a fake, is the caller's affair.
 *
 * @module
 */

import { InterruptedError, SpawnError } from "../errors.ts";
import { succeeded, TIMED_OUT } from "../process/exit_status.ts";
import { foregroundGroup } from "../process/proc.ts";
import type { ChildStatus } from "../process/spawn.ts";
import type { EndOptions } from "../process/terminate.ts";
import { type Clock, SYSTEM_CLOCK } from "../time/clock.ts";
import type { Tick } from "../time/every.ts";
import { Timer } from "../time/timer.ts";

/**
 * What becomes of a tick that comes while a run is not over.
 *
 * | policy | the tick |
 * |---|---|
 * | `skip` | comes to nothing |
 * | `queue` | waits for its turn; none is left out |
 * | `parallel` | gets a run beside the others |
 * | `kill` | ends the run, and gets its own once that is gone; of several that wait, the latest |
 */
export type Overlap = "skip" | "queue" | "parallel" | "kill";

/** Why a run was ended before its time: it took too long, a newer tick took its place, it is not needed any more, conc was told to end. */
export type RunEndCause = "timeout" | "replaced" | "cancelled" | "interrupted";

/** A run that was started. */
export interface Run {
  /** Resolves when it has ended and all that it printed was taken over. */
  finished: Promise<ChildStatus>;
  /** Ends it, with all that it started. The first cause stays; resolves when nothing of it is left. */
  end(cause: RunEndCause, options: EndOptions): Promise<void>;
}

/** How a run ended. */
export interface RunEnd {
  /** What it was started for. */
  tick: Tick;
  /** When it started, in milliseconds since the epoch. */
  startedAtMs: number;
  durationMs: number;
  /** Its exit code is 124 if its time ran out. */
  status: ChildStatus;
  /** Why it did not start. */
  error: SpawnError | undefined;
}

/** What a {@link Repeater} runs, and how. */
export interface RepeaterOptions {
  /** Gives the ticks until the signal is aborted. */
  ticks(signal: AbortSignal): AsyncIterable<Tick>;
  /** Starts a run. Throws {@link SpawnError} if it cannot. */
  start(tick: Tick): Run;
  /** Takes an end. The run is over when it resolves; if it rejects, the repeater stops. */
  ended(end: RunEnd): Promise<void>;
  /** Told of each tick that came to nothing because a run was not over. */
  skipped?: (tick: Tick) => Promise<void>;
  /** Default `skip`. */
  overlap?: Overlap;
  /** Stops after so many runs. Default Infinity. */
  count?: number;
  /** Stops once a run succeeds. Default false. */
  untilSuccess?: boolean;
  /** How many milliseconds a run may take. Default: as many as it likes. */
  timeoutMs?: number;
  /** Milliseconds from the signal that asks to SIGKILL. Default 5000. */
  killAfterMs?: number;
  /** Stops it: no new runs, those in progress get the signal of an {@link InterruptedError}, else SIGTERM. */
  signal?: AbortSignal;
  /** Kills what still runs. */
  escalate?: AbortSignal;
  /** Default: that of this machine. */
  clock?: Clock;
}

/** What a {@link Repeater} has done. */
export interface RepeaterSummary {
  /** How many runs there were; each is one of the following four. */
  runs: number;
  succeeded: number;
  failed: number;
  /** Ended to make room for a newer one. */
  replaced: number;
  /** Ended because the repeater stopped. */
  cancelled: number;
  /** Ticks that came to nothing, because a run was not over or nobody came to take them in time. */
  skipped: number;
}

/**
 * Runs something at each tick. Invariants: but for `parallel` there is no more than one run at a time; each run that was started
 * ends in exactly one call of `ended`, unless it threw; once it stops, nothing is started.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { spawn } from "../process/spawn.ts";
 * import { every } from "../time/every.ts";
 *
 * const repeater = new Repeater({
 *   ticks: (signal) => every(5, { signal }),
 *   start() {
 *     const child = spawn(["true"]);
 *     return { finished: child.status, end: (cause, options) => child.end(cause, options) };
 *   },
 *   ended: () => Promise.resolve(),
 *   count: 2,
 * });
 * assertEquals((await repeater.run()).succeeded, 2);
 * ```
 */
export class Repeater {
  readonly #options: RepeaterOptions;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  readonly #running = new Set<Run>();
  readonly #unfinished = new Set<Promise<void>>();
  readonly #summary: RepeaterSummary = {
    runs: 0,
    succeeded: 0,
    failed: 0,
    replaced: 0,
    cancelled: 0,
    skipped: 0,
  };
  #waiting: Tick[] = [];
  #failure: { error: unknown } | undefined;

  constructor(options: RepeaterOptions) {
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
  }

  /**
   * Runs until the ticks are over, `count` or `untilSuccess` is reached, or it is stopped.
   *
   * Cancel safety: when it resolves or rejects, all runs have ended. Aborted, it resolves with what was done.
   *
   * @throws What the ticks or the callbacks threw. A {@link SpawnError} of the first run; a later one is a run that failed.
   */
  async run(): Promise<RepeaterSummary> {
    const { signal } = this.#options;
    const interrupt = () => this.#interrupt(signal!.reason);
    if (signal?.aborted) interrupt();
    else signal?.addEventListener("abort", interrupt, { once: true });
    try {
      await this.#takeTicks();
      while (this.#unfinished.size > 0) await Promise.all(this.#unfinished);
    } finally {
      signal?.removeEventListener("abort", interrupt);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#summary;
  }

  async #takeTicks(): Promise<void> {
    const { count = Infinity } = this.#options;
    const stopped = this.#stop.signal;
    try {
      for await (const tick of this.#options.ticks(stopped)) {
        if (stopped.aborted) return;
        this.#summary.skipped += tick.missed;
        await this.#take(tick);
        if (this.#summary.runs + this.#waiting.length >= count) return;
      }
    } catch (error) {
      if (!stopped.aborted) this.#fail(error);
    }
  }

  async #take(tick: Tick): Promise<void> {
    const { overlap = "skip" } = this.#options;
    if (this.#unfinished.size === 0 || overlap === "parallel") return this.#begin(tick);
    if (overlap === "queue") return void this.#waiting.push(tick);
    if (overlap === "skip") return await this.#skip(tick);
    const late = this.#waiting;
    this.#waiting = [tick];
    this.#endAll("replaced");
    for (const each of late) await this.#skip(each);
  }

  async #skip(tick: Tick): Promise<void> {
    this.#summary.skipped += 1;
    await this.#options.skipped?.(tick);
  }

  #begin(tick: Tick): void {
    this.#summary.runs += 1;
    const finished = this.#perform(tick).catch((error) => this.#fail(error)).finally(() => {
      this.#unfinished.delete(finished);
      const next = this.#waiting.shift();
      if (next !== undefined) this.#begin(next);
    });
    this.#unfinished.add(finished);
  }

  async #perform(tick: Tick): Promise<void> {
    const startedAtMs = this.#clock.now();
    const startMs = this.#clock.monotonic();
    let status: ChildStatus;
    let error: SpawnError | undefined;
    try {
      status = await this.#finish(this.#options.start(tick));
    } catch (thrown) {
      // What cannot be started at all is said once, and not at every tick.
      if (!(thrown instanceof SpawnError) || this.#summary.runs === 1) throw thrown;
      error = thrown;
      status = { exitCode: error.exitCode, signal: undefined, cause: undefined };
    }
    const durationMs = this.#clock.monotonic() - startMs;
    await this.#options.ended({ tick, startedAtMs, durationMs, status, error });
    this.#count(status);
  }

  /** Waits for the end of a run, and if it was ended, for the end of all that it started. */
  async #finish(run: Run): Promise<ChildStatus> {
    const { timeoutMs } = this.#options;
    this.#running.add(run);
    using _timer = timeoutMs === undefined
      ? undefined
      : new Timer(timeoutMs, () => void this.#end(run, "timeout"), { clock: this.#clock });
    try {
      const status = await run.finished.catch(async (error) => {
        await this.#end(run, "cancelled");
        throw error;
      });
      if (status.cause === undefined) return status;
      await this.#end(run, "cancelled");
      return { ...status, exitCode: status.cause === "timeout" ? TIMED_OUT : status.exitCode };
    } finally {
      this.#running.delete(run);
    }
  }

  #count(status: ChildStatus): void {
    const summary = this.#summary;
    if (status.cause === "replaced") summary.replaced += 1;
    else if (status.cause === "cancelled" || status.cause === "interrupted") summary.cancelled += 1;
    else if (succeeded(status)) summary.succeeded += 1;
    else summary.failed += 1;
    if (this.#options.untilSuccess && summary.succeeded > 0) this.#halt("cancelled");
  }

  #interrupt(reason: unknown): void {
    const signal = reason instanceof InterruptedError ? reason.signal as Deno.Signal : "SIGTERM";
    // What was typed at the terminal has reached our whole process group already.
    const typedFor = signal === "SIGINT" ? foregroundGroup() : undefined;
    this.#halt("interrupted", { signal, delivered: ({ pgid }) => pgid === typedFor });
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#halt("cancelled");
  }

  /** Stops: no new runs, and an end to those in progress. */
  #halt(cause: RunEndCause, options: EndOptions = {}): void {
    this.#waiting = [];
    this.#stop.abort();
    this.#endAll(cause, options);
  }

  #endAll(cause: RunEndCause, options: EndOptions = {}): void {
    for (const run of this.#running) void this.#end(run, cause, options);
  }

  #end(run: Run, cause: RunEndCause, options: EndOptions = {}): Promise<void> {
    const { killAfterMs: graceMs = 5_000, escalate } = this.#options;
    return run.end(cause, { ...options, graceMs, ...(escalate && { escalate }) });
  }
}
