/**
 * How a command declares itself. One declaration serves the argv step, the parser, the help text, the completions and the
 * test that runs every example.
 *
 * @module
 */

import type { FlagParametersForType } from "@stricli/core";
import type { Context } from "./context.ts";

/** A command line that works as printed, and what it shows. */
export interface Example {
  /** The line, as one types it. */
  line: string;
  /** What it does, in a few words. */
  does: string;
  /** What it exits with. Default 0. */
  exitCode?: number;
}

/** The words that are no flags. */
export interface Words {
  /** How usage writes them: `NAME CMD…`. Empty if there are none. */
  usage: string;
  /** How many named words there are at least, before a wrapped command or the rest. */
  minimum: number;
  /** How many words there may be. */
  maximum: number;
  /** If the words after this many belong to a wrapped command: flags stop there. */
  wrapsAfter?: number;
  /** Whether a wrapped command begins behind `--`, which then stays among the words. */
  keepsSeparator?: boolean;
}

/** The parsed flags of a command; each command narrows it. */
// deno-lint-ignore no-explicit-any
export type Flags = Record<string, any>;

/** What Stricli reads of one flag. */
export interface FlagDeclaration {
  kind: "boolean" | "counter" | "enum" | "parsed";
  brief: string;
  placeholder?: string;
  values?: readonly string[];
  optional?: boolean;
  default?: unknown;
  hidden?: boolean;
}

/** One command, or one subcommand, that runs. */
export interface Command<F extends Flags = Flags> {
  /** One line for lists. */
  brief: string;
  /** What help says beyond the brief: what a user needs that no flag says. */
  description?: string;
  examples: readonly [Example, Example, ...Example[]];
  words: Words;
  flags: FlagParametersForType<F, never>;
  /** Letters for flags: `{ j: "jobs" }`. */
  aliases?: Readonly<Record<string, Extract<keyof F, string>>>;
  /** Does the work and returns the exit code. */
  run(context: Context, flags: F & CommonFlags, words: string[]): Promise<number>;
}

/** What is known of a command before its module is imported, which happens when it is called. */
export interface CommandEntry {
  /** One line for the list of commands; the same as the declaration's brief. */
  brief: string;
  /** Imports the declaration. */
  load(): Promise<Command | CommandGroup>;
}

/** A command that has subcommands; with `main` it also runs by itself. */
export interface CommandGroup {
  /** One line for lists. */
  brief: string;
  /** What its help shows, unless that is the help of `main`. */
  examples: readonly [Example, Example, ...Example[]];
  main?: Command;
  subcommands: Readonly<Record<string, CommandEntry>>;
}

/** The flags that every command has. */
export interface CommonFlags {
  json: boolean;
  quiet: boolean;
  color: "auto" | "always" | "never";
}

/** Declares a command; its type parameter ties `flags` to what `run` gets. */
export function command<F extends Flags>(declaration: Command<F>): Command {
  return declaration as unknown as Command;
}

/** Whether a declaration has subcommands. */
export function isGroup(declaration: Command | CommandGroup): declaration is CommandGroup {
  return "subcommands" in declaration;
}

/** The declarations of {@link CommonFlags}, as Stricli reads them. */
export const COMMON_FLAGS: FlagParametersForType<CommonFlags, never> = {
  json: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "Print NDJSON: one object a line, each with a type",
  },
  quiet: { kind: "boolean", default: false, withNegated: false, brief: "Print data and errors only" },
  color: {
    kind: "enum",
    values: ["auto", "always", "never"],
    default: "auto",
    brief: "Colour; auto means on a terminal and without NO_COLOR",
  },
};

/** Letters for {@link CommonFlags}. */
export const COMMON_ALIASES = { q: "quiet" } as const;
