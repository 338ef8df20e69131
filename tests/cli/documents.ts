/**
 * The commands that README and docs/ show.
 *
 * @module
 */

import { assert } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { type Result, shell } from "./conc.ts";

/** The directory of the project. */
export const ROOT = fromFileUrl(new URL("../../", import.meta.url));

/** A block of commands, and what they print, if the page shows it right behind. */
export interface Block {
  script: string;
  shown: string | undefined;
}

const BLOCK = /^```sh\n(conc [\s\S]*?|\w[^\n]*\| conc [\s\S]*?)^```$(?:\n\n```text\n([\s\S]*?)^```$)?/gm;

/** The blocks of a page that can be run as they are. Those that install or compile are tried elsewhere. */
export async function blocksOf(page: string): Promise<Block[]> {
  const text = await Deno.readTextFile(ROOT + page);
  return [...text.matchAll(BLOCK)].map(([, block = "", shown]) => ({ script: block.trimEnd(), shown }));
}

/**
 * Runs a block in a directory that has the files that the pages speak of.
 *
 * @param options `conc`: the script of another `conc` than that of the test.
 * @throws {AssertionError} If one of its commands says that it was called in a wrong way, or could not do its work.
 */
export async function runBlock(script: string, options: { cwd: string; conc?: string }): Promise<Result> {
  for (const name of ["one.log", "two words.log", "three.txt", "four.ts"]) {
    await Deno.writeTextFile(`${options.cwd}/${name}`, `${name}\n`);
  }
  const result = await shell(`trap 'echo "exit $?" >&2' ERR\n${script}`, options);
  assert(!/^exit (2|12\d)$/m.test(result.stderr), `${result.stdout}${result.stderr}`);
  return result;
}
