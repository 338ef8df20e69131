/**
 * The flags of `conc pool --kind thread`: which function runs, and which flags make no sense with it.
 *
 * @module
 */

import { resolve } from "@std/path/resolve";
import { toFileUrl } from "@std/path/to-file-url";
import { reason, UsageError } from "../lib/errors.ts";
import { ThreadJobs } from "../lib/jobs/thread_jobs.ts";

/** The flags that are looked at here. */
export interface ThreadFlags {
  kind: "process" | "thread";
  /** The source of a function. */
  eval?: string;
  /** The file, or the URL, of a module that exports it. */
  module?: string;
  /** Which export. */
  export?: string;
  ungroup: boolean;
  lineBuffer: boolean;
  shell?: boolean;
  timeout?: { ms: number } | { percent: number };
}

/**
 * Makes the pool of Workers that the flags ask for; no Worker is started yet.
 *
 * @param flags The flags.
 * @param options `command`: the words of a command; `size`: how many Workers; `stacks`: whether errors are shown with their stacks.
 * @throws {UsageError} If it is not said which function, there is no such module, or a flag does not go with the kind.
 */
export function threadJobs(
  flags: ThreadFlags,
  { command, ...given }: { command: readonly string[]; size: number; stacks: boolean },
): ThreadJobs {
  checkFlags(flags, command);
  const timeoutMs = flags.timeout !== undefined && "ms" in flags.timeout ? flags.timeout.ms : undefined;
  const options = { ...given, timeoutMs };
  const { eval: source, module, export: name = "default" } = flags;
  if (source !== undefined && module !== undefined) {
    throw new UsageError("-e and --module exclude each other: choose one");
  }
  if (source !== undefined) return new ThreadJobs({ source }, { ...options, name: source });
  if (module === undefined) throw new UsageError("no function to run: -e 'n => n ** 2', or --module FILE.js");
  return new ThreadJobs({ module: moduleUrl(module), export: name }, {
    ...options,
    name: `${module}#${name}`,
  });
}

function checkFlags(flags: ThreadFlags, command: readonly string[]): void {
  if (flags.kind === "process") {
    const [name] = (["eval", "module", "export"] as const).filter((name) => flags[name] !== undefined);
    throw new UsageError(`--${name} is about a function, and needs --kind thread`);
  }
  const [word] = command;
  if (word !== undefined) {
    throw new UsageError(
      `unexpected word '${word}': --kind thread runs the function of -e or --module; inputs stand behind :::`,
    );
  }
  if (flags.export !== undefined && flags.module === undefined) {
    throw new UsageError("--export names an export of a module: --module FILE.js");
  }
  if (flags.eval?.trim() === "") throw new UsageError("cannot run an empty function: -e 'n => n ** 2'");
  const processFlags = {
    ungroup: flags.ungroup,
    "line-buffer": flags.lineBuffer,
    shell: flags.shell !== undefined,
  };
  for (const [name, isGiven] of Object.entries(processFlags)) {
    if (isGiven) throw new UsageError(`--${name} is about processes, and makes no sense with --kind thread`);
  }
}

/** The URL of a module: `npm:…`, `https://…` and their like stay as they are, everything else is a file. */
function moduleUrl(module: string): string {
  if (/^[a-z][a-z\d+.-]+:/.test(module)) return module;
  try {
    if (!Deno.statSync(module).isFile) throw new Error("it is no file");
  } catch (error) {
    throw new UsageError(`cannot read module '${module}': ${reason(error)}`, { cause: error });
  }
  return toFileUrl(resolve(module)).href;
}
