/**
 * `conc sem`: a semaphore.
 *
 * @module
 */

import type { CommandGroup } from "./declaration.ts";

const group: CommandGroup = {
  brief: "A semaphore: at most N at a time",
  examples: [
    { line: "conc sem run db -n5 sleep 0.1", does: "At most five at a time, whoever starts them" },
    { line: "conc sem status", does: "Who holds permits, and who waits" },
  ],
  subcommands: {
    run: {
      brief: "Run a command while holding permits",
      load: async () => (await import("./sem_run.ts")).default,
    },
    acquire: {
      brief: "Take permits, for a process or for a time, and print a token",
      load: async () => (await import("./sem_acquire.ts")).default,
    },
    release: {
      brief: "Give permits back by the token that acquire printed",
      load: async () => (await import("./sem_release.ts")).default,
    },
    status: {
      brief: "Who holds permits, and who waits for them",
      load: async () => (await import("./sem_status.ts")).default,
    },
    resize: {
      brief: "Change how many permits there are",
      load: async () => (await import("./sem_resize.ts")).default,
    },
    demo: {
      brief: "Twenty tasks, five permits, drawn live",
      load: async () => (await import("./sem_demo.ts")).default,
    },
  },
};
export default group;
