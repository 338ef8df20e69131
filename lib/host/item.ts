/**
 * What is put into a queue: bytes, and how they are to be queued.
 *
 * @module
 */

import { textToBytes } from "../bytes.ts";
import type { ItemOptions } from "../named.ts";

/** An item on its way into a queue. */
export interface NewItem {
  data: Uint8Array;
  options: ItemOptions;
}

/**
 * Throws unless an item can be put like this.
 *
 * @throws {RangeError} If `priority` is NaN, or `delayMs` is negative, NaN or infinite.
 */
export function checkItem({ priority, delayMs }: ItemOptions): void {
  if (priority !== undefined && Number.isNaN(priority)) {
    throw new RangeError("cannot put as 'priority' must be a number: received NaN");
  }
  if (delayMs !== undefined && !(delayMs >= 0 && delayMs < Infinity)) {
    throw new RangeError(`cannot put as 'delayMs' must be 0 or more: received ${delayMs}`);
  }
}

/** A key as the store compares it. What is no well-formed text would all be the same there. */
export function keyOf(dedup: string): string | Uint8Array {
  return dedup.isWellFormed() ? dedup : textToBytes(dedup);
}

/** An item as the payload of who waits to put it: the length of the options, the options as JSON, the item. */
export function packItem({ data, options }: NewItem): Uint8Array {
  const { priority, delayMs, dedup } = options;
  const isInfinite = priority === Infinity || priority === -Infinity;
  const head = new TextEncoder().encode(
    JSON.stringify({ priority: isInfinite ? String(priority) : priority, delayMs, dedup }),
  );
  const bytes = new Uint8Array(4 + head.length + data.length);
  new DataView(bytes.buffer).setUint32(0, head.length);
  bytes.set(head, 4);
  bytes.set(data, 4 + head.length);
  return bytes;
}

/** The inverse of {@link packItem}. */
export function unpackItem(bytes: Uint8Array): NewItem {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  const options = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  if (options.priority !== undefined) options.priority = Number(options.priority);
  return { data: bytes.subarray(4 + length), options };
}
