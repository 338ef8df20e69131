/**
 * Help texts, 80 columns wide: of conc, of command groups, of commands.
 *
 * @module
 */

import { kebab } from "./argv.ts";
import type { Command, CommandGroup, Example, FlagDeclaration } from "./declaration.ts";

const HELP_COLUMNS = 80;
const BRIEF_COLUMN = 26;

/** Commands by name, and one line of each. */
export type Commands = Readonly<Record<string, { brief: string }>>;

/** The help text of conc or of a command group; `path` is how the command line begins: `conc`, `conc timer`. */
export function formatList(
  { path, brief, examples, subcommands }: { path: string } & Omit<CommandGroup, "main">,
): string {
  return [
    `${path}: ${brief}`,
    "",
    "USAGE",
    `  ${path} COMMAND [FLAGS] …`,
    "",
    ...formatCommands("COMMANDS", subcommands),
    "",
    ...formatExamples(examples),
    "",
    `Each command has its own --help: ${path} ${Object.keys(subcommands)[0]} --help`,
    "",
  ].join("\n");
}

/** The help text of a command that runs. */
export function formatCommand({ path, command, subcommands = {}, flags, aliases }: {
  path: string;
  command: Command;
  /** What may stand behind the command's name instead. */
  subcommands?: Commands;
  flags: Readonly<Record<string, FlagDeclaration>>;
  aliases: Readonly<Record<string, string>>;
}): string {
  const letterOf = (name: string) => Object.keys(aliases).find((letter) => aliases[letter] === name);
  const entries = Object.entries(flags).filter(([, flag]) => !flag.hidden).map(([name, flag]) => {
    const letter = letterOf(name);
    const value = flag.values?.join("|") ?? (flag.kind === "parsed" ? flag.placeholder ?? "VALUE" : "");
    const long = flag.kind === "boolean" && flag.optional ? `--[no-]${kebab(name)}` : `--${kebab(name)}`;
    return {
      flag: `${letter === undefined ? "    " : `-${letter}, `}${long}${value && ` ${value}`}`,
      brief: typeof flag.default === "string" ? `${flag.brief} (default ${flag.default})` : flag.brief,
    };
  });
  return [
    `${path}: ${command.brief}`,
    "",
    "USAGE",
    `  ${path} [FLAGS] ${command.words.usage}`.trimEnd(),
    ...(command.description === undefined ? [] : ["", command.description]),
    "",
    ...formatExamples(command.examples),
    ...(Object.keys(subcommands).length === 0 ? [] : ["", ...formatCommands("SUBCOMMANDS", subcommands)]),
    "",
    "FLAGS",
    ...[...entries, { flag: "-h, --help", brief: "Print this help" }].flatMap(formatFlag),
    "",
  ].join("\n");
}

function formatCommands(title: string, commands: Commands): string[] {
  const width = Math.max(...Object.keys(commands).map((name) => name.length)) + 2;
  return [title, ...Object.entries(commands).map(([name, { brief }]) => `  ${name.padEnd(width)}${brief}`)];
}

function formatFlag({ flag, brief }: { flag: string; brief: string }): string[] {
  const [first = "", ...others] = wrap(brief, HELP_COLUMNS - BRIEF_COLUMN);
  const indent = " ".repeat(BRIEF_COLUMN);
  const begin = `  ${flag}  `;
  const lines = begin.length > BRIEF_COLUMN
    ? [begin.trimEnd(), indent + first]
    : [begin.padEnd(BRIEF_COLUMN) + first];
  return [...lines, ...others.map((line) => indent + line)];
}

/** Text in lines of at most so many columns. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  return lines;
}

/** The examples of a command, as its help shows them. */
export function formatExamples(examples: Command["examples"] | readonly Example[]): string[] {
  return ["EXAMPLES", ...examples.flatMap(({ line, does }) => [`  # ${does}`, `  ${line}`])];
}
