/**
 * What the subcommands of `conc event` share.
 *
 * @module
 */

import type { FlagParametersForType } from "@stricli/core";
import type { EventChange } from "../lib/named.ts";
import type { EventStatistics } from "../lib/primitives.ts";
import { type JsonRecord, ndjson } from "../lib/report/ndjson.ts";
import type { Context } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import { eventName } from "./event_name.ts";
import { SUCCESS } from "./exit_code.ts";
import { openReach } from "./reach.ts";
import type { StoreFlags } from "./store_flags.ts";

/** Flags of everything that makes an event happen. */
export type DataFlags = { data?: string };

/** The declarations of {@link DataFlags}. */
export const DATA_FLAGS: FlagParametersForType<DataFlags, never> = {
  data: {
    kind: "parsed",
    parse: String,
    optional: true,
    placeholder: "TEXT",
    brief: "A text for those who wait",
  },
};

/** An event at one moment, for programs. */
export function eventRecord(
  name: string,
  { set, generation, data, waiting }: EventStatistics,
): JsonRecord {
  return { type: "event", name, set, generation, data: data ?? null, waiting };
}

/**
 * Changes an event, and with `--json` prints how it stands then.
 *
 * @param options `word`: its name; `change`: what is done to it.
 */
export async function changeEvent(
  context: Context,
  { flags, word, change }: {
    flags: StoreFlags & CommonFlags;
    word: string;
    change: EventChange;
  },
): Promise<number> {
  const name = eventName(word);
  await using reach = await openReach(context, flags);
  const event = await reach.event(name);
  const statistics = await reach.whenFree(() => event.change(change));
  if (flags.json) await context.stdout.write(ndjson(eventRecord(name, statistics)));
  return SUCCESS;
}
