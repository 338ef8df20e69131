/**
 * Whether a file is there, and whether a line of it matches.
 *
 * @module
 */

import { bytesToText, concatBytes } from "../../bytes.ts";
import { reason } from "../../errors.ts";
import type { Look } from "../../time/poll.ts";

const BUFFER_BYTES = 64 * 2 ** 10;
/** Of a line that is longer only the end is looked at. */
const LONGEST_LINE_BYTES = 2 ** 20;
const SHOWN_CHARACTERS = 80;
const LINE_FEED = 10;

/**
 * Whether there is a file, directory or anything else of a path. A link that leads nowhere is not there.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await probeFile("/no/such/file"), { holds: false, seen: "no such file" });
 * ```
 */
export async function probeFile(path: string): Promise<Look> {
  try {
    await Deno.stat(path);
    return { holds: true, seen: "is there" };
  } catch (error) {
    return { holds: false, seen: problem(error) };
  }
}

/** Options of {@link LogProbe}. */
export interface LogProbeOptions {
  /** Whether lines count only that come after this was made: what an earlier run wrote says nothing of this one. Default false. */
  isFresh?: boolean;
}

/**
 * Follows a log file, as `tail -F` does, for a line that matches. It holds while the file of that name has such a line: the file need not
 * be there yet, and one that is truncated, or replaced by another, is read from its beginning.
 *
 * Invariant: what a file had gained before it was replaced is read too.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const path = Deno.makeTempFileSync();
 * Deno.writeTextFileSync(path, "starting\nready at 8080\n");
 * using log = new LogProbe(path, /ready at \d+/);
 * const { signal } = new AbortController();
 * assertEquals(await log.look(signal), { holds: true, seen: "has the line 'ready at 8080'" });
 * ```
 */
export class LogProbe implements Disposable {
  readonly #path: string;
  readonly #pattern: RegExp;
  #file: Deno.FsFile | undefined;
  #positionBytes = 0;
  #lineBegin: Uint8Array = new Uint8Array();
  #found: string | undefined;
  /** The file as it was when this was made, if what it had then does not count. */
  readonly #old: Deno.FileInfo | undefined;

  /**
   * @param path The file.
   * @param pattern What a line is to match; without the flags g and y.
   */
  constructor(path: string, pattern: RegExp, { isFresh = false }: LogProbeOptions = {}) {
    this.#path = path;
    this.#pattern = pattern;
    this.#old = isFresh ? statIfThere(path) : undefined;
  }

  /**
   * Looks at what came since the last look. The last line need not be complete.
   *
   * @param signal Ends the look.
   * @throws The reason of the signal, if it is aborted.
   */
  async look(signal: AbortSignal): Promise<Look> {
    try {
      const before = this.#found;
      if (this.#file !== undefined) await this.#readOn(this.#file, signal);
      const isNews = this.#found !== undefined && before === undefined;
      if (!isNews && await this.#isReplaced()) {
        this.#close();
        await this.#readOn(await this.#open(), signal);
      }
    } catch (error) {
      signal.throwIfAborted();
      this.#close();
      return { holds: false, seen: problem(error) };
    }
    if (this.#found === undefined) return { holds: false, seen: "no line matches" };
    return { holds: true, seen: `has the line '${this.#found}'` };
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  async #open(): Promise<Deno.FsFile> {
    // To open a pipe would wait for somebody who writes.
    if (!(await Deno.stat(this.#path)).isFile) throw new Error("no regular file");
    this.#file = await Deno.open(this.#path);
    const { ino, dev, size } = await this.#file.stat();
    const old = this.#old;
    if (old !== undefined && ino === old.ino && dev === old.dev && size >= old.size) {
      this.#positionBytes = await this.#file.seek(old.size, Deno.SeekMode.Start);
    }
    return this.#file;
  }

  #close(): void {
    this.#file?.close();
    this.#file = undefined;
    this.#startAnew();
  }

  #startAnew(): void {
    this.#positionBytes = 0;
    this.#lineBegin = new Uint8Array();
    this.#found = undefined;
  }

  async #isReplaced(): Promise<boolean> {
    if (this.#file === undefined) return true;
    const [open, named] = [await this.#file.stat(), await Deno.stat(this.#path)];
    return open.ino !== named.ino || open.dev !== named.dev;
  }

  async #readOn(file: Deno.FsFile, signal: AbortSignal): Promise<void> {
    if ((await file.stat()).size < this.#positionBytes) {
      await file.seek(0, Deno.SeekMode.Start);
      this.#startAnew();
    }
    const buffer = new Uint8Array(BUFFER_BYTES);
    for (let count = await file.read(buffer); count !== null; count = await file.read(buffer)) {
      signal.throwIfAborted();
      this.#positionBytes += count;
      if (this.#found === undefined) this.#take(buffer.subarray(0, count));
    }
  }

  #take(bytes: Uint8Array): void {
    const text = concatBytes([this.#lineBegin, bytes]);
    const lines = bytesToText(text).split("\n").map((line) => line.replace(/\r$/, ""));
    // Behind the last line feed begins a line only if something stands there.
    if (lines.at(-1) === "") lines.pop();
    const found = lines.find((line) => this.#pattern.test(line));
    if (found !== undefined) this.#found = shown(found);
    this.#lineBegin = text.slice(text.lastIndexOf(LINE_FEED) + 1).slice(-LONGEST_LINE_BYTES);
  }
}

function statIfThere(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch {
    return undefined;
  }
}

function shown(line: string): string {
  // deno-lint-ignore no-control-regex
  const plain = line.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
  return plain.length <= SHOWN_CHARACTERS ? plain : `${plain.slice(0, SHOWN_CHARACTERS - 1)}…`;
}

function problem(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file";
  return reason(error).replace(/^[A-Z]/, (letter) => letter.toLowerCase());
}
