/**
 * Waits of tests: followed, cancelled, polled for with a deadline.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Awaitable } from "../../lib/primitives.ts";

/** How long anything may take before a test fails: far longer than it does, on any machine. */
export const DEADLINE_MS = 20_000;

/** A wait that began, and what became of it so far. */
export interface Wait<T> {
  promise: Promise<T>;
  state: "waiting" | "fulfilled" | "rejected";
  value: T | undefined;
  reason: unknown;
}

/** A wait that can be cancelled. */
export interface CancellableWait<T> extends Wait<T> {
  controller: AbortController;
}

/** Follows a promise; its rejection counts as handled. */
export function follow<T>(promise: Promise<T>): Wait<T> {
  const wait: Wait<T> = { promise, state: "waiting", value: undefined, reason: undefined };
  promise.then(
    (value) => Object.assign(wait, { state: "fulfilled", value }),
    (reason) => Object.assign(wait, { state: "rejected", reason }),
  );
  return wait;
}

/** Starts a wait with a signal of its own. */
export function start<T>(begin: (signal: AbortSignal) => Promise<T>): CancellableWait<T> {
  const controller = new AbortController();
  return Object.assign(follow(begin(controller.signal)), { controller });
}

/** Tries until a check does not throw; after the deadline throws what it threw last. */
export async function eventually(check: () => Awaitable<void>): Promise<void> {
  const endMs = performance.now() + DEADLINE_MS;
  for (let attempt = 0; true; attempt++) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > endMs) throw error;
    }
    await pause(attempt < 10 ? 0 : 5);
  }
}

/** Polls until something has statistics with these values. */
export function reaching<S extends object>(
  subject: { statistics(): Awaitable<S> },
  expected: Partial<S>,
): Promise<void> {
  return eventually(async () => {
    const statistics: S = await subject.statistics();
    const keys = Object.keys(expected) as (keyof S)[];
    const actual: Partial<S> = {};
    for (const key of keys) actual[key] = statistics[key];
    assertEquals(actual, expected);
  });
}

/** Polls until all waits are over. */
export function settled(waits: readonly Wait<unknown>[]): Promise<void> {
  return eventually(() => assertEquals(waits.filter((wait) => wait.state === "waiting").length, 0));
}

/** Lets timers and everything that is ready run. */
export function pause(delayMs = 0): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

/** Has a signal say how many listeners it has. */
export function countingSignal(
  signal: AbortSignal = new AbortController().signal,
): { signal: AbortSignal; listeners: () => number } {
  const present = new Set<unknown>();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    present.add(args[1]);
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    present.delete(args[1]);
    remove(...args);
  };
  return { signal, listeners: () => present.size };
}
