/**
 * Waits of commands that have nothing to print meanwhile.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { isReaderGone } from "../lib/process/libc.ts";
import { ReaderGoneError } from "../lib/report/output.ts";

/** How soon it is noticed that nobody reads stdout any more. */
const LOOK_MS = 250;

/**
 * Waits, unless nobody reads stdout any more: who prints nothing is not told that.
 *
 * @param ms Milliseconds, also more than a timer can wait for.
 * @param options `signal` ends it.
 * @throws {ReaderGoneError} If stdout is a pipe whose reader is gone.
 */
export async function rest(ms: number, { signal }: { signal: AbortSignal }): Promise<void> {
  signal.throwIfAborted();
  const endMs = performance.now() + ms;
  for (let leftMs; (leftMs = endMs - performance.now()) > 0;) {
    await delay(Math.min(leftMs, LOOK_MS), { signal });
    if (isReaderGone(1)) throw new ReaderGoneError("nobody reads stdout any more");
  }
}
