/**
 * What is executed: words, or a script for the shell. No string of a user's reaches a shell unless the user asked for one.
 *
 * @module
 */

import { isWellFormed, textToBytes } from "../bytes.ts";

/**
 * Whether a wrapped command goes to `sh -c`: it is a single word with white space or a shell operator in it.
 *
 * @param words The command, as it was typed.
 * @param shell Forces either; undefined leaves it to the rule.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(wantsShell(["gzip", "my file"]), false);
 * assertEquals(wantsShell(["sleep 1; echo done"]), true);
 * assertEquals(wantsShell(["gzip"]), false);
 * ```
 */
export function wantsShell(words: readonly string[], shell?: boolean): boolean {
  return shell ?? (words.length === 1 && /[\s|&;<>()$`]/.test(words[0]!));
}

/** The words that run a script: `sh -c SCRIPT`. */
export function shellWords(script: string): string[] {
  return Deno.build.os === "windows" ? ["cmd", "/d", "/s", "/c", script] : ["sh", "-c", script];
}

/**
 * Text as one word of a POSIX shell (POSIX 2.2): what needs no quotes stays as it is, all else goes into single quotes.
 *
 * @param text Any text without NUL.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(quoteForShell("plain.txt"), "plain.txt");
 * assertEquals(quoteForShell("it's $(here)"), `'it'"'"'s $(here)'`);
 * assertEquals(quoteForShell(""), "''");
 * ```
 */
export function quoteForShell(text: string): string {
  return /^[\w@%+:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}

/**
 * Words that only hold valid UTF-8 and run the same command. Deno hands strings to the system; words with other bytes in
 * them are put together by `printf` in a shell, which then becomes the command.
 *
 * @param words The command, with other bytes as lone surrogates (see `bytes.ts`).
 */
export function portableWords(words: readonly string[]): string[] {
  if (words.every(isWellFormed)) return [...words];
  const assignments = words.map((word, index) => `w${index}=$(printf '${octal(word)}.')`);
  const references = words.map((_, index) => `"\${w${index}%.}"`);
  return ["sh", "-c", `${assignments.join("\n")}\nexec ${references.join(" ")}`];
}

/** A format for printf(1) that prints exactly this text. The dot behind it keeps `$(…)` from cutting line feeds. */
function octal(text: string): string {
  let format = "";
  for (const byte of textToBytes(text)) {
    const character = String.fromCharCode(byte);
    format += /[\w ./=:,]/.test(character) ? character : `\\${byte.toString(8).padStart(3, "0")}`;
  }
  return format;
}
