/**
 * Runs tasks together and waits for them, leaving none behind.
 *
 * @module
 */

import { TimeoutError, UsageError } from "../errors.ts";
import type { WaitOptions } from "../primitives.ts";
import { Timer } from "../time/timer.ts";
import { offAbort, onAbort } from "../abort.ts";
import { checkCount } from "./check.ts";
import { refuse } from "./waiters.ts";

/** A task: it should end soon after its signal is aborted. */
export type GatherTask<T> = (signal: AbortSignal) => T | PromiseLike<T>;

/**
 * When a gather ends: `settled` when all have ended, `all` at the first failure or when all have succeeded, `any` at the first success
 * or when all have failed, `race` at the first end.
 */
export type GatherMode = "settled" | "all" | "any" | "race";

/** Options of {@link gather}. `signal` and `timeoutMs` cancel all tasks. */
export interface GatherOptions extends WaitOptions {
  /** When it ends. Default `settled`. */
  mode?: GatherMode;
  /** How many run at once. Default: all. */
  limit?: number;
}

/** What decided the gather before all tasks had ended. */
type Verdict<T> = PromiseSettledResult<T> | { status: "cancelled"; reason: unknown };

/**
 * Runs tasks at the same time and waits for them. Each is given a signal, which is aborted once the rest is not needed: after the
 * first failure in mode `all`, the first success in mode `any`, the first end in mode `race`, and when the gather is cancelled. Tasks
 * that have not started by then never do.
 *
 * Invariant: when the promise settles, no task is running. So a task that does not heed its signal holds the gather up.
 *
 * Cancel safety: on abort or timeout all tasks are cancelled and awaited, then it rejects; what tasks had returned is dropped.
 *
 * @param tasks What to run.
 * @param options The mode, how many run at once, and when to give up (default: never).
 * @returns In mode `settled` the outcome of every task and in mode `all` every value, in the order of the tasks; in modes `any` and
 * `race` one value.
 * @throws What the task threw that failed first, in mode `all`; or ended first, in mode `race`.
 * @throws {AggregateError} If all tasks failed, in mode `any`.
 * @throws {UsageError} If there is no task, in mode `race`.
 * @throws {RangeError} If `limit` is neither a whole number above 0 nor Infinity, or `timeoutMs` is negative or NaN.
 * @throws {TimeoutError} If `timeoutMs` ran out.
 * @throws The reason of the signal, if it is aborted.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const squares = await gather([2, 3].map((n) => () => n ** 2), { mode: "all" });
 * assertEquals(squares, [4, 9]);
 *
 * const mirrors = ["a", "b"].map((name) => async () => await Promise.resolve(`from ${name}`));
 * assertEquals(await gather(mirrors, { mode: "any" }), "from a");
 * ```
 */
export function gather<T>(
  tasks: Iterable<GatherTask<T>>,
  options?: GatherOptions & { mode?: "settled" },
): Promise<PromiseSettledResult<T>[]>;
export function gather<T>(
  tasks: Iterable<GatherTask<T>>,
  options: GatherOptions & { mode: "all" },
): Promise<T[]>;
export function gather<T>(
  tasks: Iterable<GatherTask<T>>,
  options: GatherOptions & { mode: "any" | "race" },
): Promise<T>;
export function gather<T>(
  tasks: Iterable<GatherTask<T>>,
  options: GatherOptions,
): Promise<PromiseSettledResult<T>[] | T[] | T>;
export async function gather<T>(
  tasks: Iterable<GatherTask<T>>,
  { mode = "settled", limit = Infinity, signal, timeoutMs = Infinity }: GatherOptions = {},
): Promise<PromiseSettledResult<T>[] | T[] | T> {
  if (limit !== Infinity) checkCount("gather", { name: "limit", value: limit });
  const refusal = refuse({ ...(signal && { signal }), timeoutMs });
  if (refusal !== undefined) throw refusal.reason;
  const list = [...tasks];
  if (mode === "race" && list.length === 0) {
    throw new UsageError("cannot gather as 'tasks' must not be empty in mode race: received no task");
  }
  const controller = new AbortController();
  const outcomes = new Array<PromiseSettledResult<T>>(list.length);
  let verdict: Verdict<T> | undefined;
  const decide = (cause: Verdict<T>) => {
    if (verdict !== undefined) return;
    verdict = cause;
    controller.abort(cause.status === "cancelled" ? cause.reason : undefined);
  };
  let next = 0;
  const work = async () => {
    while (next < list.length && verdict === undefined) {
      const index = next++;
      const outcome = await settle(list[index]!, controller.signal);
      outcomes[index] = outcome;
      if (isDecisive(outcome, mode)) decide(outcome);
    }
  };
  const cancel = (reason: unknown) => decide({ status: "cancelled", reason });
  const timer = timeoutMs === Infinity ? undefined : new Timer(
    timeoutMs,
    () => cancel(new TimeoutError(`gathered tasks took longer than ${timeoutMs} ms`)),
  );
  if (signal !== undefined) onAbort(signal, cancel);
  try {
    await Promise.all(Array.from({ length: Math.min(limit, list.length) }, work));
  } finally {
    timer?.cancel();
    if (signal !== undefined) offAbort(signal, cancel);
  }
  return conclude(mode, { outcomes, verdict });
}

function isDecisive({ status }: PromiseSettledResult<unknown>, mode: GatherMode): boolean {
  return mode === "race" || (mode === "all" && status === "rejected") ||
    (mode === "any" && status === "fulfilled");
}

async function settle<T>(task: GatherTask<T>, signal: AbortSignal): Promise<PromiseSettledResult<T>> {
  try {
    return { status: "fulfilled", value: await task(signal) };
  } catch (reason) {
    return { status: "rejected", reason };
  }
}

function conclude<T>(
  mode: GatherMode,
  { outcomes, verdict }: { outcomes: PromiseSettledResult<T>[]; verdict: Verdict<T> | undefined },
): PromiseSettledResult<T>[] | T[] | T {
  if (verdict?.status === "fulfilled") return verdict.value;
  if (verdict !== undefined) throw verdict.reason;
  if (mode === "settled") return outcomes;
  if (mode === "all") return outcomes.map((outcome) => (outcome as PromiseFulfilledResult<T>).value);
  const reasons = outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason);
  throw new AggregateError(reasons, `all ${reasons.length} gathered tasks failed`);
}
