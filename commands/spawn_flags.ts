/**
 * The flags of `conc spawn`.
 *
 * @module
 */

import type { FlagParametersForType } from "@stricli/core";
import { UsageError } from "../lib/errors.ts";
import type { RestartPolicy } from "../lib/jobs/supervisor.ts";
import { parseSignal } from "../lib/process/exit_status.ts";
import { type DurationRange, parseDuration, parseDurationRange } from "../lib/time/duration.ts";
import { parseCount } from "../lib/units.ts";
import { eventName } from "./event_name.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";
import { WRAPPED_FLAGS, type WrappedFlags } from "./wrapped.ts";

/** What `conc spawn` is told. All of it can be written as JSON: that is how it comes to a supervisor in another session. */
export type SpawnFlags = WrappedFlags & StoreFlags & {
  count?: number;
  timeout?: number;
  signal: Deno.Signal;
  restart: RestartPolicy;
  maxRestarts?: number;
  backoff: DurationRange;
  prefix: boolean;
  daemon: boolean;
  detach: boolean;
  detached: boolean;
  pidfile?: string;
  log?: string;
  cwd?: string;
  env?: readonly string[];
  report?: string;
  ready?: string;
  event?: string;
};

const off = { kind: "boolean", default: false, withNegated: false } as const;
const file = { kind: "parsed", parse: parsePath, optional: true, placeholder: "FILE" } as const;

/** The declarations of {@link SpawnFlags}. */
export const SPAWN_FLAGS: FlagParametersForType<SpawnFlags, never> = {
  count: {
    kind: "parsed",
    parse: (text: string) => parseCount(text, 1),
    optional: true,
    placeholder: "COUNT",
    brief: "Start so many at once and join them; {#} is the index, from 1",
  },
  timeout: {
    kind: "parsed",
    parse: parseDuration,
    optional: true,
    placeholder: "D",
    brief: "End a run that takes longer than D, with exit code 124; 0 is no limit",
  },
  signal: {
    kind: "parsed",
    parse: parseSignal,
    default: "TERM",
    placeholder: "SIGNAL",
    brief: "What to ask with when the time has run out",
  },
  ...WRAPPED_FLAGS,
  restart: {
    kind: "enum",
    values: ["never", "on-failure", "always"],
    default: "never",
    brief: "When to start it again",
  },
  maxRestarts: {
    kind: "parsed",
    parse: (text: string) => parseCount(text),
    optional: true,
    placeholder: "N",
    brief: "Start it again N times at most",
  },
  backoff: {
    kind: "parsed",
    parse: parseBackoff,
    default: "1s..1m",
    placeholder: "D[..D]",
    brief:
      "Wait before a restart: twice as long each time, until the second; anew after a run longer than that",
  },
  prefix: { ...off, brief: "Begin each line of output with the command's name and the index" },
  daemon: { ...off, brief: "Have the kernel kill it when conc dies, also by SIGKILL (Linux, setpriv)" },
  detach: { ...off, brief: "Start it in a session of its own, print the pid, and return at once" },
  detached: { ...off, hidden: true, brief: "Be the supervisor of a detached command" },
  pidfile: { ...file, brief: "Keep conc's pid in FILE while it runs; refuse to run if its process lives" },
  log: { ...file, brief: "Append what the command prints to FILE" },
  cwd: {
    kind: "parsed",
    parse: parseDirectory,
    optional: true,
    placeholder: "DIR",
    brief: "The directory to start it in",
  },
  env: {
    kind: "parsed",
    parse: parseVariable,
    optional: true,
    variadic: true,
    placeholder: "K=V",
    brief: "A variable for its environment; may be given again",
  },
  report: { ...file, brief: "Append a JSON object for each run to FILE" },
  ready: {
    kind: "parsed",
    parse: String,
    optional: true,
    placeholder: "TARGET",
    brief: "What holds once it is ready: tcp:HOST:PORT, http(s)://…, unix:PATH, file:PATH, log:FILE=~RE",
  },
  event: {
    kind: "parsed",
    parse: eventName,
    optional: true,
    placeholder: "NAME",
    brief: "Set that event once it runs, or with --ready once that holds",
  },
  ...STORE_FLAGS,
};

/** Letters for {@link SPAWN_FLAGS}. */
export const SPAWN_ALIASES = { n: "count", s: "signal", k: "killAfter" } as const;

/** Throws if flags contradict each other. */
export function checkFlags({ restart, maxRestarts, prefix, json }: SpawnFlags & { json: boolean }): void {
  if (prefix && json) {
    throw new UsageError("--prefix and --json contradict each other: leave out one");
  }
  if (maxRestarts !== undefined && restart === "never") {
    throw new UsageError("--max-restarts is about restarts: say --restart on-failure, or always");
  }
}

function parseBackoff(text: string): DurationRange {
  const range = parseDurationRange(text);
  if (range.minMs > 0) return range;
  throw new UsageError(`cannot use a back-off of nothing: received '${text}'`);
}

function parsePath(text: string): string {
  if (text !== "") return text;
  throw new UsageError("cannot use '' as a file: give its name");
}

function parseDirectory(text: string): string {
  try {
    if (Deno.statSync(text).isDirectory) return text;
  } catch {
    // The same words for whatever is wrong with it.
  }
  throw new UsageError(`cannot start there as it is no directory: received '${text}'`);
}

function parseVariable(text: string): string {
  if (/^[^=]+=/.test(text)) return text;
  throw new UsageError(`cannot read a variable as it must be NAME=VALUE: received '${text}'`);
}
