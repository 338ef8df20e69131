/**
 * A parent that never waits for its children, for the demos of zombies and orphans.
 *
 * It is a shell that starts its children and then becomes `cat`: the children stay its own, and `cat` knows of none. All of them read one
 * pipe, to which nobody ever writes, and which only this process holds open: however this process ends, they come to the end of it and
 * end too.
 *
 * @module
 */

import { EitherSignal } from "../abort.ts";
import { SystemError, TimeoutError } from "../errors.ts";
import { reapAdopted } from "../process/descendants.ts";
import { type ExitStatus, NOT_FOUND } from "../process/exit_status.ts";
import { type ProcessRow, readProcessTable } from "../process/process_table.ts";
import { type Child, spawn } from "../process/spawn.ts";
import { deadline } from "../time/deadline.ts";
import { eventually } from "./eventually.ts";

/** A background job of a shell reads /dev/null unless told otherwise (POSIX 2.9.3), so the pipe has a second number. */
const SCRIPT = `exec 3<&0
i=0
while [ "$i" -lt "$1" ]; do
  read -r _ <&3 &
  i=$((i + 1))
done
exec cat <&3`;

/** What the parent is called once it has all its children. */
const PARENT_NAME = "cat";

/** How long the dead may take to go: they are waited for at once, but on a machine that is busy. */
const GONE_LIMIT_MS = 5_000;

/**
 * The family. Invariant: while it is open, a child of it that has ended is there as a zombie as long as the parent lives, for nobody waits
 * for it. Disposed of, it leaves no process: all that still read the pipe come to its end.
 */
export class Family implements AsyncDisposable {
  readonly #parent: Child;
  readonly #signal: AbortSignal;
  #children: readonly number[] = [];
  #hasEnded = false;

  private constructor(parent: Child, signal: AbortSignal) {
    this.#parent = parent;
    this.#signal = signal;
    void parent.status.then(() => void (this.#hasEnded = true));
  }

  /**
   * Starts a parent and its children, which then wait.
   *
   * @param size How many children.
   * @param options `signal` ends this and every other wait.
   * @throws {SystemError} If there is no room for so many processes.
   * @throws {SpawnError} If there is no `sh`.
   */
  static async start(size: number, { signal }: { signal: AbortSignal }): Promise<Family> {
    signal.throwIfAborted();
    // Nobody is started who could not be seen.
    await readProcessTable();
    const words = ["sh", "-c", SCRIPT, "sh", String(size)];
    const family = new Family(spawn(words, { stdin: "piped", stdout: "null", stderr: "null" }), signal);
    try {
      await family.#until((rows) => {
        family.#children = rows.filter(({ ppid }) => ppid === family.pid).map(({ pid }) => pid);
        const isReady = rows.some(({ pid, name }) => pid === family.pid && name === PARENT_NAME);
        return isReady && family.#children.length === size;
      }, `cannot start ${size === 1 ? "1 child" : `${size} children`}`);
      return family;
    } catch (error) {
      await family[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The parent's process id. */
  get pid(): number {
    return this.#parent.pid;
  }

  /** What the parent is called. */
  get name(): string {
    return PARENT_NAME;
  }

  /** Resolves when the parent has ended, whoever ended it. */
  get parentEnded(): Promise<unknown> {
    return this.#parent.status;
  }

  /** The children's process ids. */
  get children(): readonly number[] {
    return this.#children;
  }

  /** The children, as the kernel shows them now. */
  async rows(): Promise<ProcessRow[]> {
    return (await readProcessTable()).filter(({ pid }) => this.#children.includes(pid));
  }

  /** Ends the children, and waits until the kernel shows each as a zombie. */
  async endChildren(): Promise<void> {
    this.#kill(this.#children);
    // Whose parent has ended may be a zombie, too, but not its own.
    const areZombies = (rows: ProcessRow[]) =>
      rows.filter(({ ppid, state }) => ppid === this.pid && state === "Z").length === this.#children.length;
    await this.#until(areZombies, "cannot make zombies");
  }

  /** Ends the parent. Its children, dead or alive, have another one then. */
  async endParent(): Promise<void> {
    if (!this.#hasEnded) this.#kill([this.pid]);
    await this.#parent.status;
  }

  /**
   * Waits until no child is there any more, not even as a zombie; those that this process adopted it reaps. Children that live are ended.
   *
   * @returns Those that are left after five seconds.
   */
  async gone(): Promise<ProcessRow[]> {
    let left: ProcessRow[] = [];
    const look = async () => {
      reapAdopted();
      left = await this.rows();
      this.#kill(left.filter(({ state }) => state !== "Z").map(({ pid }) => pid));
      return left.length === 0;
    };
    try {
      await deadline((signal) => eventually(look, signal), GONE_LIMIT_MS, { signal: this.#signal });
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
    }
    return left;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endParent();
    await this.#parent.stdin.close().catch(() => {});
  }

  /** Looks until something holds. */
  async #until(holds: (rows: ProcessRow[]) => boolean, failure: string): Promise<void> {
    const ended = new AbortController();
    const fail = (status: ExitStatus) => ended.abort(new SystemError(`${failure}: ${endOf(status)}`));
    void this.#parent.status.then(fail);
    using either = new EitherSignal(this.#signal, ended.signal);
    await eventually(async () => holds(await readProcessTable()), either.signal);
  }

  /** SIGKILL, as whoever started conc may ignore the others. Who has ended meanwhile, ended. */
  #kill(pids: Iterable<number>): void {
    for (const pid of pids) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }
}

/** What the end of the parent means, and what to do. */
function endOf(status: ExitStatus): string {
  if (status.signal !== undefined) return `${status.signal} ended their parent: try again`;
  if (status.exitCode === NOT_FOUND) return "there is no cat: check PATH";
  return "the system has no room for so many processes: ask for fewer, or see ulimit -u";
}
