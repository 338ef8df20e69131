/**
 * What a TCP echo server counts, and how many connections it may have: in memory that all its threads share.
 *
 * @module
 */

/** What a TCP echo server has done so far. */
export interface TcpEchoStatistics {
  /** Connections that were accepted. */
  connections: number;
  /** Those of them that are open. */
  open: number;
  /** Bytes that were received, and bytes that were sent back. */
  bytesIn: number;
  bytesOut: number;
  /** Connections that broke, failed to shake hands, had a line that was too long or were cut off at the end. */
  errors: number;
}

/** The memory of {@link TcpEchoCounters}. */
export interface CountersMemory {
  counts: SharedArrayBuffer;
  open: SharedArrayBuffer;
}

const FIELDS = 4;
const CONNECTIONS = 0;
const BYTES_IN = 1;
const BYTES_OUT = 2;
const ERRORS = 3;
/** How often a thread looks whether another has closed a connection, while there are as many as there may be. */
const POLL_MS = 10;

/**
 * The counters as one thread sees them. Invariants: each thread writes only its own counts; `open` is changed atomically, and is never
 * more than the maximum.
 */
export class TcpEchoCounters {
  readonly #all: Float64Array;
  readonly #own: Float64Array;
  readonly #open: Int32Array;
  readonly #maximum: number;
  readonly #isShared: boolean;
  #wake: () => void = () => {};

  /**
   * @param memory What {@link TcpEchoCounters.memory} made.
   * @param options `thread`: which of the threads this is, from 0; `maximum`: how many connections there may be, in all threads.
   */
  constructor(memory: CountersMemory, { thread, maximum }: { thread: number; maximum: number }) {
    this.#all = new Float64Array(memory.counts);
    this.#own = this.#all.subarray(thread * FIELDS, (thread + 1) * FIELDS);
    this.#open = new Int32Array(memory.open);
    this.#maximum = maximum;
    this.#isShared = this.#all.length > FIELDS;
  }

  /** Makes the memory for so many threads. */
  static memory(threads: number): CountersMemory {
    return {
      counts: new SharedArrayBuffer(8 * FIELDS * threads),
      open: new SharedArrayBuffer(4),
    };
  }

  received(bytes: number): void {
    this.#own[BYTES_IN]! += bytes;
  }

  sent(bytes: number): void {
    this.#own[BYTES_OUT]! += bytes;
  }

  failed(): void {
    this.#own[ERRORS]! += 1;
  }

  /** Counts a connection, unless there are as many as there may be. */
  tryOpen(): boolean {
    for (;;) {
      const open = Atomics.load(this.#open, 0);
      if (open >= this.#maximum) return false;
      if (Atomics.compareExchange(this.#open, 0, open, open + 1) === open) break;
    }
    this.#own[CONNECTIONS]! += 1;
    return true;
  }

  /** Counts the end of a connection. */
  closed(): void {
    Atomics.sub(this.#open, 0, 1);
    this.#wake();
  }

  /** How many more connections there may be. */
  get room(): number {
    return this.#maximum - Atomics.load(this.#open, 0);
  }

  /**
   * Waits until there are fewer connections than there may be.
   *
   * @param signal Ends the wait.
   * @throws The reason of the signal, if it is aborted.
   */
  async untilRoom(signal: AbortSignal): Promise<void> {
    while (this.room <= 0) {
      await this.change(this.#isShared ? POLL_MS : Infinity, signal);
    }
  }

  /**
   * Waits until a connection of this thread has ended, or some time has passed.
   *
   * @param limitMs Milliseconds; Infinity for no limit.
   * @param signal Ends the wait.
   * @throws The reason of the signal, if it is aborted.
   */
  async change(limitMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    this.#wake = wake;
    signal.addEventListener("abort", wake, { once: true });
    const timer = limitMs < Infinity ? setTimeout(wake, limitMs) : undefined;
    await promise;
    clearTimeout(timer);
    signal.removeEventListener("abort", wake);
    signal.throwIfAborted();
  }

  /** What all threads have counted. */
  statistics(): TcpEchoStatistics {
    const sum = (field: number) => {
      let total = 0;
      for (let at = field; at < this.#all.length; at += FIELDS) total += this.#all[at]!;
      return total;
    };
    return {
      connections: sum(CONNECTIONS),
      open: Atomics.load(this.#open, 0),
      bytesIn: sum(BYTES_IN),
      bytesOut: sum(BYTES_OUT),
      errors: sum(ERRORS),
    };
  }
}
