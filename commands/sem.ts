/**
 * `conc sem`: a semaphore.
 *
 * @module
 */

import type { CommandGroup } from "./declaration.ts";

const group: CommandGroup = {
  brief: "A semaphore: at most N at a time",
  examples: [
    { line: "conc sem demo --hold 20ms..60ms", does: "Twenty tasks, five at a time" },
    { line: "conc sem demo --tasks 6 --permits 2 --hold 10ms --json", does: "For programs" },
  ],
  subcommands: {
    demo: {
      brief: "Twenty tasks, five permits, drawn live",
      load: async () => (await import("./sem_demo.ts")).default,
    },
  },
};
export default group;
