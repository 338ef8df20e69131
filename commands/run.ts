/**
 * From argv to a command and its exit code.
 *
 * @module
 */

import { UsageError } from "../lib/errors.ts";
import { type Command, type CommandGroup, isGroup } from "./declaration.ts";
import type { Context } from "./context.ts";
import { REGISTRY } from "./registry.ts";
import configuration from "../deno.json" with { type: "json" };

/** The version of conc. */
export const VERSION: string = configuration.version;

const ROOT: CommandGroup = {
  brief: "the concurrency toolbox",
  examples: [
    { line: "conc pool -j4 gzip -9 -k {} ::: *.log", does: "Compress files, four at a time" },
    { line: "conc --version", does: "Say which conc this is" },
  ],
  subcommands: REGISTRY,
};

/**
 * Runs a command line.
 *
 * @param argv The words after `conc`.
 * @param context What the command may use of the world.
 * @returns The exit code.
 * @throws Whatever ends the command; `exit_code.ts` says what it means.
 */
export async function runCommandLine(argv: readonly string[], context: Context): Promise<number> {
  const [name] = argv;
  if (name === "--version" || name === "-V") return await print(context, `conc ${VERSION}\n`);
  return await runDeclaration(ROOT, { path: "conc", argv: name === "help" ? [] : argv, context });
}

async function runDeclaration(
  declaration: Command | CommandGroup,
  { path, argv, context }: { path: string; argv: readonly string[]; context: Context },
): Promise<number> {
  if (!isGroup(declaration)) return await runCommand(declaration, { path, argv, context });
  const { main, subcommands } = declaration;
  const [name, ...rest] = argv;
  const entry = name !== undefined && Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
  if (entry !== undefined) {
    return await runDeclaration(await entry.load(), { path: `${path} ${name}`, argv: rest, context });
  }
  if (main !== undefined) return await runCommand(main, { path, argv, context, subcommands });
  if (name === undefined || name === "--help" || name === "-h") {
    const { formatList } = await import("./help.ts");
    return await print(context, formatList({ path, ...declaration }));
  }
  throw await unknownCommand(name, { path, names: Object.keys(subcommands) });
}

async function runCommand(
  command: Command,
  { path, argv, context, subcommands = {} }: {
    path: string;
    argv: readonly string[];
    context: Context;
    subcommands?: CommandGroup["subcommands"];
  },
): Promise<number> {
  const { parseCommandLine } = await import("./parse.ts");
  const parsed = await parseCommandLine(argv, { path, command, subcommands });
  if (parsed.kind === "help") return await print(context, parsed.text);
  const { flags, words } = parsed;
  const { minimum, maximum, usage } = command.words;
  if (words.length < minimum || words.length > maximum) {
    const problem = words.length < minimum ? "too few words" : `unexpected word '${words[maximum]}'`;
    throw new UsageError(`${problem}: usage: ${`${path} [FLAGS] ${usage}`.trim()}`);
  }
  return await command.run(context, flags, words);
}

async function unknownCommand(
  name: string,
  { path, names }: { path: string; names: readonly string[] },
): Promise<UsageError> {
  const { nearest } = await import("./argv.ts");
  const kind = name.startsWith("-") ? "flag" : "command";
  const meant = nearest(name, names);
  return new UsageError(
    `unknown ${kind} '${name}': ${
      meant === undefined ? `${path} --help lists the commands` : `did you mean ${path} ${meant}?`
    }`,
  );
}

async function print(context: Context, text: string): Promise<number> {
  await context.stdout.write(text);
  return 0;
}
