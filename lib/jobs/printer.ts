/**
 * Printing what jobs print: each job's output as one block, or line by line; in the order of the inputs, or as it comes.
 *
 * Invariant: two jobs' output is never mixed within a block, nor within a line. A job is reported as delivered once its
 * output was written, and after all jobs before it where the order is kept.
 *
 * @module
 */

import { concatBytes, textToBytes } from "../bytes.ts";
import type { StreamName } from "../process/capture.ts";
import type { Output } from "../report/output.ts";
import { type OutputBlock, Spill } from "./spill.ts";

/** How a {@link Printer} prints. */
export interface PrinterOptions {
  stdout: Output;
  stderr: Output;
  /** A job's output in one block when it has ended, or line by line as it comes. */
  mode: "block" | "line";
  /** In the order of the inputs. */
  keepOrder: boolean;
}

/** What becomes of a job's output when the job has ended. */
export interface Delivery {
  /** Prints a block in another way than as it is, such as in a JSON record. */
  print?: (blocks: Record<StreamName, OutputBlock>) => Promise<void>;
  /** Called when the output was written, before it is forgotten. */
  delivered(blocks: Record<StreamName, OutputBlock>): Promise<void>;
}

/** A line that is longer is printed in pieces. */
const LINE_LIMIT_BYTES = 2 ** 20;
/** With the order kept, no more jobs than this wait for an earlier one to end. */
const WAITING_LIMIT = 10_000;
const LINE_FEED = 10;

/** Prints the output of the jobs of one pool. */
export class Printer implements Disposable {
  readonly #options: PrinterOptions;
  readonly #spill = new Spill();
  #turn: Promise<void> = Promise.resolve();
  #waiting = 0;
  #failure: { error: unknown } | undefined;

  constructor(options: PrinterOptions) {
    this.#options = options;
  }

