/**
 * A file that a program's output goes to for as long as it runs.
 *
 * @module
 */

import { reason, SystemError } from "../errors.ts";
import type { Awaitable } from "../primitives.ts";
import type { ByteSink } from "./output.ts";

/**
 * Appends to a file. What cannot be written, such as to a full disk, is lost, so that whoever writes can go on; that is said once. When
 * there is room again, what comes then is written.
 *
 * Invariant: a write never fails, and takes all bytes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const said: string[] = [];
 * using log = new LogFile("/dev/full", { failed: (text) => said.push(text) });
 * assertEquals(await log.write(new Uint8Array(3)), 3);
 * assertEquals(said, ["cannot write the log '/dev/full': No space left on device: what was to go there is lost"]);
 * ```
 */
export class LogFile implements ByteSink, Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #failed: (text: string) => Awaitable<unknown>;
  #hasFailed = false;

  /**
   * Opens the file, and makes it if it is not there.
   *
   * @param path The file.
   * @param options `failed`: told, once, that something is lost; the write settles when it has. It must not throw.
   * @throws {SystemError} If it cannot be opened.
   */
  constructor(path: string, { failed }: { failed: (text: string) => Awaitable<unknown> }) {
    this.#path = path;
    this.#failed = failed;
    try {
      this.#file = Deno.openSync(path, { append: true, create: true });
    } catch (error) {
      throw new SystemError(`cannot open the log '${path}': ${reason(error)}`, { cause: error });
    }
  }

  /** Appends. */
  async write(bytes: Uint8Array): Promise<number> {
    try {
      for (let at = 0; at < bytes.length;) at += await this.#file.write(bytes.subarray(at));
    } catch (error) {
      if (this.#hasFailed) return bytes.length;
      // First: who is told may write to this very file.
      this.#hasFailed = true;
      await this.#failed(
        `cannot write the log '${this.#path}': ${reason(error)}: what was to go there is lost`,
      );
    }
    return bytes.length;
  }

  /** Nobody looks at it. */
  isTerminal(): boolean {
    return false;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
