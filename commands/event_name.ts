/**
 * The names of events.
 *
 * @module
 */

import { UsageError } from "../lib/errors.ts";
import { parseName } from "../lib/units.ts";

/** What a target of `conc event wait` that is no event begins with, before a colon. */
export const TARGET_SCHEMES = ["tcp", "http", "https", "unix", "file", "pid", "log", "cmd"] as const;

/** One of {@link TARGET_SCHEMES}. */
export type Scheme = typeof TARGET_SCHEMES[number];

/**
 * Reads the name of an event. What `conc event wait` would take for a target of another kind is none.
 *
 * @param word What was typed.
 * @throws {UsageError} If it is no name.
 */
export function eventName(word: string): string {
  const name = parseName(word);
  const [prefix = "", ...rest] = name.split(":");
  if (rest.length === 0 || !isScheme(prefix.toLowerCase())) return name;
  throw new UsageError(
    `cannot name an event '${name}' as conc event wait takes that for a target of another kind: choose another name`,
  );
}

/** Whether a word is one of {@link TARGET_SCHEMES}. */
export function isScheme(word: string): word is Scheme {
  return (TARGET_SCHEMES as readonly string[]).includes(word);
}
