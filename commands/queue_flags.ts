/**
 * What the subcommands of `conc queue` share.
 *
 * @module
 */

import type { FlagParametersForType } from "@stricli/core";
import { concatBytes } from "../lib/bytes.ts";
import { ConcError } from "../lib/errors.ts";
import type { NamedQueue, Reach } from "../lib/named.ts";
import type { Awaitable } from "../lib/primitives.ts";
import { bytesEntry, ndjson } from "../lib/report/ndjson.ts";
import { parseName } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { openReach } from "./reach.ts";
import type { StoreFlags } from "./store_flags.ts";

/** Flags of what reads or prints items. */
export type NullFlags = { null: boolean };

/** The declarations of {@link NullFlags}. */
export const NULL_FLAGS: FlagParametersForType<NullFlags, never> = {
  null: { kind: "boolean", default: false, brief: "Items end with NUL, not with a line feed" },
};

/** Letters for {@link NULL_FLAGS}. */
export const NULL_ALIASES = { 0: "null" } as const;

/** There is no queue of that name. */
class UnknownQueueError extends ConcError {}

/**
 * A queue that is there.
 *
 * @throws {ConcError} If there is none of this name.
 */
export async function knownQueue(reach: Reach, name: string): Promise<NamedQueue> {
  if (await reach.hasQueue(name)) return await reach.queue(name);
  throw new UnknownQueueError(`there is no queue '${name}': conc queue list shows those there are`);
}

/** An item as it is printed: followed by a line feed or NUL, or as a record. */
export function itemLine(
  item: Uint8Array,
  { flags, attempts }: { flags: NullFlags & CommonFlags; attempts?: number },
): Uint8Array {
  if (flags.json) {
    return new TextEncoder().encode(ndjson({ type: "item", ...bytesEntry("item", item), attempts }));
  }
  return concatBytes([item, Uint8Array.of(flags.null ? 0 : 10)]);
}

/**
 * Does something to all items of a queue that is there, and says to how many.
 *
 * @param options `type`: of the record; `key`: that of the number in it; `change`: does it; `text`: says it to people.
 * @throws {ConcError} If there is no queue of this name.
 */
export async function changeQueue(
  context: Context,
  { flags, name, type, key, change, text }: {
    flags: StoreFlags & CommonFlags;
    name: string;
    type: string;
    key: string;
    change: (queue: NamedQueue) => Awaitable<number>;
    text: (count: number) => string;
  },
): Promise<number> {
  parseName(name);
  await using reach = await openReach(context, flags);
  const queue = await knownQueue(reach, name);
  const count = await reach.whenFree(() => change(queue));
  if (flags.json) await context.stdout.write(ndjson({ type, name, [key]: count }));
  else if (!flags.quiet) await say(context, text(count));
  return SUCCESS;
}

/** `1 item`, `2 items`. */
export function items(count: number): string {
  return `${count} item${count === 1 ? "" : "s"}`;
}
