/**
 * `conc queue join`: wait until every item is dealt with.
 *
 * @module
 */

import { HeldUpError, TimeoutError } from "../lib/errors.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { formatDuration, parseDuration } from "../lib/time/duration.ts";
import { parseName } from "../lib/units.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { SILENT } from "./holders.ts";
import { Interrupts } from "./interrupt.ts";
import { items, knownQueue } from "./queue_flags.ts";
import { openReach } from "./reach.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

type JoinFlags = StoreFlags & { timeout?: number };

export default command<JoinFlags>({
  brief: "Wait until every item is dealt with",
  description: `That is, until none waits and none is worked on. Dead letters count as dealt
with: conc queue size --json says how many there are. --json prints one record
of type joined: name, waitedMs.`,
  examples: [
    {
      line: "conc queue put jobs one; conc queue get jobs; conc queue join jobs",
      does: "Nothing is left to wait for",
    },
    {
      line: "conc queue put jobs one; conc queue join jobs --timeout 0.2s",
      does: "Give up after a moment",
      exitCode: 124,
    },
  ],
  words: { usage: "NAME", minimum: 1, maximum: 1 },
  flags: {
    timeout: {
      kind: "parsed",
      parse: parseDuration,
      optional: true,
      placeholder: "D",
      brief: "Give up after waiting for D, with exit code 124",
    },
    ...STORE_FLAGS,
  },
  run: runJoin,
});

async function runJoin(
  context: Context,
  flags: JoinFlags & CommonFlags,
  [name = ""]: string[],
): Promise<number> {
  parseName(name);
  const { timeout: timeoutMs = Infinity } = flags;
  using interrupts = new Interrupts();
  await using reach = await openReach(context, flags, { signal: interrupts.first });
  const queue = await knownQueue(reach, name);
  const startMs = context.monotonic();
  try {
    await queue.join({ timeoutMs, signal: interrupts.first });
  } catch (error) {
    if (!(error instanceof TimeoutError) || error instanceof HeldUpError) throw error;
    const { size, leased, isSilent } = await reach.whenFree(() => queue.status(), { timeoutMs: 0 });
    const rest = isSilent ? `, and ${SILENT} may have more` : "";
    const left = `${items(size)} wait in the queue '${name}', ${leased} are worked on${rest}`;
    throw new TimeoutError(`timed out after ${formatDuration(timeoutMs)}: ${left}: allow more time`);
  }
  if (flags.json) {
    const waitedMs = Math.round(context.monotonic() - startMs);
    await context.stdout.write(ndjson({ type: "joined", name, waitedMs }));
  }
  return SUCCESS;
}
