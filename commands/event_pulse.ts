/**
 * `conc event pulse`: wake who waits for an event now.
 *
 * @module
 */

import { command, type CommonFlags } from "./declaration.ts";
import { changeEvent, DATA_FLAGS, type DataFlags } from "./event_flags.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

export default command<DataFlags & StoreFlags>({
  brief: "Wake who waits for an event now, and leave it as it is",
  description: `Whoever begins to wait later waits for the next time. The data is for those who
are woken; that of an event that is set stays.

--json prints one record of type event: name, set, generation, data, waiting.`,
  examples: [
    { line: "conc event pulse reload", does: "Whoever waits reloads now" },
    { line: "conc event pulse reload --data /etc/app.conf", does: "And is told what" },
  ],
  words: { usage: "NAME", minimum: 1, maximum: 1 },
  flags: { ...DATA_FLAGS, ...STORE_FLAGS },
  run: (context, flags: DataFlags & StoreFlags & CommonFlags, [word = ""]) =>
    changeEvent(context, {
      flags,
      word,
      change: { action: "pulse", ...(flags.data !== undefined && { data: flags.data }) },
    }),
});
