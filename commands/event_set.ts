/**
 * `conc event set`: set an event, and wake all who wait for it.
 *
 * @module
 */

import { command, type CommonFlags } from "./declaration.ts";
import { changeEvent, DATA_FLAGS, type DataFlags } from "./event_flags.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

export default command<DataFlags & StoreFlags>({
  brief: "Set an event, and wake all who wait for it",
  description: `It stays set, also over a reboot, until conc event clear. A wait that begins
later returns at once. To set it again replaces its data.

--json prints one record of type event: name, set, generation (how often it was
set or pulsed so far), data (null if there is none), waiting.`,
  examples: [
    { line: "conc event set db-ready", does: "Let those go on who wait" },
    { line: "conc event set db-ready --data 'port 5432' --json", does: "Tell them something, too" },
  ],
  words: { usage: "NAME", minimum: 1, maximum: 1 },
  flags: { ...DATA_FLAGS, ...STORE_FLAGS },
  run: (context, flags: DataFlags & StoreFlags & CommonFlags, [word = ""]) =>
    changeEvent(context, {
      flags,
      word,
      change: { action: "set", ...(flags.data !== undefined && { data: flags.data }) },
    }),
});
