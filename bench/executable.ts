/**
 * The executable that is measured, and the programs beside it.
 *
 * @module
 */

import { fromFileUrl } from "@std/path/from-file-url";

const ROOT = fromFileUrl(new URL("../", import.meta.url));
const CONC = `${ROOT}dist/${Deno.build.os === "windows" ? "conc.exe" : "conc"}`;
/** What the executable is made of. */
const SOURCES = ["main.ts", "deno.json", "deno.lock", "commands", "lib", "tools"];

/**
 * The path of the compiled conc.
 *
 * @throws {Error} If there is none, or if it is older than what it is made of: its figures would be those of another conc.
 */
export function concExecutable(): string {
  let compiledMs: number;
  try {
    compiledMs = modifiedMs(Deno.statSync(CONC));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error("there is no dist/conc: deno task compile writes it");
  }
  const newer = SOURCES.find((path) => newestMs(ROOT + path) > compiledMs);
  if (newer !== undefined) throw new Error(`dist/conc is older than ${newer}: run deno task compile`);
  return CONC;
}

/** The path of a program, or undefined if PATH has none of that name. */
export function findProgram(name: string): string | undefined {
  const directories = Deno.env.get("PATH")?.split(":") ?? [];
  return directories.map((directory) => `${directory}/${name}`).find((path) => {
    try {
      const { isFile, mode } = Deno.statSync(path);
      return isFile && ((mode ?? 0) & 0o111) !== 0;
    } catch {
      return false;
    }
  });
}

function newestMs(path: string): number {
  const info = Deno.statSync(path);
  if (!info.isDirectory) return modifiedMs(info);
  // A file that was deleted shows in the time of its directory.
  return Math.max(modifiedMs(info), ...Deno.readDirSync(path).map(({ name }) => newestMs(`${path}/${name}`)));
}

function modifiedMs({ mtime }: Deno.FileInfo): number {
  return mtime?.getTime() ?? 0;
}
