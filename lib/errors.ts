/**
 * The errors that callers of conc catch. Each class is one situation that a caller may want to handle apart;
 * which exit code a command ends with for each of them is decided in one place, `commands/exit_code.ts`.
 *
 * Messages are one line and end without a full stop: what happened, then what to do about it.
 *
 * @module
 */

/** The base of every error that conc throws on purpose. Anything else that is thrown is a defect. */
export abstract class ConcError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** What the caller asked for makes no sense: an unknown flag, a value out of range. Nothing was changed. */
export class UsageError extends ConcError {}

/** A wait ran out of its `timeoutMs`. The wait left the primitive as it was. */
export class TimeoutError extends ConcError {}

/** The time ran out while the store could not be used: another process kept it from being written, or there was no connection to the broker. */
export class HeldUpError extends TimeoutError {}

/** The caller asked not to wait, and what it wants is taken, full or empty. */
export class WouldBlockError extends ConcError {}

/** A lease was released twice, or something was released that is not held. Nothing was changed. */
export class NotHeldError extends ConcError {}

/** The owner of a lease died while holding it, so what the lease guarded may be half done. */
export class BrokenLeaseError extends ConcError {}

/** The queue or the pool was closed: no item will come, none can be put. */
export class ClosedError extends ConcError {}

/** The Worker that ran a task ended before the task did: it crashed, or ended itself. The task may be half done. */
export class WorkerDiedError extends ConcError {}

/** conc itself cannot go on: a store that cannot be read, a full disk, a broker that is gone. */
export class SystemError extends ConcError {}

/** The other side cannot be reached, or hung up. */
export class ConnectionError extends ConcError {}

/** A signal told conc to end. */
export class InterruptedError extends ConcError {
  /** The first signal that came, such as `SIGINT`. */
  readonly signal: string;

  constructor(signal: string) {
    super(`interrupted by ${signal}`);
    this.signal = signal;
  }
}

/** See {@link SpawnError.fault}. */
export type SpawnFault = "program" | "arguments" | "shortage";

/** The command could not be started: it was not found, or cannot be executed. */
export class SpawnError extends SystemError {
  /** 127 if it was not found, 126 if it cannot be executed. */
  readonly exitCode: number;
  /** What was wrong: the program, whatever its arguments; these arguments; or the moment, as the system was short of something. */
  readonly fault: SpawnFault;

  constructor(
    message: string,
    { exitCode, cause, fault = "program" }: { exitCode: number; cause: unknown; fault?: SpawnFault },
  ) {
    super(message, { cause });
    this.exitCode = exitCode;
    this.fault = fault;
  }
}

/** The operating system's words for what went wrong, without its number. */
export function reason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/ \(os error \d+\).*$/s, "").replace(/^(\w+|Failed to spawn '.*?'): /s, "").replace(
    /\n.*/s,
    "",
  );
}
