/**
 * The joblog: one line for each job that ended, in GNU parallel's columns, and what a resumed pool learns from it.
 *
 * Invariant: a line stands for a job whose output was delivered. It is written by one call that appends, so a conc that is
 * killed leaves at worst half a last line, which the next one cuts off.
 *
 * @module
 */

import { reason, SystemError, UsageError } from "../errors.ts";
import { bytesToText, textToBytes } from "../bytes.ts";

/** One line of the joblog. */
export interface JoblogEntry {
  /** The job's number. */
  seq: number;
  /** When it started, in milliseconds since the epoch. */
  startedAtMs: number;
  durationMs: number;
  /** How many bytes it printed. */
  receivedBytes: number;
  /** What it exited with; 0 if a signal ended it, -1 if its time ran out. */
  exitValue: number;
  /** The number of the signal that ended it; 0 if none. */
  signal: number;
  /** The command with its arguments: what a job is known by. */
  command: string;
}

/** Which jobs a resumed pool passes over. `unfinished` runs those that are not in the log, `failed` also those that failed. */
export type ResumeMode = "unfinished" | "failed";

const HEADER = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";
const LINE = /^(\d+)\t[^\t]*\t *[\d.]+\t *-?[\d.]+\t\d+\t\d+\t(-?\d+)\t(\d+)\t(.*)$/s;

/** Writes the joblog of one pool. */
export class Joblog implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #path: string;
  #failed = false;

  /**
   * Opens the log: a new one, or with `append` the one that is there.
   *
   * @throws {UsageError} If it cannot be opened.
   */
  constructor(path: string, { append = false }: { append?: boolean } = {}) {
    this.#path = path;
    try {
      this.#file = Deno.openSync(path, { write: true, create: true, append, truncate: !append });
    } catch (error) {
      throw new UsageError(`cannot write joblog '${path}': ${reason(error)}`, { cause: error });
    }
    if (!append || this.#file.statSync().size === 0) this.#append(HEADER);
  }

  /**
   * Adds a line for a job that ended.
   *
   * @throws {SystemError} If it cannot be written, such as to a full disk. No line is written after that.
   */
  add(entry: JoblogEntry): void {
    this.#append(`${
      [
        entry.seq,
        ":",
        (entry.startedAtMs / 1_000).toFixed(3),
        (entry.durationMs / 1_000).toFixed(3).padStart(10),
        0,
        entry.receivedBytes,
        entry.exitValue,
        entry.signal,
        asColumn(entry.command),
      ].join("\t")
    }\n`);
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  #append(line: string): void {
    if (this.#failed) return;
    const bytes = textToBytes(line);
    try {
      const written = this.#file.writeSync(bytes);
      if (written < bytes.length) this.#file.writeSync(bytes.subarray(written));
    } catch (error) {
      this.#failed = true;
      throw new SystemError(
        `cannot write joblog '${this.#path}': ${reason(error)}: --resume goes on from it`,
        {
          cause: error,
        },
      );
    }
  }
}

/**
 * What a joblog says has been done. A job is known by its command and arguments, not by its number; the same command several
 * times over is that many jobs.
 */
export class Resume {
  readonly #runs: Map<string, Map<string, boolean>>;
  readonly #mode: ResumeMode;

  /** Use {@link readJoblog}. */
  constructor(runs: Map<string, Map<string, boolean>>, mode: ResumeMode) {
    this.#runs = runs;
    this.#mode = mode;
  }

  /** Whether a job with this command is done. Each run of the log answers for one job. */
  isDone(command: string): boolean {
    const key = asColumn(command);
    const runs = this.#runs.get(key);
    for (const [seq, succeeded] of runs ?? []) {
      if (this.#mode === "failed" && !succeeded) continue;
      runs!.delete(seq);
      return true;
    }
    return false;
  }
}

/**
 * Reads the joblog of an earlier pool, and cuts off a last line that was not finished. No file is an empty log.
 *
 * @param path The log; GNU parallel's own are read too.
 * @throws {UsageError} If it cannot be read, or is no joblog.
 */
export function readJoblog(path: string, mode: ResumeMode): Resume {
  const runs = new Map<string, Map<string, boolean>>();
  const [header, ...lines] = readLines(path);
  if (header !== undefined && !header.startsWith("Seq\tHost\t")) {
    throw new UsageError(
      `cannot resume from '${path}' as its first line is no joblog's: is it the right file?`,
    );
  }
  for (const [index, line] of lines.entries()) {
    const match = LINE.exec(line);
    if (match === null) {
      throw new UsageError(
        `cannot resume from '${path}' as line ${
          index + 2
        } is no joblog's: take that line out, or begin a new log`,
      );
    }
    const [, seq, exitValue, signal, command] = match;
    const ofCommand = runs.get(command!) ?? new Map<string, boolean>();
    // Only a job that had failed is run again under its number: behind one that succeeded it is another job's.
    const run = ofCommand.get(seq!) === true ? `${seq} ${ofCommand.size}` : seq!;
    ofCommand.set(run, exitValue === "0" && signal === "0");
    runs.set(command!, ofCommand);
  }
  return new Resume(runs, mode);
}

/** The whole lines of a log. */
function readLines(path: string): string[] {
  let bytes: Uint8Array;
  try {
    bytes = Deno.readFileSync(path);
    const whole = bytes.lastIndexOf(10) + 1;
    const begin = bytesToText(bytes.subarray(0, HEADER.length));
    // What is no joblog is not ours to cut.
    if (whole < bytes.length && (begin.startsWith("Seq\tHost\t") || HEADER.startsWith(begin))) {
      Deno.truncateSync(path, whole);
      bytes = bytes.subarray(0, whole);
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new UsageError(`cannot read joblog '${path}': ${reason(error)}`, { cause: error });
  }
  const text = bytesToText(bytes);
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}

/** A command as GNU parallel writes it into the column: a line feed as NUL. */
function asColumn(command: string): string {
  return command.replaceAll("\n", "\0");
}
