/**
 * Where a pool's inputs come from: arguments, files, stdin; one source or several combined. Inputs are read as they are
 * asked for, and are text that keeps every byte (see `bytes.ts`).
 *
 * @module
 */

import { reason, UsageError } from "../errors.ts";
import { bytesToText } from "../bytes.ts";
import { readRecords } from "./lines.ts";

/** One source of inputs. */
export type InputSource =
  & ({ kind: "values"; values: readonly string[] } | { kind: "file"; path: string })
  & {
    /** Whether it goes along with the source before it (`:::+`) instead of being combined with it. */
    linked: boolean;
  };

/** How inputs are read. */
export interface InputOptions {
  /** What `-` and no source at all read. */
  stdin: ReadableStream<Uint8Array>;
  /** Inputs end with NUL instead of a line feed. Default false. */
  nul?: boolean;
  /** Splits each input into several arguments. */
  colsep?: RegExp;
  /** How many inputs make one job; 0 and 1 are one each. Default 1. */
  maxArgs?: number;
  /** Mixes the inputs; all are read first. Default false. */
  shuffle?: boolean;
}

/**
 * Takes the words of a command line apart: the command, and the sources behind `:::`, `:::+`, `::::` and `::::+`.
 *
 * @param words All words.
 * @throws {UsageError} If the first source is linked to nothing.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(splitSources(["echo", ":::", "a", "b"]), {
 *   command: ["echo"],
 *   sources: [{ kind: "values", values: ["a", "b"], linked: false }],
 * });
 * ```
 */
export function splitSources(words: readonly string[]): { command: string[]; sources: InputSource[] } {
  const isSeparator = (word: string) => /^:{3,4}\+?$/.test(word);
  const first = words.findIndex(isSeparator);
  if (first < 0) return { command: [...words], sources: [] };
  const sources: InputSource[] = [];
  for (let at = first; at < words.length;) {
    const separator = words[at]!;
    const end = words.findIndex((word, index) => index > at && isSeparator(word));
    const values = words.slice(at + 1, end < 0 ? words.length : end);
    const linked = separator.endsWith("+");
    if (linked && sources.length === 0) {
      throw new UsageError(`nothing to link ${separator} to: the first source begins with ::: or ::::`);
    }
    if (separator.startsWith("::::")) {
      if (values.length === 0) throw new UsageError(`no file after ${separator}`);
      sources.push(...values.map((path) => ({ kind: "file" as const, path, linked })));
    } else {
      sources.push({ kind: "values", values, linked });
    }
    at = end < 0 ? words.length : end;
  }
  return { command: words.slice(0, first), sources };
}

/** The inputs of a pool. */
export interface Inputs {
  /** How many jobs there will be, where that is known before all was read. */
  readonly total: number | undefined;
  /** The arguments of one job after the other. */
  read(): AsyncGenerator<string[]>;
}

/**
 * Opens the sources.
 *
 * @param sources The sources; none means stdin.
 * @throws {UsageError} If a file cannot be opened. Nothing was read yet.
 */
export async function openInputs(sources: readonly InputSource[], options: InputOptions): Promise<Inputs> {
  const all = sources.length > 0 ? sources : [{ kind: "file" as const, path: "-", linked: false }];
  if (all.filter((source) => source.kind === "file" && source.path === "-").length > 1) {
    throw new UsageError("stdin can be only one of the sources");
  }
  const opened = await Promise.all(
    all.map(async (source) => ({ ...source, records: await open(source, options) })),
  );
  const { maxArgs = 1, shuffle = false } = options;
  const split = options.colsep === undefined ? undefined : splitter(options.colsep);
  return {
    total: countValues(all, maxArgs),
    async *read() {
      let records = combine(opened);
      if (split !== undefined) records = map(records, split);
      if (maxArgs > 1) records = group(records, maxArgs);
      if (shuffle) records = mixed(records);
      yield* records;
    },
  };
}

type Records = AsyncGenerator<string[]>;

async function open(
  source: InputSource,
  { stdin, nul = false }: InputOptions,
): Promise<() => AsyncGenerator<string>> {
  if (source.kind === "values") {
    return async function* () {
      yield* source.values;
    };
  }
  const stream = source.path === "-" ? stdin : await openFile(source.path);
  return () =>
    readTexts(stream, { delimiter: nul ? 0 : 10, name: source.path === "-" ? "stdin" : source.path });
}

async function openFile(path: string): Promise<ReadableStream<Uint8Array>> {
  try {
    const file = await Deno.open(path);
    if ((await file.stat()).isDirectory) throw new Error("it is a directory");
    return file.readable;
  } catch (error) {
    throw new UsageError(`cannot read inputs from '${path}': ${reason(error)}`, { cause: error });
  }
}

/** The records of a stream as text. */
async function* readTexts(
  stream: ReadableStream<Uint8Array>,
  options: { delimiter: number; name: string },
): AsyncGenerator<string> {
  let count = 0;
  for await (const records of readRecords(stream, options)) {
    for (const record of records) {
      count += 1;
      const text = bytesToText(record);
      if (text.includes("\0")) {
        throw new UsageError(
          `cannot use line ${count} of ${options.name} as it holds a NUL byte: separate inputs with -0`,
        );
      }
      yield text;
    }
  }
}

/** Every combination of the sources, the last one varying fastest; linked sources go along, up to the shortest. */
async function* combine(
  sources: readonly (InputSource & { records: () => AsyncGenerator<string> })[],
): Records {
  const groups: (() => Records)[] = [];
  for (const { linked, records } of sources) {
    const alone = () => map(records(), (value) => [value]);
    if (!linked) groups.push(alone);
    else groups.push(zip(groups.pop()!, alone));
  }
  const [first, ...others] = groups;
  const rest: string[][][] = [];
  for (const group of others) rest.push(await Array.fromAsync(group()));
  for await (const record of first!()) yield* product(record, rest);
}

function* product(prefix: string[], [first, ...others]: string[][][]): Generator<string[]> {
  if (first === undefined) yield prefix;
  else for (const record of first) yield* product([...prefix, ...record], others);
}

function zip(left: () => Records, right: () => Records): () => Records {
  return async function* () {
    const others = right();
    for await (const record of left()) {
      const other = await others.next();
      if (other.done) return;
      yield [...record, ...other.value];
    }
  };
}

async function* map<T>(records: AsyncGenerator<T>, change: (record: T) => string[]): Records {
  for await (const record of records) yield change(record);
}

async function* group(records: Records, size: number): Records {
  let args: string[] = [];
  let count = 0;
  for await (const record of records) {
    args.push(...record);
    if (++count % size !== 0) continue;
    yield args;
    args = [];
  }
  if (args.length > 0) yield args;
}

/** All records in random order (Fisher and Yates). */
async function* mixed(records: Records): Records {
  const all = await Array.fromAsync(records);
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  yield* all;
}

function splitter(separator: RegExp): (record: string[]) => string[] {
  return (record) => record.flatMap((value) => value.split(separator));
}

function countValues(sources: readonly InputSource[], maxArgs: number): number | undefined {
  const counts: number[] = [];
  for (const source of sources) {
    if (source.kind === "file") return undefined;
    const count = source.values.length;
    counts.push(source.linked ? Math.min(counts.pop()!, count) : count);
  }
  return Math.ceil(counts.reduce((product, count) => product * count, 1) / Math.max(1, maxArgs));
}
