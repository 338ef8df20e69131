/**
 * Looking again and again until something holds.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { EitherSignal } from "../abort.ts";
import { TimeoutError } from "../errors.ts";
import { formatDuration } from "./duration.ts";
import { Timer } from "./timer.ts";

/** What one look found. */
export interface Look {
  /** Whether it holds. */
  holds: boolean;
  /** What was seen, for people: `accepts connections`, `connection refused`. */
  seen: string;
}

/**
 * Looks once. What is expected to go wrong is a look that does not hold, not an error. It settles soon after the signal is aborted, and
 * what it throws then is not looked at.
 */
export type Probe<L extends Look = Look> = (signal: AbortSignal) => Promise<L>;

/** Options of {@link poll}. */
export interface PollOptions {
  /** What is waited for. Default true: that it holds. */
  wanted?: boolean;
  /** Milliseconds from the end of a look to the next one. Default 250. */
  intervalMs?: number;
  /** How many looks there are at most. Default Infinity. */
  attempts?: number;
  /** Milliseconds that one look may take; then it does not hold. Default Infinity. */
  limitMs?: number;
  /** Ends it. */
  signal?: AbortSignal;
  /** Called with what each look found, and its number from 1. */
  looked?: (look: Look, attempt: number) => void;
  /** Waits between two looks, in place of a plain pause; it may return early if there is something to see. */
  rest?: (limitMs: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * Looks until it finds what is wanted. One look is over before the next begins.
 *
 * Cancel safety: that of the probe. A wait that is aborted rejects when the look under way has settled.
 *
 * @param probe Looks once.
 * @returns What the last look found: what was wanted, or, after as many attempts as are allowed, the opposite.
 * @throws The reason of the signal, if it is aborted.
 * @throws What the probe throws.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * let looks = 0;
 * const probe = () => Promise.resolve({ holds: ++looks === 3, seen: `look ${looks}` });
 * assertEquals(await poll(probe, { intervalMs: 1 }), { holds: true, seen: "look 3" });
 * assertEquals(await poll(probe, { intervalMs: 1, attempts: 2 }), { holds: false, seen: "look 5" });
 * ```
 */
export async function poll<L extends Look>(
  probe: Probe<L>,
  options: PollOptions = {},
): Promise<L | Look> {
  const { wanted = true, intervalMs = 250, attempts = Infinity, limitMs = Infinity, signal, looked } =
    options;
  const rest = options.rest ?? ((ms, signal) => delay(ms, signal && { signal }));
  for (let attempt = 1;; attempt++) {
    signal?.throwIfAborted();
    const look = await lookOnce(probe, { limitMs, signal });
    looked?.(look, attempt);
    if (look.holds === wanted || attempt >= attempts) return look;
    await rest(intervalMs, signal);
  }
}

async function lookOnce<L extends Look>(
  probe: Probe<L>,
  { limitMs, signal }: { limitMs: number; signal: AbortSignal | undefined },
): Promise<L | Look> {
  const limit = new AbortController();
  using both = new EitherSignal(signal, limit.signal);
  using _timer = limitMs === Infinity
    ? undefined
    : new Timer(limitMs, () => limit.abort(new TimeoutError("no answer")));
  try {
    const look = await probe(both.signal);
    signal?.throwIfAborted();
    return look;
  } catch (error) {
    signal?.throwIfAborted();
    if (!limit.signal.aborted) throw error;
    return { holds: false, seen: `no answer within ${formatDuration(limitMs)}` };
  }
}
