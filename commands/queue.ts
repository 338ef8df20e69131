/**
 * `conc queue`: a queue.
 *
 * @module
 */

import type { CommandGroup } from "./declaration.ts";

const group: CommandGroup = {
  brief: "A queue: first in first out, a stack, or by priority",
  examples: [
    { line: "conc queue demo --timeout 0.2s", does: "Three queues, item by item" },
    { line: "conc queue demo --timeout 50ms --json", does: "For programs" },
  ],
  subcommands: {
    demo: {
      brief: "Three queues: fifo of size 3, lifo, and by priority",
      load: async () => (await import("./queue_demo.ts")).default,
    },
  },
};
export default group;
