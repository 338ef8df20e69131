/**
 * Which Worker takes too much memory. A Worker that reaches the limit of its heap takes the whole process down, and the runtime has no
 * limit for one Worker that holds. So this looks from outside, on Linux: how much the process has grown, and which thread it was
 * that touched new pages meanwhile.
 *
 * @module
 */

/** Watches the memory of threads. Sees nothing where there is no /proc, or it may not be read. */
export class MemoryWatch {
  /** What a thread may take before it is named. */
  readonly limitBytes: number;
  readonly #baseBytes: number;
  /** All threads that there were: one that was told to end may go on for a while. */
  readonly #threads = new Set<number>([Deno.pid]);
  /** How much memory there was when it was last little, and how many pages each thread had touched by then. */
  #calm: { bytes: number; faults: ReadonlyMap<number, number> };

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
    this.#baseBytes = Deno.memoryUsage().rss;
    this.#calm = { bytes: this.#baseBytes, faults: new Map() };
  }

  /**
   * Looks.
   *
   * @param threads The ids that the system knows the present Workers by.
   * @returns The thread that has taken the most, also one that was present before, and how much; undefined if that is below the limit.
   */
  look(threads: readonly number[]): { thread: number; bytes: number } | undefined {
    const bytes = Deno.memoryUsage().rss;
    for (const thread of threads) this.#threads.add(thread);
    const faults = new Map([...this.#threads].map((thread) => [thread, faultsOf(thread)]));
    if (bytes - this.#baseBytes < this.limitBytes / 4) {
      this.#calm = { bytes, faults };
      return undefined;
    }
    const touched = (thread: number) =>
      Math.max(0, faults.get(thread)! - (this.#calm.faults.get(thread) ?? 0));
    const [thread] = [...this.#threads].sort((a, b) => touched(b) - touched(a)) as [number];
    const all = [...this.#threads].reduce((sum, thread) => sum + touched(thread), 0);
    const taken = (bytes - this.#calm.bytes) * touched(thread) / Math.max(1, all);
    return taken > this.limitBytes ? { thread, bytes: taken } : undefined;
  }
}

/** How often a thread touched a page that was not there yet (proc(5), minflt). */
function faultsOf(thread: number): number {
  try {
    const stat = Deno.readTextFileSync(`/proc/self/task/${thread}/stat`);
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[7]);
  } catch {
    return 0;
  }
}
