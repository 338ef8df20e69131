/**
 * The flags that the commands over a store share: where it is, and how long to wait.
 *
 * @module
 */

import type { FlagParametersForType } from "@stricli/core";
import { UsageError } from "../lib/errors.ts";
import { defaultStorePath } from "../lib/host/store_file.ts";
import { parseDuration } from "../lib/time/duration.ts";
import { parseCount } from "../lib/units.ts";
import type { Context } from "./context.ts";

/** Flags of everything that uses a store. */
export type StoreFlags = { store?: string };

/** Flags of everything that may have to wait for what others hold. */
export type WaitFlags = { timeout?: number; noWait: boolean; conflictExitCode: number };

/** The declarations of {@link StoreFlags}. */
export const STORE_FLAGS: FlagParametersForType<StoreFlags, never> = {
  store: {
    kind: "parsed",
    parse: String,
    optional: true,
    placeholder: "STORE",
    brief: "What all who take part share: a file, or amqp://USER:PASSWORD@HOST (CONC_STORE, else a file)",
  },
};

/** The declarations of {@link WaitFlags}. */
export const WAIT_FLAGS: FlagParametersForType<WaitFlags, never> = {
  timeout: {
    kind: "parsed",
    parse: parseDuration,
    optional: true,
    placeholder: "D",
    brief: "Give up after waiting for D, with exit code 124",
  },
  noWait: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "Do not wait: exit 75 if it is held",
  },
  conflictExitCode: {
    kind: "parsed",
    parse: parseExitCode,
    default: "75",
    placeholder: "N",
    brief: "What to exit with instead of 75; with 0 and -q a conflict is passed over in silence",
  },
};

/** Letters for {@link WAIT_FLAGS}. */
export const WAIT_ALIASES = { E: "conflictExitCode" } as const;

/**
 * The file that a command line names: that of `--store`, of CONC_STORE, or the usual one.
 *
 * @throws {UsageError} If it names no file.
 */
export function storePath({ env }: Pick<Context, "env">, { store }: StoreFlags): string {
  const named = nameOf(env, store);
  if (named === undefined) return defaultStorePath(env);
  if (named === "") throw new UsageError("cannot use '' as a store: name a file with --store");
  const scheme = schemeOf(named);
  if (scheme === undefined) {
    // With a slip of the pen every machine would have a store of its own, and the password would be the name of a file.
    if (!/^\s*(amqps?\W*\/\/|[a-z][a-z0-9+.-]+:)/i.test(named)) return named;
    throw new UsageError(
      "cannot use a store that looks like a broker's URL and is none: write amqp://USER:PASSWORD@HOST, or begin the name of a file with ./",
    );
  }
  throw new UsageError(
    `cannot use a store of the kind ${scheme}:// : name a file, or amqp://…, with --store or CONC_STORE`,
  );
}

/** The URL of the broker that a command line names as {@link storePath} does; undefined if it names none. */
export function brokerUrl({ env }: Pick<Context, "env">, { store }: StoreFlags): string | undefined {
  const named = nameOf(env, store);
  return /^amqps?$/i.test(schemeOf(named) ?? "") ? named : undefined;
}

function nameOf(env: Context["env"], store: string | undefined): string | undefined {
  return store ?? (env.get("CONC_STORE") || undefined);
}

function schemeOf(named: string | undefined): string | undefined {
  return /^([a-z][a-z0-9+.-]*):\/\//i.exec(named ?? "")?.[1];
}

/**
 * How long to wait, in milliseconds; 0 for not at all.
 *
 * @throws {UsageError} If the flags contradict each other.
 */
export function waitLimit({ timeout, noWait }: WaitFlags): number {
  if (!noWait) return timeout ?? Infinity;
  if (timeout === undefined) return 0;
  throw new UsageError("--no-wait and --timeout contradict each other: leave out one");
}

function parseExitCode(text: string): number {
  const code = parseCount(text);
  if (code <= 255) return code;
  throw new UsageError(`cannot use that as an exit code as it must be from 0 to 255: received '${text}'`);
}
