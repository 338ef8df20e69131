/**
 * The waiting list under all primitives of one event loop. Fairness, cancellation and timeouts are written here, once.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";
import type { WaitOptions } from "../primitives.ts";
import { Timer } from "../time/timer.ts";
import { offAbort, onAbort } from "../abort.ts";

/** What a grant returns while the request cannot be met. */
export const NOT_NOW: unique symbol = Symbol("not now");

/** Options of {@link WaitingList}. */
export interface WaitingListOptions<Request, Grant> {
  /** What is waited for, for the message of the `TimeoutError`, such as `a lock`. */
  what: string;
  /** Meets a request and returns what is granted, or changes nothing and returns {@link NOT_NOW}. Does not throw. */
  grant(request: Request): Grant | typeof NOT_NOW;
}

/**
 * Those who wait, first come first served. The owner of the list says with `grant` whether the request at the head can be met,
 * and calls {@link WaitingList.serve} whenever its state has changed in a waiter's favour.
 *
 * Invariants: when a method of the list or its owner returns, the request at the head cannot be met; who was granted or cancelled
 * is in the list no more, has no timer and no listener. Waiters are doubly linked, so any one of them leaves in O(1).
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * let free = 1;
 * const seats = new WaitingList<string, string>({
 *   what: "a seat",
 *   grant: (name) => free > 0 ? (free -= 1, `seat of ${name}`) : NOT_NOW,
 * });
 * assertEquals(await seats.wait("Ann"), "seat of Ann");
 * const second = seats.wait("Bob");
 * free += 1;
 * seats.serve();
 * assertEquals(await second, "seat of Bob");
 * ```
 */
export class WaitingList<Request, Grant> {
  readonly #what: string;
  readonly #grant: (request: Request) => Grant | typeof NOT_NOW;
  #head: Waiter<Request, Grant> | undefined;
  #tail: Waiter<Request, Grant> | undefined;
  #length = 0;
  #closed: (() => unknown) | undefined;

  constructor({ what, grant }: WaitingListOptions<Request, Grant>) {
    this.#what = what;
    this.#grant = grant;
  }

  /** How many wait. */
  get length(): number {
    return this.#length;
  }

  /**
   * Grants the request at once if nobody waits and it can be met, else lines up.
   *
   * Cancel safety: a wait that is aborted or times out leaves the list before its promise rejects, and what it held up behind it
   * is served.
   *
   * @param request What `grant` is called with.
   * @param options When to give up. Without them a wait costs neither a timer nor a listener.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   */
  wait(request: Request, options?: WaitOptions): Promise<Grant> {
    if (options !== undefined) {
      const refusal = refuse(options);
      if (refusal !== undefined) return Promise.reject(refusal.reason);
    }
    const granted = this.take(request);
    if (granted !== NOT_NOW) return Promise.resolve(granted);
    if (this.#closed !== undefined) return Promise.reject(this.#closed());
    if (options?.timeoutMs === 0) return Promise.reject(this.#timeout(0));
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(request, resolve, reject);
      this.#append(waiter);
      if (options !== undefined) this.#limit(waiter, options);
    });
  }

  /** Grants the request if nobody waits and it can be met, else returns {@link NOT_NOW}: who does not wait never overtakes. */
  take(request: Request): Grant | typeof NOT_NOW {
    return this.#head === undefined ? this.#grant(request) : NOT_NOW;
  }

  /** Grants from the head on, until a request cannot be met. */
  serve(): void {
    for (let first = this.#first(); first !== undefined; first = this.#first()) {
      const granted = this.#grant(first.request);
      if (granted === NOT_NOW) return;
      this.#settle(first).resolve(granted);
    }
  }

  /** Grants all who wait, whatever they asked for. */
  serveAll(grant: () => Grant): void {
    for (let first = this.#first(); first !== undefined; first = this.#first()) {
      this.#settle(first).resolve(grant());
    }
  }

