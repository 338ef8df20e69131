/**
 * `conc event clear`: clear an event.
 *
 * @module
 */

import { command } from "./declaration.ts";
import { changeEvent } from "./event_flags.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

export default command<StoreFlags>({
  brief: "Clear an event, so that who comes waits again",
  description: `Its data goes, its generation stays. To clear what is not set is no error.

--json prints one record of type event: name, set, generation, data, waiting.`,
  examples: [
    { line: "conc event clear db-ready", does: "The database is down again" },
    { line: "conc event set x && conc event clear x --json", does: "For programs" },
  ],
  words: { usage: "NAME", minimum: 1, maximum: 1 },
  flags: STORE_FLAGS,
  run: (context, flags, [word = ""]) => changeEvent(context, { flags, word, change: { action: "clear" } }),
});
