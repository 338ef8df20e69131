/**
 * The checks that the primitives of one event loop have in common.
 *
 * @module
 */

/**
 * Throws unless a number counts something.
 *
 * @param action What cannot be done without, for the message.
 * @param argument The name and value of the argument.
 * @throws {RangeError} If the value is no whole number above 0.
 *
 * @example
 * ```ts
 * import { assertThrows } from "@std/assert";
 *
 * checkCount("make a pool", { name: "concurrency", value: 4 });
 * assertThrows(() => checkCount("make a pool", { name: "concurrency", value: 0.5 }), RangeError);
 * ```
 */
export function checkCount(action: string, { name, value }: { name: string; value: number }): void {
  if (Number.isSafeInteger(value) && value > 0) return;
  throw new RangeError(`cannot ${action} as '${name}' must be a whole number above 0: received ${value}`);
}
