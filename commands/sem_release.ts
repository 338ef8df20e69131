/**
 * `conc sem release`: give permits back by their token.
 *
 * @module
 */

import { ndjson } from "../lib/report/ndjson.ts";
import { parseName } from "../lib/units.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { knownSemaphore } from "./sem_flags.ts";
import { openReach } from "./reach.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

export default command<StoreFlags>({
  brief: "Give permits back by the token that acquire printed",
  description: `A token that is none of this semaphore's, or was released before, is an error:
exit code 1, and nothing changes.

--json prints a record of type released: name, token.`,
  examples: [
    {
      line: 'token=$(conc sem acquire db) && conc sem release db "$token"',
      does: "Hold a permit for a part of a script",
    },
    { line: "conc sem release db 0123456789abcdef", does: "Not held: an error", exitCode: 1 },
  ],
  words: { usage: "NAME TOKEN", minimum: 2, maximum: 2 },
  flags: STORE_FLAGS,
  run: runRelease,
});

async function runRelease(
  context: Context,
  flags: StoreFlags & CommonFlags,
  [word = "", token = ""]: string[],
): Promise<number> {
  const name = parseName(word);
  await using reach = await openReach(context, flags);
  const semaphore = await knownSemaphore(reach, name);
  await reach.whenFree(() => semaphore.release(token));
  if (flags.json) await context.stdout.write(ndjson({ type: "released", name, token }));
  return SUCCESS;
}
