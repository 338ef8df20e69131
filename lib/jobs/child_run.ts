/**
 * A command that a {@link Supervisor} keeps running: a child, and the end of all that it started.
 *
 * @module
 */

import { capture, type Take } from "../process/capture.ts";
import { type Child, type ChildStatus, spawn, type SpawnOptions } from "../process/spawn.ts";
import { endAllDescendants, type EndOptions } from "../process/terminate.ts";
import { readCommand } from "../process/proc.ts";
import type { SupervisedRun } from "./supervisor.ts";

/** How a {@link ChildRun} goes. */
export interface ChildRunOptions extends SpawnOptions {
  /** Takes what it prints. Default: it prints to where this process does. */
  take?: Take | undefined;
  /** Whether it is the only child of this process, so that whatever is left is what it left. */
  isAlone: boolean;
  /** Milliseconds that what it left running has from the signal that asks to SIGKILL. */
  killAfterMs: number;
  /** Kills what it left running. */
  escalate: AbortSignal;
}

/** A child that runs. Invariant: when `finished` has resolved, nothing lives of what it started that is known to be its own. */
export class ChildRun implements SupervisedRun {
  readonly child: Child;
  readonly finished: Promise<ChildStatus>;
  /** How many processes it left running when it ended by itself, as far as that is known. */
  left = 0;

  /**
   * Starts it.
   *
   * @throws {SpawnError} If it cannot be started.
   */
  constructor(words: readonly string[], options: ChildRunOptions) {
    const { take } = options;
    const piped = take === undefined ? {} : { stdout: "piped", stderr: "piped" } as const;
    this.child = spawn(words, { ...options, ...piped });
    this.finished = this.#finish(options);
  }

  end(cause: string, options: EndOptions): Promise<void> {
    return this.child.end(cause, options);
  }

  async #finish({ take, isAlone, killAfterMs: graceMs, escalate }: ChildRunOptions): Promise<ChildStatus> {
    const { child } = this;
    const status = await (take === undefined ? child.status : capture(child, take));
    const options = { graceMs, escalate };
    if (status.cause !== undefined || !isAlone) await child.endRest(options);
    if (!isAlone) return status;
    const { found } = await endAllDescendants({
      ...options,
      killed: ({ pid }) => void child.survivors.push({ pid, command: readCommand(pid) }),
    });
    if (status.cause === undefined) this.left = found;
    return status;
  }
}
