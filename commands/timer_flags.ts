/**
 * The flags that the subcommands of `conc timer` share.
 *
 * @module
 */

import type { FlagParametersForType } from "@stricli/core";
import { UsageError } from "../lib/errors.ts";
import type { Overlap } from "../lib/jobs/repeater.ts";
import { seededRandom } from "../lib/random.ts";
import { parseDuration } from "../lib/time/duration.ts";
import { parseZone } from "../lib/time/zone.ts";
import { parseCount } from "../lib/units.ts";
import { eventName } from "./event_name.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

/** Flags of everything that knows times of day. */
export type ZoneFlags = { tz?: string };

/** Flags of everything that waits and then runs a command. */
export type RunFlags = ZoneFlags & StoreFlags & {
  timeout?: number;
  killAfter: number;
  shell?: boolean;
  event?: string;
};

/** Flags of what has an interval. */
export type JitterFlags = { jitter: number; seed?: number };

/** Flags of what ticks again and again. */
export type RepeatFlags = JitterFlags & {
  count?: number;
  immediate: boolean;
  overlap: Overlap;
  untilSuccess: boolean;
};

/** The declarations of {@link ZoneFlags}. */
export const ZONE_FLAGS: FlagParametersForType<ZoneFlags, never> = {
  tz: {
    kind: "parsed",
    parse: parseZone,
    optional: true,
    placeholder: "ZONE",
    brief: "Whose clocks are meant and shown, such as Europe/Berlin (this machine's)",
  },
};

/** The declarations of {@link RunFlags}. */
export const RUN_FLAGS: FlagParametersForType<RunFlags, never> = {
  timeout: {
    kind: "parsed",
    parse: parseTimeout,
    optional: true,
    placeholder: "D",
    brief: "End a run that takes longer than D; it counts as exit code 124",
  },
  killAfter: {
    kind: "parsed",
    parse: parseDuration,
    default: "5s",
    placeholder: "D",
    brief: "From the signal that asks to the one that kills",
  },
  ...ZONE_FLAGS,
  shell: { kind: "boolean", optional: true, brief: "Always, or never, run the command through sh -c" },
  event: {
    kind: "parsed",
    parse: eventName,
    optional: true,
    placeholder: "NAME",
    brief: "At each tick let an event happen: what ticks once sets it, what ticks again and again pulses it",
  },
  ...STORE_FLAGS,
};

/** The declarations of {@link JitterFlags}. */
export const JITTER_FLAGS: FlagParametersForType<JitterFlags, never> = {
  jitter: {
    kind: "parsed",
    parse: parseJitter,
    default: "0%",
    placeholder: "P%",
    brief: "Be late on purpose by a random part of the wait, up to P% of it",
  },
  seed: {
    kind: "parsed",
    parse: (text: string) => parseCount(text),
    optional: true,
    placeholder: "N",
    brief: "Draw the same jitter again",
  },
};

/** The declarations of {@link RepeatFlags}. */
export const REPEAT_FLAGS: FlagParametersForType<RepeatFlags, never> = {
  count: {
    kind: "parsed",
    parse: (text: string) => parseCount(text, 1),
    optional: true,
    placeholder: "N",
    brief: "End after N runs, or N ticks without a command",
  },
  immediate: { kind: "boolean", default: false, withNegated: false, brief: "Tick at once, too" },
  overlap: {
    kind: "enum",
    values: ["skip", "queue", "parallel", "kill"],
    default: "skip",
    brief:
      "If a run is not over at the next tick: skip the tick; queue it; run it in parallel; or kill the run and start anew",
  },
  untilSuccess: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "End once a run succeeds",
  },
  ...JITTER_FLAGS,
};

/** Letters for {@link RepeatFlags}. */
export const REPEAT_ALIASES = { n: "count" } as const;

/** Jitter as the library takes it. */
export function jitterOptions({ jitter, seed }: JitterFlags): {
  jitterPercent: number;
  random: () => number;
} {
  return { jitterPercent: jitter, random: seed === undefined ? Math.random : seededRandom(seed) };
}

function parseTimeout(text: string): number {
  const ms = parseDuration(text);
  if (ms === 0) throw new UsageError(`cannot use a timeout of nothing: received '${text}'`);
  return ms;
}

function parseJitter(text: string): number {
  const percent = /^\d+(\.\d+)?%?$/.test(text) ? Number.parseFloat(text) : NaN;
  if (percent <= 100) return percent;
  throw new UsageError(`cannot use that as jitter as it must be from 0% to 100%: received '${text}'`);
}