  /**
   * Turns waiters away. Those who stay keep their places.
   *
   * @param error What their waits reject with.
   * @param matches Whether to turn away who made this request.
   */
  reject(error: Error, matches: (request: Request) => boolean): void {
    for (let waiter = this.#head; waiter !== undefined;) {
      const next: Waiter<Request, Grant> | undefined = waiter.next;
      if (matches(waiter.request)) this.#settle(waiter).reject(error);
      waiter = next;
    }
    this.serve();
  }

  /**
   * Turns everybody away, now and later: a request that cannot be met at once is refused.
   *
   * @param makeError What the waits reject with.
   */
  close(makeError: () => unknown): void {
    this.#closed = makeError;
    for (let first = this.#first(); first !== undefined; first = this.#first()) {
      this.#settle(first).reject(makeError());
    }
  }

  /** Has the wait end early. All that this sets up is undone by `waiter.leave`. */
  #limit(waiter: Waiter<Request, Grant>, { signal, timeoutMs = Infinity }: WaitOptions): void {
    const cancel = (reason: unknown) => this.#cancel(waiter, reason);
    const timer = timeoutMs === Infinity
      ? undefined
      : new Timer(timeoutMs, () => cancel(this.#timeout(timeoutMs)));
    if (signal !== undefined) onAbort(signal, cancel);
    waiter.signal = signal;
    waiter.leave = () => {
      timer?.cancel();
      if (signal !== undefined) offAbort(signal, cancel);
    };
  }

  #cancel(waiter: Waiter<Request, Grant>, reason: unknown): void {
    const wasFirst = waiter === this.#head;
    this.#settle(waiter).reject(reason);
    if (wasFirst) this.serve();
  }

  #timeout(timeoutMs: number): TimeoutError {
    return new TimeoutError(
      `waited ${timeoutMs} ms for ${this.#what}: allow more time, or let it go earlier`,
    );
  }

  /** The first who still waits. Those on the way there whose signal is aborted are turned away: the abort has not reached them yet. */
  #first(): Waiter<Request, Grant> | undefined {
    while (this.#head?.signal?.aborted) {
      const waiter = this.#settle(this.#head);
      waiter.reject(waiter.signal?.reason);
    }
    return this.#head;
  }

  #append(waiter: Waiter<Request, Grant>): void {
    waiter.previous = this.#tail;
    if (this.#tail === undefined) this.#head = waiter;
    else this.#tail.next = waiter;
    this.#tail = waiter;
    this.#length += 1;
  }

  #settle(waiter: Waiter<Request, Grant>): Waiter<Request, Grant> {
    const { previous, next } = waiter;
    if (previous === undefined) this.#head = next;
    else previous.next = next;
    if (next === undefined) this.#tail = previous;
    else next.previous = previous;
    this.#length -= 1;
    waiter.leave?.();
    return waiter;
  }
}

/**
 * Why a wait with these options must not begin; undefined if it may. To be asked before the state is looked at.
 *
 * @param options What the caller gave.
 */
export function refuse({ signal, timeoutMs }: WaitOptions): { reason: unknown } | undefined {
  // Written so that NaN is refused, too.
  if (timeoutMs !== undefined && !(timeoutMs >= 0)) {
    const message =
      `cannot wait as 'timeoutMs' must be a number of milliseconds, 0 or more: received ${timeoutMs}`;
    return { reason: new RangeError(message) };
  }
  return signal?.aborted ? { reason: signal.reason } : undefined;
}

/** One who waits: a link of the list. */
class Waiter<Request, Grant> {
  readonly request: Request;
  readonly resolve: (granted: Grant) => void;
  readonly reject: (reason: unknown) => void;
  previous: Waiter<Request, Grant> | undefined = undefined;
  next: Waiter<Request, Grant> | undefined = undefined;
  signal: AbortSignal | undefined = undefined;
  leave: (() => void) | undefined = undefined;

  constructor(request: Request, resolve: (granted: Grant) => void, reject: (reason: unknown) => void) {
    this.request = request;
    this.resolve = resolve;
    this.reject = reject;
  }
}
