/**
 * Takes ticks as they come.
 *
 * @module
 */

import type { Tick } from "../../lib/time/every.ts";

/** The ticks that came so far, and how it ended. */
export interface Collected {
  ticks: Tick[];
  /** Resolves with what the iterator rejected with, or undefined when it is over. */
  ended: Promise<unknown>;
}

/** Begins to take ticks. */
export function collect(source: AsyncIterable<Tick>): Collected {
  const ticks: Tick[] = [];
  const ended = (async () => {
    try {
      for await (const tick of source) ticks.push(tick);
      return undefined;
    } catch (error) {
      return error;
    }
  })();
  return { ticks, ended };
}
