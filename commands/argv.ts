/**
 * The argv step in front of the parser. People write `-j4`, `-j 4`, `--jobs 4`, `-ku` and expect flags to stop at the
 * wrapped command; Stricli reads `--jobs=4` and stops at `--`. This turns the one into the other, driven by the flag table
 * of the command.
 *
 * @module
 */

import { closestString } from "@std/text/closest-string";
import { levenshteinDistance } from "@std/text/levenshtein-distance";
import { UsageError } from "../lib/errors.ts";
import type { FlagDeclaration, Words } from "./declaration.ts";

/** What the argv step knows of a command. */
export interface FlagTable {
  flags: Readonly<Record<string, FlagDeclaration>>;
  aliases: Readonly<Record<string, string>>;
  words: Words;
}

/** The command line, taken apart. */
export interface CanonicalArgv {
  /** Flags in one spelling: `--jobs=4`, `--keep-order`. */
  flags: string[];
  /** All other words, in order. */
  words: string[];
  /** Whether the user asks for help. */
  help: boolean;
}

/**
 * Takes a command line apart.
 *
 * @param argv The words after the command's name.
 * @param table The command's flags.
 * @throws {UsageError} If a flag is unknown or lacks its value.
 */
export function canonicalArgv(argv: readonly string[], table: FlagTable): CanonicalArgv {
  const result: CanonicalArgv = { flags: [], words: [], help: false };
  const { wrapsAfter = Infinity, keepsSeparator = false } = table.words;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === "--") {
      result.words.push(...argv.slice(keepsSeparator ? i : i + 1));
      break;
    }
    if (word === "--help" || word === "-h") {
      result.help = true;
    } else if (word.startsWith("--")) {
      i += readLong(word, argv[i + 1], table, result);
    } else if (word.startsWith("-") && word !== "-") {
      i += readCluster(word, argv[i + 1], table, result);
    } else if (result.words.length >= wrapsAfter) {
      result.words.push(...argv.slice(i));
      break;
    } else {
      result.words.push(word);
    }
  }
  return result;
}

/** `keepOrder` as people type it: `keep-order`. */
export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The one of `names` that was probably meant: the nearest within two edits. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const closest = closestString(word, names);
  return levenshteinDistance(word, closest) <= Math.min(2, word.length / 2) ? closest : undefined;
}

/** Reads `--name`, `--name=value` or `--name value`; returns how many further words it took. */
function readLong(word: string, next: string | undefined, table: FlagTable, result: CanonicalArgv): 0 | 1 {
  const [, typed, value] = /^--([^=]*)(?:=(.*))?$/s.exec(word)!;
  const name = Object.keys(table.flags).find((flag) => kebab(flag) === typed || flag === typed);
  if (name === undefined) {
    const negated = Object.keys(table.flags).find((flag) => `no-${kebab(flag)}` === typed);
    if (negated !== undefined && table.flags[negated]!.kind === "boolean" && value === undefined) {
      result.flags.push(word);
      return 0;
    }
    throw unknownFlag(`--${typed}`, table);
  }
  return push(name, `--${typed}`, value, next, table, result);
}

/** Reads `-k`, `-ku`, `-j4` or `-j 4`; returns how many further words it took. */
function readCluster(word: string, next: string | undefined, table: FlagTable, result: CanonicalArgv): 0 | 1 {
  for (let at = 1; at < word.length; at++) {
    const letter = word[at]!;
    const name = table.aliases[letter];
    if (name === undefined) throw unknownFlag(at === 1 ? word : `-${letter}`, table);
    if (takesValue(table.flags[name]!)) {
      const attached = word.slice(at + 1).replace(/^=/, "");
      return push(name, `-${letter}`, attached === "" ? undefined : attached, next, table, result);
    }
    result.flags.push(`--${kebab(name)}`);
  }
  return 0;
}

function push(
  name: string,
  typed: string,
  value: string | undefined,
  next: string | undefined,
  table: FlagTable,
  result: CanonicalArgv,
): 0 | 1 {
  const flag = table.flags[name]!;
  const canonical = `--${kebab(name)}`;
  if (value !== undefined || !takesValue(flag)) {
    result.flags.push(value === undefined ? canonical : `${canonical}=${value}`);
    return 0;
  }
  if (next === undefined) {
    throw new UsageError(
      `${typed} needs a value: ${typed} ${flag.placeholder ?? flag.values?.join("|") ?? "VALUE"}`,
    );
  }
  result.flags.push(`${canonical}=${next}`);
  return 1;
}

function takesValue(flag: FlagDeclaration): boolean {
  return flag.kind === "parsed" || flag.kind === "enum";
}

function unknownFlag(typed: string, table: FlagTable): UsageError {
  const known = Object.keys(table.flags).map((name) => `--${kebab(name)}`);
  const meant = typed.startsWith("--") ? nearest(typed, known) : undefined;
  return new UsageError(
    `unknown flag ${typed}: ${meant === undefined ? "--help lists the flags" : `did you mean ${meant}?`}`,
  );
}
