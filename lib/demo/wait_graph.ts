/**
 * Who holds what and who waits for what: a circle of waits is a deadlock.
 *
 * @module
 */

/** A wait in a circle. */
export interface Wait {
  owner: string;
  /** The lock that the owner waits for. */
  lock: string;
  /** Who holds it. */
  holder: string;
}

/**
 * The wait-for graph of exclusive locks. Invariant: each lock has one holder at most, each owner waits for one lock at most; so
 * from an owner leads at most one path, and following it finds the circle if there is one.
 *
 * Source: E. G. Coffman, M. J. Elphick, A. Shoshani, "System Deadlocks", ACM Computing Surveys 3 (1971).
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const graph = new WaitGraph();
 * graph.holds("Ann", "fork");
 * graph.holds("Bob", "spoon");
 * assertEquals(graph.waits("Ann", "spoon"), undefined);
 * assertEquals(graph.waits("Bob", "fork"), [
 *   { owner: "Bob", lock: "fork", holder: "Ann" },
 *   { owner: "Ann", lock: "spoon", holder: "Bob" },
 * ]);
 * ```
 */
export class WaitGraph {
  readonly #holders = new Map<string, string>();
  readonly #waits = new Map<string, string>();

  /** Enters that an owner has a lock, and waits no longer. */
  holds(owner: string, lock: string): void {
    this.#waits.delete(owner);
    this.#holders.set(lock, owner);
  }

  /** Enters that an owner gave a lock back. */
  releases(lock: string): void {
    this.#holders.delete(lock);
  }

  /** Enters that an owner gave up waiting. */
  givesUp(owner: string): void {
    this.#waits.delete(owner);
  }

  /**
   * Enters that an owner waits for a lock.
   *
   * @returns The circle that this wait closes, beginning with it; undefined if it closes none.
   */
  waits(owner: string, lock: string): Wait[] | undefined {
    this.#waits.set(owner, lock);
    const path: Wait[] = [];
    for (let next = owner; path.length <= this.#waits.size;) {
      const wanted = this.#waits.get(next);
      const holder = wanted === undefined ? undefined : this.#holders.get(wanted);
      if (wanted === undefined || holder === undefined) return undefined;
      path.push({ owner: next, lock: wanted, holder });
      if (holder === owner) return path;
      next = holder;
    }
    return undefined;
  }
}
