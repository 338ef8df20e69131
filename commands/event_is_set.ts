/**
 * `conc event is-set`: whether an event is set.
 *
 * @module
 */

import { ndjson } from "../lib/report/ndjson.ts";
import { command } from "./declaration.ts";
import { eventRecord } from "./event_flags.ts";
import { eventName } from "./event_name.ts";
import { FAILURE, SUCCESS } from "./exit_code.ts";
import { openReach } from "./reach.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

export default command<StoreFlags>({
  brief: "Exit 0 if an event is set, else 1",
  description: `Nothing is printed. An event that nobody has set yet is not set.

--json prints one record of type event: name, set, generation, data, waiting.`,
  examples: [
    { line: "conc event is-set db-ready || echo 'not yet'", does: "In a script" },
    { line: "conc event is-set db-ready --json", does: "For programs", exitCode: 1 },
  ],
  words: { usage: "NAME", minimum: 1, maximum: 1 },
  flags: STORE_FLAGS,
  async run(context, flags, [word = ""]) {
    const name = eventName(word);
    await using reach = await openReach(context, flags);
    const statistics = await (await reach.event(name)).statistics();
    if (flags.json) await context.stdout.write(ndjson(eventRecord(name, statistics)));
    return statistics.set ? SUCCESS : FAILURE;
  },
});
