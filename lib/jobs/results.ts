/**
 * `--results DIR`: the output of each job in files of its own, in GNU parallel's layout:
 * `DIR/1/ARGUMENT/2/ARGUMENT/{seq,stdout,stderr}`.
 *
 * @module
 */

import { reason, SystemError, UsageError } from "../errors.ts";
import { textToBytes } from "../bytes.ts";
import type { StreamName } from "../process/capture.ts";

/** No file system that matters takes a longer name. */
const NAME_LIMIT_BYTES = 255;

/** A directory of results. */
export class Results {
  readonly #root: string;

  /**
   * Makes the directory, and sees that it can be written to.
   *
   * @throws {UsageError} If it cannot.
   */
  constructor(root: string) {
    if (root === "") throw new UsageError("cannot write results to '' as it must be a directory's name");
    this.#root = root;
    try {
      Deno.mkdirSync(root, { recursive: true });
      Deno.removeSync(Deno.makeTempFileSync({ dir: root, prefix: ".conc-" }));
    } catch (error) {
      throw new UsageError(`cannot write results to '${root}': ${reason(error)}`, { cause: error });
    }
  }

  /**
   * Opens the files of a job; what an earlier attempt left in them is gone.
   *
   * @throws {SystemError} If they cannot be written.
   */
  open(seq: number, args: readonly string[]): ResultFiles {
    const names = args.length === 0 ? [String(seq)] : args.map((arg) => fileName(arg, seq));
    const directory = [this.#root, ...names.flatMap((name, index) => [String(index + 1), name])].join("/");
    return attempt(directory, () => {
      Deno.mkdirSync(directory, { recursive: true });
      Deno.writeTextFileSync(`${directory}/seq`, `${seq}\n`);
      const open = (name: StreamName) =>
        Deno.openSync(`${directory}/${name}`, { write: true, create: true, truncate: true });
      return new ResultFiles(directory, { stdout: open("stdout"), stderr: open("stderr") });
    });
  }
}

/** The files of one job. */
export class ResultFiles implements Disposable {
  readonly #directory: string;
  readonly #files: Record<StreamName, Deno.FsFile>;

  /** Use {@link Results.open}. */
  constructor(directory: string, files: Record<StreamName, Deno.FsFile>) {
    this.#directory = directory;
    this.#files = files;
  }

  /**
   * Adds what the job printed.
   *
   * @throws {SystemError} If it cannot be written.
   */
  write(stream: StreamName, bytes: Uint8Array): void {
    attempt(this.#directory, () => {
      for (let at = 0; at < bytes.length;) at += this.#files[stream].writeSync(bytes.subarray(at));
    });
  }

  /** Begins again: the job is tried once more. */
  reset(): void {
    for (const file of Object.values(this.#files)) {
      file.truncateSync(0);
      file.seekSync(0, Deno.SeekMode.Start);
    }
  }

  [Symbol.dispose](): void {
    for (const file of Object.values(this.#files)) file.close();
  }
}

function attempt<T>(directory: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new SystemError(`cannot write results to '${directory}': ${reason(error)}`, { cause: error });
  }
}

/**
 * An argument as the name of a directory, as GNU parallel writes it: a slash as `\_`, a tab as `\t`, a backslash doubled. Names
 * that mean something else get a backslash, other bytes are written as `\xFF`, and a name that is too long ends in the job's number.
 */
function fileName(arg: string, seq: number): string {
  const name = arg.replaceAll("\\", "\\\\").replaceAll("/", "\\_").replaceAll("\t", "\\t")
    .replace(/[\udc80-\udcff]/g, (byte) => `\\x${(byte.charCodeAt(0) - 0xdc00).toString(16)}`);
  if (name === "" || name === "." || name === "..") return `\\${name}`;
  const suffix = `-${seq}`;
  // A name has at least as many bytes as it has characters, so that most of a long one goes at once.
  let text = name.slice(0, NAME_LIMIT_BYTES);
  while (textToBytes(text).length > NAME_LIMIT_BYTES - suffix.length) text = text.slice(0, -1);
  return text === name ? name : text.toWellFormed() + suffix;
}