  /**
   * Opens the output of the next job: with the order kept, this is its place in it.
   *
   * @param options `tag` stands before each line.
   */
  open({ tag = "" }: { tag?: string } = {}): JobOutput {
    const blocks = { stdout: this.#spill.block(), stderr: this.#spill.block() };
    const output = new JobOutput(blocks, { ...this.#options, tag });
    if (!this.#options.keepOrder) {
      output.printed = output.print();
    } else {
      this.#waiting += 1;
      output.printed = this.#turn.then(() => output.print()).finally(() => this.#waiting -= 1);
      this.#turn = output.printed;
    }
    output.printed.catch((error) => this.#failure ??= { error });
    return output;
  }

  /**
   * Waits for a job that has ended to be printed; not for its turn, unless very many wait for theirs.
   *
   * @throws What went wrong with this job or an earlier one.
   */
  async settle(output: JobOutput): Promise<void> {
    if (!this.#options.keepOrder || this.#waiting > WAITING_LIMIT) await output.printed;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Waits until all jobs that were opened are printed. */
  async flush(): Promise<void> {
    await this.#turn;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  [Symbol.dispose](): void {
    this.#spill[Symbol.dispose]();
  }
}

/** The output of one job. */
export class JobOutput {
  readonly #blocks: Record<StreamName, OutputBlock>;
  readonly #options: PrinterOptions & { tag: string };
  readonly #ended = Promise.withResolvers<Delivery | undefined>();
  readonly #rest: Record<StreamName, Uint8Array[]> = { stdout: [], stderr: [] };
  #isTurn = false;
  /** The streams whose lines are printed as they come. */
  readonly #live = new Set<StreamName>();
  /** How many bytes of stdout the job printed. */
  receivedBytes = 0;
  /** Resolves when it was printed. */
  printed: Promise<void> = Promise.resolve();

  /** Use {@link Printer.open}. */
  constructor(blocks: Record<StreamName, OutputBlock>, options: PrinterOptions & { tag: string }) {
    this.#blocks = blocks;
    this.#options = options;
  }

  /** Takes over what the job printed. */
  async take(stream: StreamName, bytes: Uint8Array): Promise<void> {
    if (stream === "stdout") this.receivedBytes += bytes.length;
    if (this.#live.has(stream)) await this.#printLines(stream, bytes);
    else this.#blocks[stream].append(bytes.slice());
  }

  /** Forgets what has not been printed: the job is tried again. Lines that are on their way out stay. */
  reset(): void {
    this.receivedBytes = 0;
    this.#rest.stdout = [];
    this.#rest.stderr = [];
    if (!this.#isTurn) this.#clear();
  }

  /** Says that the job has ended. Without a delivery what it printed is dropped. */
  end(delivery: Delivery | undefined): void {
    this.#ended.resolve(delivery);
  }

  /** Prints the job when it is its turn, from the lines that are there to the last ones. Used by {@link Printer}. */
  async print(): Promise<void> {
    try {
      if (this.#options.mode === "line") await this.#goLive();
      const delivery = await this.#ended.promise;
      if (delivery === undefined) return;
      if (this.#options.mode === "line") await this.#printRests();
      else await (delivery.print?.(this.#blocks) ?? this.#printBlocks());
      await delivery.delivered(this.#blocks);
    } finally {
      this.#clear();
    }
  }

  #clear(): void {
    for (const block of Object.values(this.#blocks)) block.clear();
  }

  async #printBlocks(): Promise<void> {
    const { tag } = this.#options;
    for (const stream of ["stdout", "stderr"] as const) {
      const block = this.#blocks[stream];
      if (block.sizeBytes === 0) continue;
      await this.#options[stream].writeParts(tag === "" ? block.parts() : tagged(block.parts(), tag));
    }
  }

  /** Prints the lines that came before its turn, and from then on each as it comes. */
  async #goLive(): Promise<void> {
    this.#isTurn = true;
    for (const stream of ["stdout", "stderr"] as const) {
      for (const part of this.#blocks[stream].parts()) await this.#printLines(stream, part);
      // At once: what comes while the other stream is being printed would stay in the block.
      this.#live.add(stream);
    }
  }

  async #printLines(stream: StreamName, bytes: Uint8Array): Promise<void> {
    const rest = this.#rest[stream];
    const restBytes = rest.reduce((sum, { length }) => sum + length, 0);
    const lastLineEnd = bytes.lastIndexOf(LINE_FEED) + 1;
    const isTooLong = lastLineEnd === 0 && restBytes + bytes.length > LINE_LIMIT_BYTES;
    const end = isTooLong ? bytes.length : lastLineEnd;
    if (end > 0) await this.#printLine(stream, concatBytes([...rest.splice(0), bytes.subarray(0, end)]));
    if (end < bytes.length) rest.push(bytes.slice(end));
  }

  async #printRests(): Promise<void> {
    for (const stream of ["stdout", "stderr"] as const) {
      const rest = this.#rest[stream].splice(0);
      if (rest.length > 0) await this.#printLine(stream, concatBytes(rest));
    }
  }

  #printLine(stream: StreamName, bytes: Uint8Array): Promise<void> {
    const { tag } = this.#options;
    return this.#options[stream].writeParts(tag === "" ? [bytes] : tagged([bytes], tag));
  }
}

/** The same bytes with a tag and a tab before each line. */
function* tagged(parts: Iterable<Uint8Array>, tag: string): Generator<Uint8Array> {
  const prefix = textToBytes(`${tag}\t`);
  let atStart = true;
  for (const part of parts) {
    const pieces: Uint8Array[] = [];
    for (let from = 0; from < part.length;) {
      const end = part.indexOf(LINE_FEED, from) + 1 || part.length;
      if (atStart) pieces.push(prefix);
      pieces.push(part.subarray(from, end));
      atStart = part[end - 1] === LINE_FEED;
      from = end;
    }
    yield concatBytes(pieces);
  }
}
