/**
 * The progress of many jobs as one line.
 *
 * @module
 */

import { formatDuration } from "../time/duration.ts";
import { LiveLine, type LiveLineOptions } from "./live_line.ts";

/** How far the work is. */
export interface ProgressState {
  done: number;
  failed: number;
  running: number;
  /** How many there are; undefined while that is not known. */
  total: number | undefined;
}

/** Draws progress on stderr until it is disposed of. */
export class Progress extends LiveLine {
  /**
   * @param read Tells how far the work is.
   * @param options Where to draw, and how wide it is.
   */
  constructor(read: () => ProgressState, options: LiveLineOptions) {
    super((elapsedMs) => formatProgress(read(), elapsedMs), options);
  }
}

/**
 * One line of progress: done of total, failed, rate, and when it will be over.
 *
 * @param state How far the work is.
 * @param elapsedMs How long it has taken.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const state = { done: 30, failed: 1, running: 4, total: 120 };
 * assertEquals(formatProgress(state, 10_000), "30/120 done (25%), 1 failed, 4 running, 3.0/s, ETA 30s");
 * ```
 */
export function formatProgress({ done, failed, running, total }: ProgressState, elapsedMs: number): string {
  const perSecond = elapsedMs > 0 ? done * 1_000 / elapsedMs : 0;
  const parts = [
    total === undefined
      ? `${done} done`
      : `${done}/${total} done (${Math.floor(done * 100 / Math.max(1, total))}%)`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    `${running} running`,
    `${perSecond.toFixed(1)}/s`,
  ];
  if (total !== undefined && done >= total) parts.push(`took ${formatDuration(elapsedMs)}`);
  else if (total !== undefined && done > 0) {
    parts.push(`ETA ${formatDuration((total - done) * elapsedMs / done)}`);
  }
  return parts.join(", ");
}
