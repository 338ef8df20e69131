/**
 * The file that processes of one machine share: an SQLite database in WAL mode (https://sqlite.org/wal.html).
 *
 * @module
 */

import { DatabaseSync, type StatementSync, type SupportedValueType } from "node:sqlite";
import { HeldUpError, SystemError } from "../errors.ts";
import type { WaitOptions } from "../primitives.ts";
import { refuse } from "../task/waiters.ts";
import { bootId, uptimeMs } from "./clock.ts";
import { describeWriter, heldUp, inTheWay, writerOf } from "./held_up.ts";
import { Owners } from "./owner.ts";
import { createFile, storeError } from "./store_file.ts";
import { AFTER_REBOOT, APPLICATION_ID, MIGRATIONS } from "./schema.ts";

/** Options of {@link Store}. */
export interface StoreOptions {
  /** Whether changes of files are watched. Default true; without, waiters only look now and then. */
  watch?: boolean;
  /** Told once, if another process keeps us from writing for long: who that is, and what to do about it. Default: nobody is told. */
  onHeldUp?: (text: string) => void;
}

/** Options of {@link Store.write}. */
export interface WriteOptions {
  /** Whether it must be on disk when this returns, and survive a power cut. Default false. */
  durable?: boolean;
}

/** Options of {@link Store.writeWhenFree}. */
export interface PatientWriteOptions extends WriteOptions, WaitOptions {
  /** Whether the process stays for it, should nothing else be left to do. Default true. */
  persistent?: boolean;
}

/** A row of a result. */
export type Row = Record<string, SupportedValueType>;

/** How long another process may be in the way before that is an error, where nobody said how long to wait. */
const LOCKED_LIMIT_MS = 30_000;
/** The same for those who wait for nothing: a write of others takes moments, and is no reason to give up. */
const MOMENT_MS = 1_000;
/** For so long the event loop stands still: writes follow each other more closely than its timers tick. */
const NAPPING_MS = 20;
const LONGEST_NAP_MS = 5;
const LONGEST_PAUSE_MS = 25;
/** How long a program that is to end still tries. */
const LAST_MS = 5_000;
/** After that people are told who is in the way, if that has been the same process for half of it. */
const NEWS_MS = 2_000;
const nap = new Int32Array(new SharedArrayBuffer(4));

/**
 * An open store. Several processes may have it open, and create it, at once.
 *
 * Invariants: what happens in one {@link write} happens as a whole or not at all, and nothing between; what was written by
 * `write(…, { durable: true })` is on disk when it returns. A store is opened only if it is conc's, and of a version that is known.
 */
export class Store implements Disposable {
  /** Where it is. */
  readonly path: string;
  /** Whether files are watched. */
  readonly watches: boolean;
  /** Who holds and who waits. */
  readonly owners: Owners = new Owners(this);
  readonly #database: DatabaseSync;
  #onHeldUp: ((text: string) => void) | undefined;
  readonly #statements = new Map<string, StatementSync>();
  #afterCommit: (() => void)[] = [];
  #isWriting = false;
  #isDurable = false;

