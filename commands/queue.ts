/**
 * `conc queue`: a queue that processes share, and that keeps what was put.
 *
 * @module
 */

import type { CommandGroup } from "./declaration.ts";

const group: CommandGroup = {
  brief: "A queue: first in first out, a stack, or by priority",
  examples: [
    {
      line: "seq 3 | conc queue put jobs; conc queue get jobs -n 3",
      does: "Lines in, lines out, in other processes",
    },
    {
      line: "seq 4 | conc queue put jobs; conc queue work jobs -j2 --until-empty echo",
      does: "Run a command for each item, two at a time",
    },
    { line: "conc queue demo --timeout 0.2s", does: "Three queues, item by item" },
  ],
  subcommands: {
    put: {
      brief: "Put items, or the lines of stdin",
      load: async () => (await import("./queue_put.ts")).default,
    },
    get: {
      brief: "Print the next item and take it out, waiting for it",
      load: async () => (await import("./queue_get.ts")).default,
    },
    work: {
      brief: "Run a command for each item, again where it failed",
      load: async () => (await import("./queue_work.ts")).default,
    },
    peek: {
      brief: "Print the next items, which stay",
      load: async () => (await import("./queue_peek.ts")).default,
    },
    size: {
      brief: "Print how many items wait",
      load: async () => (await import("./queue_size.ts")).default,
    },
    list: {
      brief: "List the queues of the store",
      load: async () => (await import("./queue_list.ts")).default,
    },
    create: {
      brief: "Make a queue of a kind and a size",
      load: async () => (await import("./queue_create.ts")).default,
    },
    join: {
      brief: "Wait until every item is dealt with",
      load: async () => (await import("./queue_join.ts")).default,
    },
    dead: {
      brief: "List the dead letters: items that failed too often",
      load: async () => (await import("./queue_dead.ts")).default,
    },
    redrive: {
      brief: "Put the dead letters back in line",
      load: async () => (await import("./queue_redrive.ts")).default,
    },
    purge: {
      brief: "Throw away the items that wait",
      load: async () => (await import("./queue_purge.ts")).default,
    },
    delete: {
      brief: "Throw a queue away, with all that is in it",
      load: async () => (await import("./queue_delete.ts")).default,
    },
    demo: {
      brief: "Three queues: fifo of size 3, lifo, and by priority",
      load: async () => (await import("./queue_demo.ts")).default,
    },
  },
};
export default group;
