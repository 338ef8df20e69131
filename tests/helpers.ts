/**
 * What several tests use: sinks that keep what is written, directories of their own.
 *
 * @module
 */

import { bytesToText, concatBytes } from "../lib/bytes.ts";
import { type ByteSink, Output } from "../lib/report/output.ts";

/** Keeps what is written. Takes it in pieces of at most `pieceBytes`, each after a turn of the event loop. */
export class MemorySink implements ByteSink {
  readonly #written: Uint8Array[] = [];
  readonly #pieceBytes: number;
  readonly #terminal: boolean;
  /** What a write waits for; a test puts a promise of its own here. */
  gate: Promise<void> = Promise.resolve();
  /** How many writes have begun. */
  writes = 0;
  /** Thrown by the next write, if there is one. */
  error: Error | undefined;

  constructor({ pieceBytes = Infinity, terminal = false }: { pieceBytes?: number; terminal?: boolean } = {}) {
    this.#pieceBytes = pieceBytes;
    this.#terminal = terminal;
  }

  async write(bytes: Uint8Array): Promise<number> {
    this.writes += 1;
    const piece = bytes.slice(0, this.#pieceBytes);
    await this.gate;
    if (this.error !== undefined) throw this.error;
    this.#written.push(piece);
    return piece.length;
  }

  isTerminal(): boolean {
    return this.#terminal;
  }

  get bytes(): Uint8Array {
    return concatBytes(this.#written);
  }

  get text(): string {
    return bytesToText(this.bytes);
  }
}

/** Two outputs and where they go. */
export function outputs(options: { pieceBytes?: number; terminal?: boolean } = {}): {
  stdout: Output;
  stderr: Output;
  out: MemorySink;
  err: MemorySink;
} {
  const out = new MemorySink(options);
  const err = new MemorySink(options);
  return { stdout: new Output(out, "stdout"), stderr: new Output(err, "stderr"), out, err };
}

/** Lets everything run that waits for nothing but its turn. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Runs a test body that waits for nothing in a directory of its own. */
export function inDirectorySync(body: (directory: string) => void): void {
  const directory = Deno.makeTempDirSync({ prefix: "conc-test-" });
  try {
    body(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** The names in a directory, in order; none if it is not there. */
export function names(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  } catch {
    return [];
  }
}
