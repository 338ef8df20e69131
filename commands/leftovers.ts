/**
 * What jobs leave running: it is ended with conc.
 *
 * @module
 */

import { endAllDescendants } from "../lib/process/terminate.ts";
import { type Context, say } from "./context.ts";
import type { Interrupts } from "./interrupt.ts";

/** Ends all that still descends from conc, and says so. */
export async function endLeftovers(
  context: Context,
  { killAfterMs: graceMs, quiet, interrupts }: {
    killAfterMs: number;
    quiet: boolean;
    interrupts: Interrupts;
  },
): Promise<void> {
  const { found, left } = await endAllDescendants({ graceMs, escalate: interrupts.second });
  if (found > 0 && !quiet) {
    const text = `ended ${found} process${found === 1 ? "" : "es"} that jobs had left running`;
    await say(context, text).catch(() => {});
  }
  for (const { pid } of left) {
    await say(context, `cannot end process ${pid}: kill it as its owner`).catch(() => {});
  }
}
