/**
 * What runs in the Worker of a bench.
 *
 * @module
 */

import { ConnectionError, SystemError } from "../../errors.ts";
import { type BenchPlan, runBench } from "./loop.ts";
import type { BenchInterval, BenchSummary } from "./tally.ts";

/** The one message to the Worker. */
export interface BenchStart {
  plan: BenchPlan;
  /** One number of shared memory: not 0 to stop. The Worker is busy, and reads no second message. */
  stop: Int32Array;
}

/** What the Worker tells. */
export type BenchNews =
  | { interval: BenchInterval }
  | { summary: BenchSummary }
  | { failure: "connection" | "system" | "defect"; message: string };

const thread = globalThis as unknown as {
  onmessage: (event: MessageEvent<BenchStart>) => void;
  postMessage(news: BenchNews): void;
};

thread.onmessage = async ({ data: { plan, stop } }) => {
  try {
    const summary = await runBench(plan, {
      isStopped: () => Atomics.load(stop, 0) !== 0,
      interval: (interval) => thread.postMessage({ interval }),
    });
    thread.postMessage({ summary });
  } catch (error) {
    const failure = error instanceof ConnectionError
      ? "connection"
      : error instanceof SystemError
      ? "system"
      : "defect";
    thread.postMessage({ failure, message: error instanceof Error ? error.message : String(error) });
  }
};
