/**
 * `conc event`: an event.
 *
 * @module
 */

import type { CommandGroup } from "./declaration.ts";

const group: CommandGroup = {
  brief: "An event: many wait until something has happened",
  examples: [
    { line: "conc event set db-ready --data 'port 5432'", does: "It has happened: all who wait go on" },
    { line: "conc event wait file:one.log --timeout 5s -- echo ready", does: "Wait, then run a command" },
    { line: "conc event demo --check 0.5s --wait 0.2s", does: "One checks, three wait" },
  ],
  subcommands: {
    set: {
      brief: "Set an event, and wake all who wait for it",
      load: async () => (await import("./event_set.ts")).default,
    },
    clear: {
      brief: "Clear an event, so that who comes waits again",
      load: async () => (await import("./event_clear.ts")).default,
    },
    pulse: {
      brief: "Wake who waits for an event now, and leave it as it is",
      load: async () => (await import("./event_pulse.ts")).default,
    },
    "is-set": {
      brief: "Exit 0 if an event is set, else 1",
      load: async () => (await import("./event_is_set.ts")).default,
    },
    list: {
      brief: "List all events: whether each is set, its data, how many wait",
      load: async () => (await import("./event_list.ts")).default,
    },
    wait: {
      brief: "Wait for events, ports, files, and then run a command",
      load: async () => (await import("./event_wait.ts")).default,
    },
    demo: {
      brief: "One task checks the database, three wait to connect",
      load: async () => (await import("./event_demo.ts")).default,
    },
  },
};
export default group;
