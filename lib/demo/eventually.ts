/**
 * Waiting for something that nobody announces.
 *
 * @module
 */

import { delay } from "@std/async/delay";

const POLL_MS = 5;

/** Looks again and again until something holds. */
export async function eventually(probe: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  while (!await probe()) await delay(POLL_MS, { signal });
}
