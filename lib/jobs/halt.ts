/**
 * When a pool stops early: GNU parallel's `--halt`.
 *
 * @module
 */

import { UsageError } from "../errors.ts";

/** What a pool has done so far. */
export interface Tally {
  failed: number;
  succeeded: number;
  /** How many jobs there are; undefined while inputs are still being read. */
  total: number | undefined;
}

/** `now` ends the running jobs, `soon` starts no more. */
export type HaltWhen = "now" | "soon";

/** A rule that says when to stop. */
export interface HaltRule {
  when: HaltWhen;
  /** Whether that many jobs ended in that way. */
  reached(tally: Tally): boolean;
  /** Whether to stop means that it worked. */
  isSuccess: boolean;
}

/** A percentage says nothing before this many jobs have ended. */
const PERCENTAGE_MINIMUM = 3;

const SHORT_FORMS: Readonly<Record<string, string>> = { "0": "never", "1": "soon,fail=1", "2": "now,fail=1" };

/**
 * Reads a halt rule: `never`, or `now` or `soon` with `fail`, `success` or `done` and a number or percentage, such as
 * `now,fail=1` or `soon,fail=10%`. GNU parallel's short forms 0, 1 and 2 are read too.
 *
 * Percentages of `fail` and `success` are of the jobs that have ended, once three have; those of `done` are of all jobs,
 * once all inputs were read.
 *
 * @param text What was typed.
 * @returns The rule; that of `never` is never reached.
 * @throws {UsageError} If it is none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const rule = parseHalt("now,fail=2");
 * assertEquals(rule.when, "now");
 * assertEquals(rule.reached({ failed: 1, succeeded: 9, total: undefined }), false);
 * assertEquals(rule.reached({ failed: 2, succeeded: 9, total: undefined }), true);
 * ```
 */
export function parseHalt(text: string): HaltRule {
  const rule = SHORT_FORMS[text] ?? text;
  if (rule === "never") return { when: "soon", isSuccess: false, reached: () => false };
  const match = /^(now|soon),(fail|success|done)=(\d+(?:\.\d+)?)(%?)$/.exec(rule);
  const limit = Number(match?.[3]);
  if (match === null || !(limit > 0) || (match[4] === "" && !Number.isInteger(limit))) {
    throw new UsageError(
      `cannot read a halt rule as it must be never, or now or soon with fail=N, success=N or done=N, ` +
        `N a number above 0 or a percentage: received '${text}'`,
    );
  }
  const [, when, what, , percent] = match as unknown as [
    string,
    HaltWhen,
    "fail" | "success" | "done",
    string,
    string,
  ];
  return {
    when,
    isSuccess: what === "success",
    reached: ({ failed, succeeded, total }) => {
      const ended = failed + succeeded;
      const count = { fail: failed, success: succeeded, done: ended }[what];
      if (percent === "") return count >= limit;
      if (what === "done") return total !== undefined && count * 100 >= limit * total;
      return ended >= PERCENTAGE_MINIMUM && count * 100 >= limit * ended;
    },
  };
}
