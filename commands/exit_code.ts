/**
 * The one place that turns what happened into an exit code and a line.
 *
 * @module
 */

import {
  ConcError,
  InterruptedError,
  SpawnError,
  SystemError,
  TimeoutError,
  UsageError,
  WouldBlockError,
} from "../lib/errors.ts";
import { signalNumber } from "../lib/process/exit_status.ts";
import { ReaderGoneError } from "../lib/report/output.ts";

/** It worked. */
export const SUCCESS = 0;
/** The work failed: some job failed, a condition is false. */
export const FAILURE = 1;
/** What was asked for makes no sense. */
export const USAGE = 2;
/** It would have to wait, and was told not to. */
export const WOULD_BLOCK = 75;
/** A timeout ran out. */
export const TIMEOUT = 124;
/** conc itself failed. */
export const SYSTEM = 125;

/** The exit code that an error ends conc with. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return USAGE;
  if (error instanceof WouldBlockError) return WOULD_BLOCK;
  if (error instanceof TimeoutError) return TIMEOUT;
  if (error instanceof InterruptedError) return 128 + signalNumber(error.signal);
  if (error instanceof ReaderGoneError) return 128 + signalNumber("SIGPIPE");
  if (error instanceof SpawnError) return error.exitCode;
  if (error instanceof SystemError || !(error instanceof ConcError)) return SYSTEM;
  return FAILURE;
}

/** The line that says what happened; undefined where conc ends quietly. With `debug` it is the stack trace. */
export function errorLine(error: unknown, debug: boolean): string | undefined {
  if (debug) return error instanceof Error ? error.stack ?? String(error) : String(error);
  if (error instanceof ReaderGoneError || error instanceof InterruptedError) return undefined;
  if (error instanceof ConcError) return `conc: ${error.message}`;
  const message = error instanceof Error ? error.message : String(error);
  return `conc: internal error: ${
    message.replaceAll("\n", " ")
  }: set CONC_DEBUG=1 to see where, and report it`;
}