  /**
   * Opens a store, or makes it: a file that only its user can read, in a directory that only its user can enter.
   *
   * @param path The file.
   * @param options Whether to watch files, and who is told if it cannot be written.
   * @throws {SystemError} If it cannot be read or written, is no store of conc's, or of a newer version.
   */
  constructor(path: string, { watch = true, onHeldUp }: StoreOptions = {}) {
    this.path = path;
    this.watches = watch;
    this.#onHeldUp = onHeldUp;
    createFile(path);
    try {
      this.#database = new DatabaseSync(path);
    } catch (error) {
      throw storeError(error, path);
    }
    try {
      this.#prepareFile();
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /**
   * Changes the store, in a transaction. While another process writes, this one stands still, and hears no signal: who can await calls
   * {@link writeWhenFree}.
   *
   * @param change Does it. What it throws undoes all.
   * @param options Whether it must be on disk when this returns.
   * @returns What `change` returned.
   * @throws {SystemError} If the store cannot be written: it is read-only, the disk is full, or another process is in the way for 30 s.
   */
  write<T>(change: () => T, { durable = false }: WriteOptions = {}): T {
    if (this.#isWriting) return change();
    if (!this.#begin(durable, LOCKED_LIMIT_MS)) throw inTheWay(this.path, LOCKED_LIMIT_MS);
    return this.#finish(change);
  }

  /**
   * Changes the store as {@link write} does, as soon as no other process is in the way. If none is, it is changed when this returns.
   *
   * Cancel safety: if the wait is cancelled, nothing is changed.
   *
   * @param change Does it, once.
   * @param options Whether it must be on disk then, and when to give up; without `timeoutMs` another process may be in the way for 30 s, with
   * 0 for 1 s, and then that is a `SystemError`.
   * @returns What `change` returned.
   * @throws {RangeError} If `timeoutMs` is negative or NaN.
   * @throws {SystemError} If the store cannot be written.
   * @throws {TimeoutError} If `timeoutMs` ran out.
   * @throws The reason of the signal, if it is aborted.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { HostEvent } from "./event.ts";
   *
   * using store = new Store(`${Deno.makeTempDirSync()}/conc.db`);
   * const ready = new HostEvent(store, "db-ready");
   * await store.writeWhenFree(() => ready.set("port 5432"), { timeoutMs: 1_000 });
   * assertEquals(ready.isSet(), true);
   * ```
   */
  async writeWhenFree<T>(change: () => T, options: PatientWriteOptions = {}): Promise<T> {
    if (this.#isWriting) return change();
    const { durable = false, signal, timeoutMs, persistent = true } = options;
    const refusal = refuse(options);
    if (refusal !== undefined) throw refusal.reason;
    if (!this.#begin(durable, Math.min(NAPPING_MS, timeoutMs || NAPPING_MS))) {
      const limitMs = timeoutMs === undefined ? LOCKED_LIMIT_MS : timeoutMs || MOMENT_MS;
      const startMs = performance.now();
      let pauseMs = 1;
      let lookAtMs = NEWS_MS / 2;
      let writer: number | undefined;
      do {
        const waitedMs = performance.now() - startMs;
        if (waitedMs >= limitMs) throw timeoutMs ? heldUp(this.path) : inTheWay(this.path, limitMs);
        if (waitedMs >= lookAtMs) {
          // Where many write it is another one each time.
          const before = writer;
          writer = writerOf(this.path);
          if (writer !== undefined && writer === before) this.#tellOnce();
          lookAtMs = waitedMs + NEWS_MS / 2;
        }
        const leftMs = Math.min(pauseMs * (0.5 + Math.random()), limitMs - waitedMs);
        await rest(leftMs, { persistent, signal });
        signal?.throwIfAborted();
        pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * pauseMs);
      } while (!this.#begin(durable, 0));
    }
    return this.#finish(change);
  }

  /**
   * Changes the store as {@link writeWhenFree} does, however long that takes, and for 5 s more once the signal is aborted: for what should
   * not be lost when a program is to end.
   *
   * @param change Does it, once.
   * @param options `signal`: says that the program is to end.
   * @throws {SystemError} If the store cannot be written.
   * @throws The reason of the signal, if another process was in the way until the end.
   */
  async writeBeforeEnd<T>(change: () => T, { signal }: { signal?: AbortSignal | undefined }): Promise<T> {
    try {
      return await this.writeWhenFree(change, { timeoutMs: Infinity, ...(signal && { signal }) });
    } catch (error) {
      if (!signal?.aborted || error !== signal.reason) throw error;
    }
    try {
      return await this.writeWhenFree(change, { timeoutMs: LAST_MS });
    } catch (error) {
      throw error instanceof HeldUpError ? signal.reason : error;
    }
  }

  /** Has a function called once the present change is done for good. Only within {@link write}. */
  afterCommit(callback: () => void): void {
    this.#afterCommit.push(callback);
  }

  /** Runs a statement. Returns how many rows it changed, and the id of the last one that it put in. */
  run(sql: string, ...values: SupportedValueType[]): { changes: number; id: number } {
    const { changes, lastInsertRowid } = this.#try(() => this.#prepare(sql).run(...values));
    return { changes: Number(changes), id: Number(lastInsertRowid) };
  }

  /** The first row of a result; undefined if there is none. */
  get<R extends object = Row>(sql: string, ...values: SupportedValueType[]): R | undefined {
    return this.#try(() => this.#prepare(sql).get(...values)) as R | undefined;
  }

  /** All rows of a result. */
  all<R extends object = Row>(sql: string, ...values: SupportedValueType[]): R[] {
    return this.#try(() => this.#prepare(sql).all(...values)) as R[];
  }

  /** Closes it. A program that ends need not: to close the last connection takes as long as a sync of the disk. */
  close(): void {
    this.owners[Symbol.dispose]();
    this.#statements.clear();
    this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Begins a transaction that writes, unless another process is in the way all the time. */
  #begin(durable: boolean, limitMs: number): boolean {
    if (durable !== this.#isDurable) this.#exec(`PRAGMA synchronous = ${durable ? "FULL" : "NORMAL"}`);
    this.#isDurable = durable;
    this.#isWriting = this.#attempt(() => this.#database.exec("BEGIN IMMEDIATE"), limitMs) !== undefined;
    return this.#isWriting;
  }

  /** Does what is to be done in a transaction that has begun, and ends it. */
  #finish<T>(change: () => T): T {
    let result: T;
    try {
      result = change();
      this.#exec("COMMIT");
    } catch (error) {
      this.#afterCommit = [];
      try {
        this.#database.exec("ROLLBACK");
      } catch {
        // A full disk has rolled it back already.
      }
      throw error;
    } finally {
      this.#isWriting = false;
    }
    const callbacks = this.#afterCommit;
    this.#afterCommit = [];
    for (const callback of callbacks) callback();
    return result;
  }

  #tellOnce(): void {
    const tell = this.#onHeldUp;
    this.#onHeldUp = undefined;
    tell?.(`the store ${this.path} cannot be written yet: ${describeWriter(this.path)}`);
  }

  #prepareFile(): void {
    // How long to wait is decided here: SQLite's own wait hears no signal, and how long it is differs between versions of Deno.
    this.#exec("PRAGMA busy_timeout = 0");
    // In one transaction: between two looks another process may make the tables.
    this.#exec("BEGIN");
    const [id, version, schema] = ["application_id", "user_version", "schema_version"].map((name) =>
      this.#pragma(name)
    ) as [number, number, number];
    this.#exec("COMMIT");
    const isEmpty = id === 0 && version === 0 && schema === 0;
    if (!isEmpty && id !== APPLICATION_ID) {
      throw new SystemError(`cannot use ${this.path} as it is another program's database: name another file`);
    }
    if (version > MIGRATIONS.length) {
      throw new SystemError(`cannot use ${this.path} as it is of a newer conc: upgrade this one`);
    }
    if (version < MIGRATIONS.length) this.#migrate();
    this.#exec("PRAGMA synchronous = NORMAL");
    const boot = bootId();
    if (this.get("SELECT value FROM meta WHERE key = 'boot'")?.value !== boot) this.#afterReboot(boot);
  }

  #migrate(): void {
    this.#exec("PRAGMA journal_mode = WAL");
    this.write(() => {
      for (const step of MIGRATIONS.slice(this.#pragma("user_version"))) this.#exec(step);
      this.#exec(`PRAGMA application_id = ${APPLICATION_ID}`);
      this.#exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    });
  }

  /** Forgets what was held before the machine was started. Times of this start are counted anew. */
  #afterReboot(boot: string): void {
    this.write(() => {
      if (this.get("SELECT value FROM meta WHERE key = 'boot'")?.value === boot) return;
      this.#exec(AFTER_REBOOT);
      this.run("UPDATE items SET due = max(0, dueAt - ?) + ? WHERE state = 1", Date.now(), uptimeMs());
      this.run("INSERT OR REPLACE INTO meta VALUES ('boot', ?)", boot);
    });
  }

  #pragma(name: string): number {
    return Number(
      Object.values(this.#try(() => this.#database.prepare(`PRAGMA ${name}`).get()) ?? { 0: 0 })[0],
    );
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #exec(sql: string): void {
    this.#try(() => this.#database.exec(sql));
  }

  /** Does it as soon as no other process is in the way. */
  #try<T>(action: () => T): T {
    const done = this.#attempt(action, LOCKED_LIMIT_MS);
    if (done === undefined) throw inTheWay(this.path, LOCKED_LIMIT_MS);
    return done.value;
  }

  /** Does it as soon as no other process is in the way; undefined if one is until the time is over. */
  #attempt<T>(action: () => T, limitMs: number): { value: T } | undefined {
    let startMs: number | undefined;
    let napMs = 0.1;
    for (;;) {
      try {
        return { value: action() };
      } catch (error) {
        if (!/database (table )?is locked|database schema is locked/.test(String(error))) {
          throw storeError(error, this.path);
        }
        startMs ??= performance.now();
        if (performance.now() - startMs >= limitMs) return undefined;
        Atomics.wait(nap, 0, 0, napMs * (0.5 + Math.random()));
        napMs = Math.min(LONGEST_NAP_MS, 2 * napMs);
      }
    }
  }
}

/** Rests, unless the signal is aborted. */
async function rest(
  ms: number,
  { persistent, signal }: { persistent: boolean; signal: AbortSignal | undefined },
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = () => resolve();
  const timer = setTimeout(wake, ms);
  if (!persistent) Deno.unrefTimer(timer);
  signal?.addEventListener("abort", wake, { once: true });
  await promise;
  clearTimeout(timer);
  signal?.removeEventListener("abort", wake);
}
