/**
 * `conc lock`: a lock by name, between the processes of one machine.
 *
 * @module
 */

import type { CommandGroup } from "./declaration.ts";

const group: CommandGroup = {
  brief: "A lock by name: one at a time, whichever process it is",
  examples: [
    { line: "conc lock run nightly --no-wait sleep 0.1", does: "Run it unless it runs already" },
    { line: "conc lock status", does: "Who holds which lock, and who waits" },
  ],
  subcommands: {
    run: {
      brief: "Run a command while holding a lock",
      load: async () => (await import("./lock_run.ts")).default,
    },
    status: {
      brief: "Who holds locks, and who waits for them",
      load: async () => (await import("./lock_status.ts")).default,
    },
  },
};
export default group;
