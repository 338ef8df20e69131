/**
 * The checks that the primitives have in common, at every reach.
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

/**
 * Why a weight cannot be acquired; undefined if it can.
 *
 * @param weight How many permits are wanted.
 * @param permits How many there are.
 */
export function weightProblem(weight: number, permits: number): RangeError | undefined {
  if (!(Number.isSafeInteger(weight) && weight > 0)) {
    return new RangeError(`cannot acquire as 'weight' must be a whole number above 0: received ${weight}`);
  }
  return weight > permits ? tooHeavy(permits, weight) : undefined;
}

/** That there are not so many permits; `weight` is left out where it is not known any more. */
export function tooHeavy(permits: number, weight?: number): RangeError {
  const received = weight === undefined ? "" : `: received ${weight}`;
  return new RangeError(
    `cannot acquire as 'weight' must be at most the number of permits, ${permits}${received}`,
  );
}
