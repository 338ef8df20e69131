/**
 * Where the output of what `conc spawn` runs goes, if not straight through.
 *
 * @module
 */

import { Printer } from "../lib/jobs/printer.ts";
import { recordWithOutput } from "../lib/jobs/record.ts";
import { type OutputBlock, Spill } from "../lib/jobs/spill.ts";
import type { StreamName, Take } from "../lib/process/capture.ts";
import { type JsonRecord, ndjson } from "../lib/report/ndjson.ts";
import { isReaderGone } from "../lib/process/libc.ts";
import { type Output, ReaderGoneError } from "../lib/report/output.ts";
import { type Context, wantsColor } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import type { SpawnFlags } from "./spawn_flags.ts";

/** The output of one run. */
export interface RunOutput {
  take: Take;
  /** Resolves when all of it was written, and the record of the run, where records are printed. */
  ended(record: () => Promise<JsonRecord>): Promise<void>;
}

/** Where the runs print to. Who prints faster than it can be written, or read, has to wait. */
export interface SpawnOutput extends Disposable {
  /** Opens the output of the next run. */
  open(name: string, index: number): RunOutput;
}

/** Cyan, yellow, green, magenta, blue, red: the colours that tell indexes apart. */
const COLORS = [36, 33, 32, 35, 34, 31] as const;

/**
 * Opens what the flags ask for: lines with a prefix, a log, or records that hold what was printed; undefined if the output goes straight
 * through.
 *
 * @param options `file`: the log, if there is one.
 */
export function openOutput(
  context: Context,
  { flags, file }: { flags: SpawnFlags & CommonFlags; file: Output | undefined },
): SpawnOutput | undefined {
  if (file === undefined && flags.json) return new RecordOutput(context);
  return file !== undefined || flags.prefix ? new LineOutput(context, { flags, file }) : undefined;
}

/** Each line as it comes, to stdout and stderr or into the log, with the prefix that the flags ask for. */
class LineOutput implements SpawnOutput {
  readonly #printer: Printer;
  readonly #prefix: boolean;
  readonly #isColored: boolean;
  readonly #records: Output | undefined;

  constructor(
    context: Context,
    { flags, file }: { flags: SpawnFlags & CommonFlags; file: Output | undefined },
  ) {
    const { stdout, stderr } = context;
    this.#prefix = flags.prefix;
    this.#isColored = file === undefined && wantsColor(context, stdout, flags.color);
    this.#records = flags.json ? stdout : undefined;
    this.#printer = new Printer({
      ...{ stdout: file ?? stdout, stderr: file ?? stderr },
      ...{ mode: "line", keepOrder: false },
    });
  }

  open(name: string, index: number): RunOutput {
    const output = this.#printer.open({ tag: this.#prefix ? this.#tag(name, index) : "" });
    return {
      take: (stream, bytes) => output.take(stream, bytes),
      ended: async (record) => {
        output.end({ delivered: () => Promise.resolve() });
        await this.#printer.settle(output);
        await this.#records?.write(ndjson(await record()));
      },
    };
  }

  [Symbol.dispose](): void {
    this.#printer[Symbol.dispose]();
  }

  #tag(name: string, index: number): string {
    const tag = `${name}.${index}`;
    return this.#isColored ? `\x1b[${COLORS[(index - 1) % COLORS.length]}m${tag}\x1b[0m` : tag;
  }
}

/** A record for each run, with all that it printed. */
class RecordOutput implements SpawnOutput {
  readonly #spill = new Spill();
  readonly #stdout: Output;

  constructor({ stdout }: Context) {
    this.#stdout = stdout;
  }

  open(): RunOutput {
    const blocks: Record<StreamName, OutputBlock> = {
      stdout: this.#spill.block(),
      stderr: this.#spill.block(),
    };
    return {
      take(stream, bytes) {
        // Nothing is written before the end, which may never come.
        if (isReaderGone(1)) throw new ReaderGoneError("nobody reads stdout any more");
        blocks[stream].append(bytes.slice());
      },
      ended: async (record) => {
        await this.#stdout.writeParts(recordWithOutput(await record(), blocks));
        for (const block of Object.values(blocks)) block.clear();
      },
    };
  }

  [Symbol.dispose](): void {
    this.#spill[Symbol.dispose]();
  }
}
