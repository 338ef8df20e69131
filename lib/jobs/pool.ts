/**
 * A pool of jobs: they are pulled from a source as slots become free, each is tried as often as it may be, and each end is reported
 * once. What an attempt is, a process or a task of a Worker, is the caller's affair.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { InterruptedError, SpawnError } from "../errors.ts";
import { succeeded, TIMED_OUT } from "../process/exit_status.ts";
import { foregroundGroup } from "../process/proc.ts";
import type { ChildStatus } from "../process/spawn.ts";
import type { EndOptions } from "../process/terminate.ts";
import type { Admission } from "./admission.ts";
import type { HaltRule } from "./halt.ts";
import { RunningMedian } from "./running_median.ts";

/** One attempt of a job that was started. */
export interface Attempt {
  /** Resolves when it has ended and all that it printed was taken over. */
  finished: Promise<ChildStatus>;
  /** Ends it, with all that it started. The first cause stays; resolves when nothing of it is left. */
  end(cause: EndCause, options: EndOptions): Promise<void>;
}

/** When an attempt ran, and how it ended. */
export interface AttemptEnd<J> {
  job: J;
  slot: number;
  /** Which one of this job it was, from 1. */
  attempt: number;
  /** When it started, on the monotonic clock. */
  startMs: number;
  durationMs: number;
  status: ChildStatus;
}

/** How a job ended, after its last attempt. */
export interface JobEnd<J> {
  job: J;
  /** Where it ran, from 1. */
  slot: number;
  /** How often it ran. */
  attempts: number;
  /** When the last attempt started, in milliseconds since the epoch. */
  startedAtMs: number;
  /** How long the last attempt took. */
  durationMs: number;
  status: ChildStatus;
  /** Why the last attempt did not start. */
  error: SpawnError | undefined;
}

/** Why a job was ended before its time. */
export type EndCause = "timeout" | "halted" | "interrupted" | "memory" | "lost";

/** What a pool does with its jobs. */
export interface PoolOptions<J> {
  /** How many run at once. */
  slots: number;
  /** Starts an attempt. Throws {@link SpawnError} if it cannot. */
  start(job: J, where: { slot: number; attempt: number }): Attempt;
  /** Takes an end. The slot is free when it resolves; if it rejects, the pool stops. */
  ended(end: JobEnd<J>): Promise<void>;
  /** Told of each attempt that ended, also of those that are followed by another. */
  observe?: ((end: AttemptEnd<J>) => void) | undefined;
  /** Takes a job back that never ended: the pool stopped before it started, or `start` or its attempt threw. */
  dropped(job: J): void;
  /** When a job may start. */
  admission: Admission;
  /** How long an attempt may take: milliseconds, or a percentage of the median of those that succeeded. */
  timeout?: { ms: number } | { percent: number };
  /** How often a job is run at most, until it succeeds. Default 1. */
  tries?: number;
  /** Milliseconds between two attempts. Default 0. */
  retryDelayMs?: number;
  /** When to stop early. */
  halt?: HaltRule;
  /** Says whether memory is so short that the youngest job must give way; it is run again later. */
  isMemoryShort?: () => boolean;
  /** Milliseconds from SIGTERM to SIGKILL. Default 5000. */
  killAfterMs?: number;
  /** Stops the pool: no new jobs, running ones get the signal of an {@link InterruptedError}, else SIGTERM. */
  signal?: AbortSignal;
  /** Kills what still runs. */
  escalate?: AbortSignal;
}

/** What a pool has done. */
export interface PoolSummary {
  succeeded: number;
  failed: number;
  /** Ended because the pool was stopped. */
  cut: number;
  /** Whether the halt rule stopped it. */
  halted: boolean;
}

interface Running {
  attempt: Attempt;
  startMs: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

const MEMORY_POLL_MS = 500;
/** A median says little before this many jobs have ended. */
const MEDIAN_MINIMUM = 3;

/**
 * Runs jobs. Invariants: no more than `slots` children at once; each job that was pulled ends in exactly one call of `ended` or
 * `dropped`; once the pool stops, nothing is started.
 */
export class JobPool<J> {
  readonly #options: PoolOptions<J>;
  readonly #running = new Set<Running>();
  readonly #stop = new AbortController();
  readonly #durations = new RunningMedian();
  readonly #summary: PoolSummary = { succeeded: 0, failed: 0, cut: 0, halted: false };
  /** Jobs that wait for another to end, as the system is short of what it takes to start them; first come first served. */
  readonly #short: (() => void)[] = [];
  #failure: { error: unknown } | undefined;
  #ending: { cause: EndCause; options: EndOptions } | undefined;
  /** How many jobs there are, once that is known. */
  total: number | undefined;

