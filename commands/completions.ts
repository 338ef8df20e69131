/**
 * `conc completions`: scripts that complete commands and flags in bash, zsh and fish, made from the declarations.
 *
 * @module
 */

import { UsageError } from "../lib/errors.ts";
import { kebab } from "./argv.ts";
import { type Command, command, type CommandGroup, type FlagDeclaration, isGroup } from "./declaration.ts";
import { nearest } from "./argv.ts";
import { flagTable } from "./parse.ts";
import { REGISTRY } from "./registry.ts";

/** One place of the command line where something can be completed: `pool`, `timer every`. */
interface Place {
  path: string[];
  brief: string;
  subcommands: CommandGroup["subcommands"];
  flags: Readonly<Record<string, FlagDeclaration>>;
  letters: Readonly<Record<string, string>>;
}

const WRITERS: Readonly<Record<string, (places: readonly Place[]) => string>> = { bash, zsh, fish };

export default command<Record<never, never>>({
  brief: "Print the completion script for bash, zsh or fish",
  examples: [
    { line: "conc completions bash > conc.bash", does: "For bash: source the file in ~/.bashrc" },
    { line: "conc completions zsh > _conc", does: "For zsh: put the file into a directory of $fpath" },
    { line: "conc completions fish > conc.fish", does: "For fish: put it into ~/.config/fish/completions" },
  ],
  words: { usage: "bash|zsh|fish", minimum: 1, maximum: 1 },
  flags: {},
  async run(context, _flags, [shell = ""]) {
    const write = Object.hasOwn(WRITERS, shell) ? WRITERS[shell] : undefined;
    if (write === undefined) {
      const meant = nearest(shell, Object.keys(WRITERS));
      throw new UsageError(
        `cannot write completions for '${shell}': ${
          meant ? `did you mean ${meant}?` : "bash, zsh and fish are known"
        }`,
      );
    }
    await context.stdout.write(write(await places()));
    return 0;
  },
});

async function places(): Promise<Place[]> {
  const root: Place = { path: [], brief: "", subcommands: REGISTRY, flags: {}, letters: {} };
  return [root, ...await placesBelow([], REGISTRY)];
}

async function placesBelow(path: readonly string[], entries: Place["subcommands"]): Promise<Place[]> {
  const found: Place[] = [];
  for (const [name, entry] of Object.entries(entries)) {
    const here = place([...path, name], await entry.load());
    found.push(here, ...await placesBelow(here.path, here.subcommands));
  }
  return found;
}

function place(path: string[], declaration: Command | CommandGroup): Place {
  const main = isGroup(declaration) ? declaration.main : declaration;
  const table = main === undefined ? { flags: {}, aliases: {} } : flagTable(main);
  return {
    path,
    brief: declaration.brief,
    subcommands: isGroup(declaration) ? declaration.subcommands : {},
    flags: Object.fromEntries(
      Object.entries(table.flags).filter(([, flag]) => !flag.hidden).map((
        [name, flag],
      ) => [kebab(name), flag]),
    ),
    letters: Object.fromEntries(Object.entries(table.aliases).map(([letter, name]) => [letter, kebab(name)])),
  };
}

function bash(places: readonly Place[]): string {
  const cases = places.map(({ path, subcommands, flags, letters }) => {
    const words = [
      ...Object.keys(subcommands),
      ...Object.keys(flags).map((name) => `--${name}`),
      ...Object.keys(letters).map((letter) => `-${letter}`),
      "--help",
    ];
    return `    ${quote(path.join(" "))}) words=${quote(words.join(" "))} ;;`;
  });
  const values = valueCases(places, (values) => `words=${quote(values.join(" "))}`);
  const paths = places.filter(({ path }) => path.length > 0).map(({ path }) => quote(path.join(" "))).join(
    "|",
  );
  return `# bash completion for conc
_conc() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path="" words="" word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
    ${paths}) path="\${path:+$path }$word" ;;
    *) break ;;
    esac
  done
  case "$path" in
${cases.join("\n")}
  esac
  case "$path $previous" in
${values.join("\n")}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _conc conc
`;
}

/** A case for each flag that takes one of a few values: where it was typed just before. */
function valueCases(places: readonly Place[], assign: (values: readonly string[]) => string): string[] {
  return places.flatMap(({ path, flags }) =>
    Object.entries(flags).filter(([, flag]) => flag.values !== undefined).map(([name, flag]) =>
      `    ${quote([...path, `--${name}`].join(" "))}) ${assign(flag.values!)} ;;`
    )
  );
}

function zsh(places: readonly Place[]): string {
  const cases = places.map(({ path, subcommands, flags, letters }) => {
    const words = [
      ...Object.entries(subcommands).map(([name, { brief }]) => describe(name, brief)),
      ...Object.entries(flags).map(([name, { brief }]) => describe(`--${name}`, brief)),
      ...Object.entries(letters).map(([letter, name]) => describe(`-${letter}`, flags[name]!.brief)),
      describe("--help", "Print help"),
    ];
    return `    ${quote(path.join(" "))}) choices=(${words.join(" ")}) ;;`;
  });
  const values = valueCases(places, (values) => `choices=(${values.map(quote).join(" ")})`);
  const paths = places.filter(({ path }) => path.length > 0).map(({ path }) => quote(path.join(" "))).join(
    "|",
  );
  return `#compdef conc
# zsh completion for conc
_conc() {
  local path_so_far="" word
  local -a choices
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "\${path_so_far:+$path_so_far }$word" in
    ${paths}) path_so_far="\${path_so_far:+$path_so_far }$word" ;;
    *) break ;;
    esac
  done
  case "$path_so_far" in
${cases.join("\n")}
  esac
  case "$path_so_far $words[CURRENT-1]" in
${values.join("\n")}
  esac
  _describe -t commands conc choices || _files
}
if [ "$funcstack[1]" = _conc ]; then _conc "$@"; else compdef _conc conc; fi
`;
}

function describe(word: string, brief: string): string {
  return quote(`${word.replaceAll(":", "\\:")}:${brief}`);
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, subcommands, flags, letters }) => {
    const here = `-n ${quote(condition(path, subcommands))}`;
    const letterOf = (name: string) => Object.keys(letters).find((letter) => letters[letter] === name);
    return [
      ...Object.entries(subcommands).map(([name, { brief }]) =>
        `complete -c conc ${here} -f -a ${quote(name)} -d ${quote(brief)}`
      ),
      ...Object.entries(flags).map(([name, flag]) => {
        const letter = letterOf(name);
        const value = flag.values === undefined
          ? flag.kind === "parsed" ? " -r" : ""
          : ` -x -a ${quote(flag.values.join(" "))}`;
        return `complete -c conc ${here} -l ${name}${letter ? ` -s ${letter}` : ""}${value} -d ${
          quote(flag.brief)
        }`;
      }),
    ];
  });
  return ["# fish completion for conc", "complete -c conc -s h -l help -d 'Print help'", ...lines, ""].join(
    "\n",
  );
}

/** When a place is the one where the cursor is. */
function condition(path: readonly string[], subcommands: Readonly<Record<string, unknown>>): string {
  const [name, subname] = path;
  if (name === undefined) return "__fish_use_subcommand";
  const seen = `__fish_seen_subcommand_from ${name}`;
  if (subname !== undefined) return `${seen}; and __fish_seen_subcommand_from ${subname}`;
  const below = Object.keys(subcommands);
  return below.length === 0 ? seen : `${seen}; and not __fish_seen_subcommand_from ${below.join(" ")}`;
}

/** A word for a shell script. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
