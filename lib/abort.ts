/**
 * One listener for each signal, however many wait on it: adding a listener to a signal takes as long as it has listeners,
 * so a hundred thousand waiters with one signal in common would take half a minute to line up.
 *
 * @module
 */

/** Called once, with the reason of the signal. */
export type AbortCallback = (reason: unknown) => void;

interface Listener {
  callbacks: Set<AbortCallback>;
  handle: () => void;
}

/** Invariant: a signal has our listener exactly while somebody waits on it. */
const listeners = new WeakMap<AbortSignal, Listener>();

/**
 * Has a function called when a signal is aborted, in the order in which they were given.
 *
 * @param signal Not aborted yet.
 * @param callback What to call.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const controller = new AbortController();
 * const seen: unknown[] = [];
 * onAbort(controller.signal, (reason) => seen.push(reason));
 * controller.abort("enough");
 * assertEquals(seen, ["enough"]);
 * ```
 */
export function onAbort(signal: AbortSignal, callback: AbortCallback): void {
  let listener = listeners.get(signal);
  if (listener === undefined) {
    const callbacks = new Set<AbortCallback>();
    const handle = () => {
      for (const each of callbacks) {
        offAbort(signal, each);
        each(signal.reason);
      }
    };
    listener = { callbacks, handle };
    listeners.set(signal, listener);
    signal.addEventListener("abort", handle);
  }
  listener.callbacks.add(callback);
}

/** Undoes {@link onAbort}; the last to leave takes the listener away. Unknown callbacks are ignored. */
export function offAbort(signal: AbortSignal, callback: AbortCallback): void {
  const listener = listeners.get(signal);
  if (listener === undefined) return;
  listener.callbacks.delete(callback);
  if (listener.callbacks.size > 0) return;
  listeners.delete(signal);
  signal.removeEventListener("abort", listener.handle);
}

/**
 * Has a controller follow signals: it is aborted, with the same reason, as soon as one of them is.
 *
 * @param controller What follows.
 * @param signals What it follows; none of them is looked at after the first abort.
 * @returns Ends it, and takes the listeners away.
 */
export function follow(controller: AbortController, signals: Iterable<AbortSignal | undefined>): () => void {
  const callback = (reason: unknown) => controller.abort(reason);
  const followed: AbortSignal[] = [];
  for (const signal of signals) {
    if (signal === undefined) continue;
    if (signal.aborted) {
      controller.abort(signal.reason);
      continue;
    }
    onAbort(signal, callback);
    followed.push(signal);
  }
  return () => {
    for (const signal of followed) offAbort(signal, callback);
  };
}

/**
 * A signal that is aborted as soon as one of several is, with its reason. As `AbortSignal.any`, whose signal Deno before 2.5 lets be collected
 * while somebody listens to it: the abort is then never heard.
 *
 * Invariant: it has listeners at the signals exactly until one of them is aborted, or it is disposed of.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const controller = new AbortController();
 * using either = new EitherSignal(controller.signal, undefined);
 * controller.abort("enough");
 * assertEquals(either.signal.reason, "enough");
 * ```
 */
export class EitherSignal implements Disposable {
  /** Aborted as soon as one of them is. */
  readonly signal: AbortSignal;
  readonly #unfollow: () => void;

  /** @param signals Those that count; undefined is one that is never aborted. */
  constructor(...signals: (AbortSignal | undefined)[]) {
    const controller = new AbortController();
    this.signal = controller.signal;
    this.#unfollow = follow(controller, signals);
  }

  /** Takes the listeners away: from now on it is not aborted. */
  [Symbol.dispose](): void {
    this.#unfollow();
  }
}
