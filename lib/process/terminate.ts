/**
 * Ending processes: a signal that asks, some grace, then SIGKILL.
 *
 * @module
 */

import { allDescendants, hasDescendants, reapAdopted, type Target } from "./descendants.ts";

/** How {@link endProcesses} goes about it. */
export interface EndOptions {
  /** The signal that asks. Default `SIGTERM`. */
  signal?: Deno.Signal;
  /** Milliseconds from the first signal to SIGKILL. Default 5000. */
  graceMs?: number;
  /** Aborted, it ends the grace: SIGKILL at once. */
  escalate?: AbortSignal;
  /** Says of a process that it has the signal already, so that it is not sent twice. */
  delivered?: (target: Target) => boolean;
  /** Told of each process that is about to be killed because it did not end when it was asked. */
  killed?: (target: Target) => void;
  /** Ends the work early, as soon as it resolves: what is left then is not waited for. */
  until?: Promise<unknown>;
}

const FIRST_POLL_MS = 5;
const LAST_POLL_MS = 50;
/** So many looks find no new process, or there are too many to wait for that. */
const FREEZE_LIMIT = 100;
/** Nothing outlives SIGKILL but a process that hangs in the kernel; nobody waits for that longer than this. */
const KILL_LIMIT_MS = 5_000;

/**
 * Ends all processes that `find` finds, those that they start meanwhile included. Each gets the signal once, and SIGKILL
 * when the grace is over.
 *
 * @param find Lists the processes that still live.
 * @returns Those that could not be ended: they belong to another user, or hang in the kernel.
 */
export async function endProcesses(find: () => Target[], options: EndOptions = {}): Promise<Target[]> {
  const { signal = "SIGTERM", graceMs = 5_000, escalate, delivered = () => false, killed } = options;
  const asked = new Set<string>();
  const doomed = new Set<string>();
  const killAtMs = performance.now() + graceMs;
  let ended = false;
  const until = options.until?.then(() => void (ended = true));
  for (let pollMs = FIRST_POLL_MS;; pollMs = Math.min(pollMs * 2, LAST_POLL_MS)) {
    const kill = escalate?.aborted || performance.now() >= killAtMs;
    const living = kill ? freeze(find) : find();
    let reachable = 0;
    for (const target of living) {
      const first = !asked.has(target.key);
      asked.add(target.key);
      if (kill) {
        if (!doomed.has(target.key)) killed?.(target);
        doomed.add(target.key);
        reachable += send(target, "SIGKILL");
      } else if (first && !delivered(target)) reachable += ask(target, signal);
      else reachable += 1;
    }
    if (reachable === 0 || ended || performance.now() >= killAtMs + KILL_LIMIT_MS) return living;
    await pause(kill ? FIRST_POLL_MS : pollMs, [escalate?.aborted ? undefined : escalate, until]);
  }
}

/**
 * Ends whatever descends from this process and reaps what it adopted, so that nothing outlives it.
 *
 * @returns How many processes were found alive, and those that could not be ended.
 */
export async function endAllDescendants(
  options: EndOptions = {},
): Promise<{ found: number; left: Target[] }> {
  if (!hasDescendants()) return { found: 0, left: [] };
  const found = allDescendants().length;
  const left = found === 0 ? [] : await endProcesses(allDescendants, options);
  reapAdopted();
  return { found, left };
}

/**
 * Stops all processes that are found until there is none that was not: what is stopped starts no others, so that none escapes by being
 * started faster than its kin are killed.
 */
function freeze(find: () => Target[]): Target[] {
  const frozen = new Set<string>();
  let living = find();
  for (let looks = 0; looks < FREEZE_LIMIT; looks++) {
    const others = living.filter(({ key }) => !frozen.has(key));
    // One alone is killed as fast as it is stopped.
    if (others.length === 0 || living.length === 1) break;
    for (const target of others) {
      frozen.add(target.key);
      send(target, "SIGSTOP");
    }
    living = find();
  }
  return living;
}

/** Sends a signal that asks; a stopped process is continued to see it. */
function ask(target: Target, signal: Deno.Signal): 0 | 1 {
  const sent = send(target, signal);
  if (target.stopped) send(target, "SIGCONT");
  return sent;
}

/** Sends a signal; 0 if we may not. A process that is gone counts as reached: the next look will not find it. */
function send(target: Target, signal: Deno.Signal): 0 | 1 {
  try {
    Deno.kill(target.killId, signal);
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) return 0;
  }
  return 1;
}

/** Waits, but not longer than until one of the others happens. */
async function pause(
  ms: number,
  others: [AbortSignal | undefined, Promise<void> | undefined],
): Promise<void> {
  const [signal, promise] = others;
  const { promise: woken, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const wake = () => resolve();
  signal?.addEventListener("abort", wake, { once: true });
  await (promise === undefined ? woken : Promise.race([woken, promise]));
  clearTimeout(timer);
  signal?.removeEventListener("abort", wake);
}
