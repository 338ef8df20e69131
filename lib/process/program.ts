/**
 * Whether a program can be started, where another is to start it, whose words for that are not ours.
 *
 * @module
 */

import { SpawnError } from "../errors.ts";
import { CANNOT_EXECUTE, NOT_FOUND } from "./exit_status.ts";

/** Where {@link checkProgram} looks. */
export interface ProgramOptions {
  /** The directory that it is started in. Default: that of this process. */
  cwd?: string | undefined;
  /** The directories that have programs. Default: those of this process. */
  path?: string | undefined;
}

/**
 * Looks for a program as execvp(3) does.
 *
 * @param program A path, or a name.
 * @throws {SpawnError} If it is not there, or nobody may execute it.
 *
 * @example
 * ```ts
 * import { assertThrows } from "@std/assert";
 *
 * checkProgram("sh");
 * assertThrows(() => checkProgram("no-such-command"), Error, "command not found");
 * ```
 */
export function checkProgram(
  program: string,
  { cwd = ".", path = Deno.env.get("PATH") ?? "" }: ProgramOptions = {},
): void {
  const directories = program.includes("/")
    ? [""]
    : path.split(":").map((directory) => `${directory || "."}/`);
  const kinds = directories.map((directory) => kindOf(directory + program, cwd));
  if (kinds.includes("program")) return;
  throw kinds.includes("other") ? cannotExecute(program) : notFound(program);
}

/** What is said of a program that is not there. */
export function notFound(program: string, cause?: unknown): SpawnError {
  return new SpawnError(`cannot run '${program}': command not found: check its name and PATH`, {
    exitCode: NOT_FOUND,
    cause,
  });
}

function cannotExecute(program: string): SpawnError {
  return new SpawnError(`cannot run '${program}': Permission denied`, {
    exitCode: CANNOT_EXECUTE,
    cause: undefined,
  });
}

function kindOf(path: string, cwd: string): "program" | "other" | undefined {
  try {
    const { isFile, mode } = Deno.statSync(path.startsWith("/") ? path : `${cwd}/${path}`);
    return isFile && ((mode ?? 0) & 0o111) !== 0 ? "program" : "other";
  } catch {
    return undefined;
  }
}