  constructor(options: PoolOptions<J>) {
    this.#options = options;
  }

  /** How many jobs run at this moment. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * Runs all jobs of a source.
   *
   * @param jobs Pulled one by one, when a slot is free.
   * @throws What the source, `start` or `ended` threw, after all children have ended.
   */
  async run(jobs: AsyncIterator<J>): Promise<PoolSummary> {
    const { slots, signal, isMemoryShort } = this.#options;
    const interrupt = () => this.#interrupt(signal!.reason);
    if (signal?.aborted) interrupt();
    else signal?.addEventListener("abort", interrupt, { once: true });
    const watch = isMemoryShort && setInterval(() => this.#giveWay(isMemoryShort), MEMORY_POLL_MS);
    try {
      const workers: Promise<void>[] = [];
      const source = { jobs, exhausted: false };
      // A slot is opened when there is a job for it: a pool of a thousand slots for three inputs has three.
      for (let slot = 1; slot <= slots && !source.exhausted && !this.#stop.signal.aborted; slot++) {
        const first = await this.#pull(source);
        if (first === undefined) break;
        workers.push(this.#work(slot, first.job, source));
      }
      await Promise.all(workers);
    } finally {
      clearInterval(watch);
      signal?.removeEventListener("abort", interrupt);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#summary;
  }

  /** Stops: no new jobs; what runs is ended, or with `soon` finished. */
  #halt(when: "now" | "soon", cause: EndCause, signal: Deno.Signal = "SIGTERM"): void {
    this.#stop.abort();
    for (const wake of this.#short.splice(0)) wake();
    if (when === "soon" || this.#ending !== undefined) return;
    // What was typed at the terminal has reached our whole process group already.
    const typedFor = signal === "SIGINT" ? foregroundGroup() : undefined;
    this.#ending = { cause, options: { signal, delivered: ({ pgid }) => pgid === typedFor } };
    for (const { attempt } of this.#running) void this.#end(attempt, this.#ending);
  }

  #interrupt(reason: unknown): void {
    this.#halt(
      "now",
      "interrupted",
      reason instanceof InterruptedError ? reason.signal as Deno.Signal : "SIGTERM",
    );
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#halt("now", "halted");
  }

  async #work(slot: number, first: J, source: { jobs: AsyncIterator<J>; exhausted: boolean }): Promise<void> {
    try {
      for (
        let next: { job: J } | undefined = { job: first };
        next !== undefined;
        next = await this.#pull(source)
      ) {
        await this.#runJob(next.job, slot);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The next job; undefined when there is none, or the pool stops. */
  async #pull(source: { jobs: AsyncIterator<J>; exhausted: boolean }): Promise<{ job: J } | undefined> {
    if (source.exhausted || this.#stop.signal.aborted) return undefined;
    const { promise: stopped, resolve } = Promise.withResolvers<undefined>();
    const stop = () => resolve(undefined);
    this.#stop.signal.addEventListener("abort", stop, { once: true });
    const next = source.jobs.next();
    try {
      const result = await Promise.race([next, stopped]);
      if (result === undefined) {
        void next.then((late) => late.done || this.#options.dropped(late.value), () => {});
        return undefined;
      }
      if (result.done) source.exhausted = true;
      return result.done ? undefined : { job: result.value };
    } catch (error) {
      this.#failure ??= { error };
      this.#halt("soon", "halted");
      return undefined;
    } finally {
      this.#stop.signal.removeEventListener("abort", stop);
    }
  }

  async #runJob(job: J, slot: number): Promise<void> {
    const end = await this.#tryJob(job, slot).catch((error) => {
      this.#options.dropped(job);
      throw error;
    });
    if (end === undefined) return this.#options.dropped(job);
    await this.#options.ended(end);
    this.#count(end);
  }

  /** Runs a job until it succeeds or has no attempt left; returns its last end, or undefined if it never started. */
  async #tryJob(job: J, slot: number): Promise<JobEnd<J> | undefined> {
    const { tries = 1, retryDelayMs = 0, admission } = this.#options;
    const signal = this.#stop.signal;
    let end: JobEnd<J> | undefined;
    for (let attempt = 1; attempt <= tries && !signal.aborted; attempt++) {
      try {
        if (attempt > 1 && retryDelayMs > 0) await delay(retryDelayMs, { signal });
        await admission.admit({ signal });
      } catch (error) {
        if (!signal.aborted) throw error;
        break;
      }
      if (signal.aborted) break;
      const tried = await this.#attempt(job, { slot, attempt });
      if (tried.error?.fault === "shortage" && this.#running.size > 0) {
        if (!signal.aborted) await new Promise<void>((resolve) => this.#short.push(resolve));
        attempt -= 1;
        continue;
      }
      this.#short.shift()?.();
      end = tried;
      if (succeeded(end.status)) break;
      if (end.status.cause === "memory") attempt -= 1;
    }
    // What failed and might have been tried again, had the pool not stopped, was cut off.
    if (end === undefined || succeeded(end.status) || end.attempts >= tries) return end;
    return { ...end, status: { ...end.status, cause: this.#ending?.cause ?? "halted" } };
  }

  async #attempt(job: J, where: { slot: number; attempt: number }): Promise<JobEnd<J>> {
    const startedAtMs = Date.now();
    const startMs = performance.now();
    const end = { job, slot: where.slot, attempts: where.attempt, startedAtMs };
    let attempt: Attempt;
    try {
      attempt = this.#options.start(job, where);
    } catch (error) {
      if (!(error instanceof SpawnError)) throw error;
      const status = { exitCode: error.exitCode, signal: undefined, cause: undefined };
      return { ...end, durationMs: performance.now() - startMs, status, error };
    }
    const status = await this.#finish({ attempt, startMs, timer: undefined });
    const durationMs = performance.now() - startMs;
    this.#options.observe?.({ job, ...where, startMs, durationMs, status });
    return { ...end, durationMs, status, error: undefined };
  }

  /** Waits for the end of an attempt, and if it was ended, for the end of all that it started. */
  async #finish(running: Running): Promise<ChildStatus> {
    const { attempt } = running;
    this.#running.add(running);
    this.#arm(running);
    try {
      if (this.#ending !== undefined) void this.#end(attempt, this.#ending);
      const status = await attempt.finished.catch(async (error) => {
        await this.#end(attempt, { cause: "halted" });
        throw error;
      });
      if (status.cause === undefined) return status;
      await this.#end(attempt, { cause: "halted" });
      return { ...status, exitCode: status.cause === "timeout" ? TIMED_OUT : status.exitCode };
    } finally {
      clearTimeout(running.timer);
      this.#running.delete(running);
    }
  }

  #end(attempt: Attempt, { cause, options = {} }: { cause: EndCause; options?: EndOptions }): Promise<void> {
    const { killAfterMs: graceMs = 5_000, escalate } = this.#options;
    return attempt.end(cause, { ...options, graceMs, ...(escalate && { escalate }) });
  }

  #count({ status, durationMs }: JobEnd<J>): void {
    const summary = this.#summary;
    if (succeeded(status)) {
      summary.succeeded += 1;
      this.#learn(durationMs);
    } else if (status.cause === "halted" || status.cause === "interrupted" || status.cause === "memory") {
      summary.cut += 1;
      return;
    } else {
      summary.failed += 1;
    }
    const { halt } = this.#options;
    if (halt === undefined || summary.halted || !halt.reached({ ...summary, total: this.total })) return;
    summary.halted = true;
    this.#halt(halt.when, "halted");
  }

  /** Starts, or starts anew, the timer of a running attempt. */
  #arm(running: Running): void {
    const limitMs = this.#timeoutMs();
    clearTimeout(running.timer);
    if (limitMs === undefined) return;
    const leftMs = running.startMs + limitMs - performance.now();
    running.timer = setTimeout(
      () => void this.#end(running.attempt, { cause: "timeout" }),
      Math.max(0, leftMs),
    );
  }

  #timeoutMs(): number | undefined {
    const { timeout } = this.#options;
    if (timeout === undefined) return undefined;
    if ("ms" in timeout) return timeout.ms;
    return this.#durations.count < MEDIAN_MINIMUM
      ? undefined
      : this.#durations.median * timeout.percent / 100;
  }

  #learn(durationMs: number): void {
    const { timeout } = this.#options;
    if (timeout === undefined || "ms" in timeout) return;
    this.#durations.add(durationMs);
    for (const running of this.#running) this.#arm(running);
  }

  /** Ends the youngest job while memory is short. The oldest stays, or nothing would ever end. */
  #giveWay(isMemoryShort: () => boolean): void {
    if (this.#running.size < 2 || !isMemoryShort()) return;
    const youngest = [...this.#running].at(-1)!;
    void this.#end(youngest.attempt, { cause: "memory" });
  }
}
