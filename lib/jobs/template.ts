/**
 * The command of a pool with its placeholders, and what becomes of it for one input: GNU parallel's habits.
 *
 * | placeholder | stands for |
 * |---|---|
 * | `{}` | the input |
 * | `{.}` | the input without its extension |
 * | `{/}` | its base name |
 * | `{//}` | its directory |
 * | `{/.}` | its base name without extension |
 * | `{#}` | the job's number, from 1 |
 * | `{%}` | the slot it runs in, from 1 |
 * | `{2}` `{2.}` `{-1}` … | the same of one argument, counted from 1, or from the end |
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { quoteForShell, shellWords, wantsShell } from "../process/command_line.ts";

/** What fills the placeholders. */
export interface Filling {
  /** The arguments of the input: one, or several with `-n`, `--colsep` or several sources. */
  args: readonly string[];
  /** The job's number, from 1. */
  seq: number;
  /** The slot, from 1. */
  slot: number;
}

/** A command that is ready to run. */
export interface FilledCommand {
  /** What is executed. */
  words: string[];
  /** The same as one line for people, logs and a shell. */
  text: string;
}

type Part = string | Placeholder;

interface Placeholder {
  /** `#`, `%`, or how the arguments are shortened. */
  kind: "" | "." | "/" | "//" | "/." | "#" | "%";
  /** Which argument, from 1 or from the end; undefined for all. */
  position: number | undefined;
}

const PLACEHOLDER = /\{(#|%|(-?[1-9]\d*)?(\/\/|\/\.|\/|\.)?)\}/;

const SHORTEN: Readonly<Record<"" | "." | "/" | "//" | "/.", (arg: string) => string>> = {
  "": (arg) => arg,
  ".": withoutExtension,
  "/": baseName,
  "//": directory,
  "/.": (arg) => withoutExtension(baseName(arg)),
};

/**
 * A command with placeholders. Without any that stands for an argument, the arguments are appended.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const template = new Template(["convert", "{}", "{.}.png"]);
 * assertEquals(template.fill({ args: ["my cat.jpg"], seq: 1, slot: 1 }), {
 *   words: ["convert", "my cat.jpg", "my cat.png"],
 *   text: "convert 'my cat.jpg' 'my cat.png'",
 * });
 * ```
 */
export class Template {
  /** Whether `sh -c` runs the command. */
  readonly isShell: boolean;
  /** The word that names the program, if it is the same for every input. */
  readonly program: string | undefined;
  /** Whether the command differs from slot to slot. */
  readonly usesSlot: boolean;
  readonly #words: Part[][];

  /**
   * @param words The command, as it was typed.
   * @param options `shell` forces or forbids the shell; `append: false` appends nothing, whatever there is.
   * @throws {UsageError} If there is no command.
   */
  constructor(
    words: readonly string[],
    { shell, append = true }: { shell?: boolean; append?: boolean } = {},
  ) {
    if (words.length === 0 || words[0] === "") {
      throw new UsageError(
        "no command: conc pool COMMAND ::: INPUT…, or conc pool sh -c {} to run each input as a command",
      );
    }
    this.isShell = wantsShell(words, shell);
    this.#words = (this.isShell ? [words.join(" ")] : words).map(parse);
    const usesArgs = this.#words.flat().some((part) => typeof part !== "string");
    if (append && !usesArgs) {
      const all: Placeholder = { kind: "", position: undefined };
      if (this.isShell) this.#words[0]!.push(" ", all);
      else this.#words.push([all]);
    }
    this.usesSlot = this.#words.flat().some((part) => typeof part !== "string" && part.kind === "%");
    const [first] = this.#words;
    this.program = !this.isShell && first!.every((part) => typeof part === "string")
      ? first!.join("")
      : undefined;
  }

  /** The command for one input. */
  fill(filling: Filling): FilledCommand {
    if (this.isShell) {
      const script = this.#words[0]!.map((part) =>
        typeof part === "string" ? part : values(part, filling).map(quoteForShell).join(" ")
      ).join("");
      return { words: shellWords(script), text: script };
    }
    const words = this.#words.flatMap((parts) => {
      const [only] = parts;
      if (parts.length === 1 && typeof only === "object") return values(only, filling);
      return parts.map((part) => typeof part === "string" ? part : values(part, filling).join(" ")).join("");
    });
    return { words, text: words.map(quoteForShell).join(" ") };
  }
}

function parse(word: string): Part[] {
  const parts: Part[] = [];
  let rest = word;
  for (let match = PLACEHOLDER.exec(rest); match !== null; match = PLACEHOLDER.exec(rest)) {
    if (match.index > 0) parts.push(rest.slice(0, match.index));
    const [whole, inner, position, shortening = ""] = match;
    const kind = inner === "#" || inner === "%" ? inner : shortening as Placeholder["kind"];
    parts.push({ kind, position: position === undefined ? undefined : Number(position) });
    rest = rest.slice(match.index + whole.length);
  }
  if (rest !== "" || parts.length === 0) parts.push(rest);
  return parts;
}

/** What a placeholder stands for; several where it stands for all arguments. */
function values({ kind, position }: Placeholder, { args, seq, slot }: Filling): string[] {
  if (kind === "#") return [String(seq)];
  if (kind === "%") return [String(slot)];
  if (position === undefined) return args.map(SHORTEN[kind]);
  return [SHORTEN[kind](args.at(position > 0 ? position - 1 : position) ?? "")];
}

function withoutExtension(path: string): string {
  return path.replace(/\.[^/.]*$/, "");
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** As dirname(1) gives it. */
function directory(path: string): string {
  const name = withoutLastSlashes(path);
  const end = name.lastIndexOf("/");
  return end < 0 ? "." : withoutLastSlashes(name.slice(0, end)) || "/";
}

function withoutLastSlashes(path: string): string {
  let end = path.length;
  while (end > 1 && path[end - 1] === "/") end -= 1;
  return path.slice(0, end);
}
