/**
 * The flag that says how many jobs run at once.
 *
 * @module
 */

import { UsageError } from "../lib/errors.ts";

/** The declaration of `--jobs`. */
export const JOBS_FLAG = {
  kind: "parsed",
  parse: parseJobs,
  optional: true,
  placeholder: "N|N%|+N",
  brief: "Run N at a time, or N% of the processors, or N more than them (all processors)",
} as const;

/** Reads `4`, `50%` or `+2`, the last two of the number of processors. */
function parseJobs(text: string): number {
  const processors = navigator.hardwareConcurrency;
  const match = /^(\+?)(\d+)(%?)$/.exec(text);
  const number = Number(match?.[2]);
  const isValid = match !== null && !(match[1] !== "" && match[3] !== "") && (number > 0 || match[1] !== "");
  if (!isValid || number > 1_000_000) {
    throw new UsageError(
      `cannot read how many jobs to run as it must be N, N% or +N with at least one job: received '${text}'`,
    );
  }
  if (match[1] !== "") return processors + number;
  return match[3] === "" ? number : Math.max(1, Math.floor(processors * number / 100));
}
