/**
 * All commands, by name. What is here is all that `conc --help` needs; a command's module is imported when it is called.
 *
 * @module
 */

import type { CommandEntry } from "./declaration.ts";

/** The commands, in the order of the list. */
export const REGISTRY: Readonly<Record<string, CommandEntry>> = {
  pool: {
    brief: "Run a command for every input, several at a time",
    load: async () => (await import("./pool.ts")).default,
  },
  gather: {
    brief: "Run tasks at once and bring their results together",
    load: async () => (await import("./gather.ts")).default,
  },
  spawn: {
    brief: "Start processes, supervise them, leave none behind",
    load: async () => (await import("./spawn.ts")).default,
  },
  timer: {
    brief: "Run a command later, at a time of day, every so often, by cron",
    load: async () => (await import("./timer.ts")).default,
  },
  lock: {
    brief: "A lock by name: one at a time, whichever process it is",
    load: async () => (await import("./lock.ts")).default,
  },
  sem: {
    brief: "A semaphore: at most N at a time",
    load: async () => (await import("./sem.ts")).default,
  },
  event: {
    brief: "An event: many wait until something has happened",
    load: async () => (await import("./event.ts")).default,
  },
  queue: {
    brief: "A queue: first in first out, a stack, or by priority",
    load: async () => (await import("./queue.ts")).default,
  },
  "tcp-echo": {
    brief: "A TCP echo server, a client, and a bench for any echo server",
    load: async () => (await import("./tcp_echo.ts")).default,
  },
  "udp-echo": {
    brief: "A UDP echo server, a client, and a bench for any echo server",
    load: async () => (await import("./udp_echo.ts")).default,
  },
  "lock-demo": {
    brief: "What locks are for, without one and with one",
    load: async () => (await import("./lock_demo.ts")).default,
  },
  "zombie-demo": {
    brief: "Real zombies and orphans, shown and removed; scan finds others",
    load: async () => (await import("./zombie_demo.ts")).default,
  },
  completions: {
    brief: "Print the completion script for bash, zsh or fish",
    load: async () => (await import("./completions.ts")).default,
  },
};
