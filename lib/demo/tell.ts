/**
 * What happens in a demo, step by step, for people and for programs.
 *
 * @module
 */

import type { Awaitable } from "../primitives.ts";

/** One step. */
export interface DemoStep {
  /** Who does it: `buyer 3`. */
  who: string;
  /** What is done: `buys`. */
  step: string;
  /** How many tickets are left. */
  left?: number;
  /** Which lock it is about. */
  lock?: string;
  /** How often the lock is held. */
  depth?: number;
  /** More, in words. */
  detail?: string;
}

/** Takes a step. */
export type Tell = (step: DemoStep) => Awaitable<void>;
