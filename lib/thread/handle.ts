/**
 * How a primitive gets from one thread to another.
 *
 * @module
 */

/** What is posted to another thread, whose `attach` makes the same primitive of it. It is shared, not copied. */
export interface ThreadHandle<Kind extends string = string> {
  /** Which primitive it is of. */
  readonly kind: Kind;
  /** Its memory. */
  readonly buffers: readonly SharedArrayBuffer[];
}

/**
 * The handle that was posted, if it is of the right primitive.
 *
 * @param kind Which primitive it must be of.
 * @throws {TypeError} If it is of another one, or none.
 */
export function checkedHandle<Kind extends string>(
  handle: ThreadHandle<Kind>,
  kind: Kind,
): ThreadHandle<Kind> {
  if (handle?.kind === kind) return handle;
  throw new TypeError(
    `cannot attach as 'handle' must be that of a ${kind}: received ${handle?.kind ?? typeof handle}`,
  );
}

/** What can lose its holders: the Workers of a pool. */
export interface Breakable {
  /**
   * Takes away what a thread holds that has died, and drops its waits.
   *
   * @param thread The thread's `threadId`.
   * @returns How many leases were broken.
   */
  breakLeases(thread: number): number;
}
