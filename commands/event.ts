/**
 * `conc event`: an event.
 *
 * @module
 */

import type { CommandGroup } from "./declaration.ts";

const group: CommandGroup = {
  brief: "An event: many wait until something has happened",
  examples: [
    { line: "conc event demo --check 0.5s --wait 0.2s", does: "One checks, three wait" },
    { line: "conc event demo --check 50ms --wait 20ms --json", does: "For programs" },
  ],
  subcommands: {
    demo: {
      brief: "One task checks the database, three wait to connect",
      load: async () => (await import("./event_demo.ts")).default,
    },
  },
};
export default group;
