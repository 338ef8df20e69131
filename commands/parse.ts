/**
 * From the words of a command line to the flags that a command's `run` gets. Stricli parses the values; what it finds wrong
 * comes back as one UsageError.
 *
 * @module
 */

import {
  type ApplicationText,
  ArgumentScannerError,
  buildApplication,
  buildCommand,
  formatMessageForArgumentScannerError,
  run,
  text_en,
} from "@stricli/core";
import { UsageError } from "../lib/errors.ts";
import { canonicalArgv } from "./argv.ts";
import {
  type Command,
  COMMON_ALIASES,
  COMMON_FLAGS,
  type CommonFlags,
  type FlagDeclaration,
  type Flags,
} from "./declaration.ts";
import { type Commands, formatCommand } from "./help.ts";

/** What a command line asks for. */
export type ParsedCommandLine =
  | { kind: "help"; text: string }
  | { kind: "run"; flags: Flags & CommonFlags; words: string[] };

/** All flags and letters of a command, the common ones included. */
export function flagTable(command: Command): {
  flags: Record<string, FlagDeclaration>;
  aliases: Record<string, string>;
} {
  return {
    flags: { ...command.flags, ...COMMON_FLAGS } as Record<string, FlagDeclaration>,
    aliases: { ...COMMON_ALIASES, ...command.aliases } as Record<string, string>,
  };
}

/**
 * Parses a command line.
 *
 * @param argv The words after the command's name.
 * @param options `path`: how the command line begins, such as `conc pool`; `command`: its declaration; `subcommands`: what
 * its help lists beside it.
 * @throws {UsageError} If the command line makes no sense.
 */
export async function parseCommandLine(
  argv: readonly string[],
  { path, command, subcommands = {} }: { path: string; command: Command; subcommands?: Commands },
): Promise<ParsedCommandLine> {
  const table = flagTable(command);
  const canonical = canonicalArgv(argv, { ...table, words: command.words });
  if (canonical.help) return { kind: "help", text: formatCommand({ path, command, subcommands, ...table }) };
  let parsed: ParsedCommandLine | undefined;
  let failure: unknown;
  const remember = (error: unknown): string => {
    failure ??= error;
    return "";
  };
  const text: ApplicationText = {
    ...text_en,
    exceptionWhileParsingArguments: remember,
    exceptionWhileLoadingCommandFunction: remember,
    exceptionWhileRunningCommand: remember,
  };
  const application = buildApplication(
    buildCommand<Flags & CommonFlags, string[]>({
      func: (flags, ...words) => void (parsed = { kind: "run", flags, words }),
      parameters: {
        flags: table.flags as never,
        // The argv step has resolved the letters; here they are for the help text, and Stricli knows no digits.
        aliases: Object.fromEntries(
          Object.entries(table.aliases).filter(([letter]) => /[a-z]/i.test(letter)),
        ) as never,
        positional: { kind: "array", parameter: { brief: "", parse: String, placeholder: "word" } },
      },
      docs: { brief: command.brief },
    }),
    {
      name: path,
      scanner: { caseStyle: "allow-kebab-for-camel", allowArgumentEscapeSequence: true },
      localization: { text },
    },
  );
  const nowhere = { write: () => {} };
  await run(application, [...canonical.flags.flatMap(separate), "--", ...canonical.words], {
    process: { stdout: nowhere, stderr: nowhere },
  });
  if (parsed === undefined) throw usageError(failure);
  return parsed;
}

/**
 * Stricli takes `--name=value` for a word if the value is empty or has several lines. Such a value goes into a word of its own, which
 * looks like no flag.
 */
function separate(flag: string): string[] {
  const [, name, value] = /^(--[^=]+)=(|.*[\n\r\u2028\u2029].*)$/s.exec(flag) ?? [];
  return name === undefined ? [flag] : [name, value!];
}

function usageError(failure: unknown): unknown {
  if (!(failure instanceof ArgumentScannerError)) return failure;
  return new UsageError(formatMessageForArgumentScannerError(failure, {
    ArgumentParseError: ({ externalFlagNameOrPlaceholder, exception }) =>
      `--${externalFlagNameOrPlaceholder}: ${exception instanceof Error ? exception.message : exception}`,
    EnumValidationError: ({ externalFlagName, input, values }) =>
      `--${externalFlagName}: must be one of ${values.join(", ")}: received '${input}'`,
    UnexpectedFlagError: ({ externalFlagName }) => `--${externalFlagName}: given more than once`,
  }));
}
