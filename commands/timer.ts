/**
 * `conc timer`: run commands later, at a time of day, again and again.
 *
 * @module
 */

import type { CommandGroup } from "./declaration.ts";

const group: CommandGroup = {
  brief: "Run a command later, at a time of day, every so often, by cron",
  examples: [
    { line: "conc timer after 0.3s echo later", does: "Once, after some time" },
    { line: "conc timer every 200ms --count 5", does: "A clock that does not drift" },
    { line: "conc timer next '30 2 * * *' --tz Europe/Berlin", does: "When a cron line is due" },
  ],
  subcommands: {
    after: {
      brief: "Run a command once, after some time",
      load: async () => (await import("./timer_after.ts")).default,
    },
    at: {
      brief: "Run a command once, at a time of day or a date",
      load: async () => (await import("./timer_at.ts")).default,
    },
    every: {
      brief: "Run a command at a fixed interval that does not drift",
      load: async () => (await import("./timer_every.ts")).default,
    },
    cron: {
      brief: "Run a command at the times of a cron line",
      load: async () => (await import("./timer_cron.ts")).default,
    },
    next: {
      brief: "Print when a cron line is due",
      load: async () => (await import("./timer_next.ts")).default,
    },
  },
};
export default group;
