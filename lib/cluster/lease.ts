/**
 * What a process of ours holds at a broker.
 *
 * @module
 */

import { BrokenLeaseError, NotHeldError } from "../errors.ts";
import { FENCE_VARIABLE, type JobLease } from "../named.ts";
import { Timer } from "../time/timer.ts";
import type { BrokerChannel } from "./channel.ts";
import type { Part } from "./parts.ts";

/** What a {@link ClusterLease} is made of. */
export interface LeaseOptions {
  /** What is held is unacknowledged in this channel. It is the lease's own. */
  channel: BrokerChannel;
  /** What others are told of it. */
  part: Part;
  /** Larger than that of every grant before. */
  fence: number;
  /** Milliseconds from when its loss is noticed until the broker may have given to another what was held. */
  graceMs: number;
  /** Shows life, so that the broker does not close the channel. */
  renew: () => Promise<void>;
  /** Milliseconds from one sign of life to the next. */
  renewMs: number;
  /** Gives everything back, over the channel. */
  giveBack: () => void;
  /** Called once, when it is not held any more: by release, by loss, or by the end of the connection. */
  ended: () => void;
}

/**
 * A lease.
 *
 * Invariant: what was granted goes back at most once: by release, or with the end of the channel, of the connection, or of this process. It is held
 * for as long as {@link lost} is not aborted, which comes before the broker hands to another what is held here.
 */
export class ClusterLease implements JobLease {
  /** Grows with every grant of the object. What the job writes to can refuse whoever comes with a smaller one than it has seen. */
  readonly fence: number;
  readonly #options: LeaseOptions;
  readonly #timer: Timer;
  readonly #stop = () => this.#end();
  #held = true;
  #returned: Promise<void> = Promise.resolve();

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.fence = options.fence;
    this.#timer = new Timer(options.renewMs, () => void this.#renew());
    const { over } = options.channel;
    if (over.aborted) this.#end();
    else over.addEventListener("abort", this.#stop, { once: true });
  }

  get token(): string {
    return this.#options.part.token;
  }

  /** Aborted when it was lost, with a `SystemError` that says why. */
  get lost(): AbortSignal {
    return this.#options.channel.lost;
  }

  get graceMs(): number {
    return this.#options.graceMs;
  }

  /** What a job must have in its environment. */
  guard(): Record<string, string> {
    return { [FENCE_VARIABLE]: String(this.fence) };
  }

  /** Says which process the job began with, for people. */
  guards(pid: number): void {
    this.#options.part.jobPid = pid;
  }

  /** Gives back what is held. Throws `NotHeldError` if it was given back already, `BrokenLeaseError` if it was lost. */
  release(): void {
    if (!this.#held) {
      throw new NotHeldError("cannot release a lease as it must be held: it was released already");
    }
    this.#held = false;
    if (this.lost.aborted) {
      const { message } = this.lost.reason;
      throw new BrokenLeaseError(`cannot release a lease as it is not held any more: ${message}`);
    }
    const { channel, giveBack } = this.#options;
    // With the connection it went back.
    if (channel.over.aborted) return;
    giveBack();
    this.#end();
    this.#returned = channel.close();
  }

  /** Settles once the broker has back what was released. */
  get returned(): Promise<void> {
    return this.#returned;
  }

  /** Shows another process as the holder, or none. */
  shows(pid: number | undefined): void {
    this.#options.part.pid = pid;
  }

  [Symbol.dispose](): void {
    if (this.#held) this.release();
  }

  #end(): void {
    this.#timer.cancel();
    this.#options.channel.over.removeEventListener("abort", this.#stop);
    this.#options.ended();
  }

  async #renew(): Promise<void> {
    try {
      await this.#options.renew();
    } catch {
      // Then the channel is closed, or lost, and lost is aborted.
      return;
    }
    if (this.#held && !this.lost.aborted) this.#timer.restart();
  }
}
