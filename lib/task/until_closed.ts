/**
 * What it is to iterate over a queue, at every reach.
 *
 * @module
 */

import { ClosedError } from "../errors.ts";

/**
 * Gets again and again, until there is nothing more to get.
 *
 * @param get Resolves with an item; rejects with `ClosedError` at the end.
 * @throws What else `get` throws.
 */
export async function* untilClosed<T>(get: () => Promise<T>): AsyncGenerator<T, void, undefined> {
  while (true) {
    let item: T;
    try {
      item = await get();
    } catch (error) {
      if (error instanceof ClosedError) return;
      throw error;
    }
    yield item;
  }
}
