/**
 * `conc queue put`: put items into a queue.
 *
 * @module
 */

import { bytesToText, textToBytes } from "../lib/bytes.ts";
import { HeldUpError, InterruptedError, SystemError, TimeoutError, UsageError } from "../lib/errors.ts";
import type { NamedQueue, Reach } from "../lib/named.ts";
import { readRecords } from "../lib/jobs/lines.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { formatDuration, parseDuration } from "../lib/time/duration.ts";
import { parseName } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";
import { items, NULL_ALIASES, NULL_FLAGS, type NullFlags } from "./queue_flags.ts";
import { openReach } from "./reach.ts";
import {
  STORE_FLAGS,
  type StoreFlags,
  WAIT_ALIASES,
  WAIT_FLAGS,
  type WaitFlags,
  waitLimit,
} from "./store_flags.ts";

type PutFlags = StoreFlags & WaitFlags & NullFlags & { priority: number; delay: number; dedup?: string };

/** What was put so far. */
interface Tally {
  put: number;
  duplicates: number;
}

/** So many items, or so many bytes, are one transaction at most. */
const BATCH_ITEMS = 10_000;
const BATCH_BYTES = 8 * 2 ** 20;
/** How long items wait for more to come along into the same transaction. */
const GATHER_MS = 5;
const LINE_FEED = 10;

export default command<PutFlags>({
  brief: "Put items, or the lines of stdin",
  description: `Without an ITEM each line of stdin is one, whatever bytes are in it; -0 reads
items that end with NUL and may hold line feeds. They are put as they come, many
in one transaction; what was put is on disk when conc ends, and before the next
lines are read. A queue that is not there is made: fifo, without a limit (conc
queue create makes others).

While the queue is full, conc waits for room for each item, at most as long as
--timeout says; then exit code 124, or 75 with --no-wait, and a message that
says how many were put.

--json prints one record of type put: name, put, duplicates (items that were not
put as their key was there).`,
  examples: [
    { line: "conc queue put jobs 'resize photo.jpg'", does: "One item" },
    { line: "seq 1000 | conc queue put jobs", does: "A thousand, one a line" },
    { line: "find . -name '*.log' -print0 | conc queue put -0 files", does: "Any file name" },
    {
      line: "conc queue put jobs ./backup.sh --dedup nightly --delay 1m",
      does: "In a minute, and once",
    },
  ],
  words: { usage: "NAME [ITEM…]", minimum: 1, maximum: Infinity },
  flags: {
    priority: {
      kind: "parsed",
      parse: parsePriority,
      default: "0",
      placeholder: "N",
      brief: "In a queue of kind priority: the smallest comes out first",
    },
    delay: {
      kind: "parsed",
      parse: parseDuration,
      default: "0",
      placeholder: "D",
      brief: "Nobody gets the items before D has passed",
    },
    dedup: {
      kind: "parsed",
      parse: parseKey,
      optional: true,
      placeholder: "KEY",
      brief: "Put nothing while an item with this key is in the queue; {} in it stands for the item",
    },
    ...NULL_FLAGS,
    ...STORE_FLAGS,
    ...WAIT_FLAGS,
    noWait: { ...WAIT_FLAGS.noWait, brief: "Do not wait: exit 75 if the queue is full" },
  },
  aliases: { ...NULL_ALIASES, ...WAIT_ALIASES },
  run: runPut,
});

async function runPut(
  context: Context,
  flags: PutFlags & CommonFlags,
  [name = "", ...words]: string[],
): Promise<number> {
  const timeoutMs = waitLimit(flags);
  parseName(name);
  using interrupts = new Interrupts();
  const signal = interrupts.first;
  await using reach = await openReach(context, flags, { signal });
  const { priority, delay: delayMs, dedup } = flags;
  const how = { priority, delayMs, ...(dedup !== undefined && { dedup }) };
  const queue = await reach.queue(name, { timeoutMs, signal, items: how });
  if (words.length === 0 && context.stdinIsTerminal && !flags.quiet) {
    await say(context, "reading items from the terminal, one a line: Ctrl-D ends them");
  }
  const tally: Tally = { put: 0, duplicates: 0 };
  const put = (batch: readonly Uint8Array[]) =>
    putAll(queue, { reach, batch, flags, timeoutMs, signal, tally });
  let failure: { error: unknown } | undefined;
  try {
    if (words.length > 0) await put(words.map(textToBytes));
    else {for await (const batch of readBatches(context, { flags, signal })) {
        await put(batch);
      }}
  } catch (error) {
    failure = { error };
  }
  if (flags.json) await context.stdout.write(ndjson({ type: "put", name, ...tally }));
  if (failure !== undefined) return await fail(context, { error: failure.error, flags, name, tally, signal });
  if (tally.duplicates > 0 && !flags.json && !flags.quiet) {
    await say(context, `${items(tally.duplicates)} had a key that was in the queue already`);
  }
  return SUCCESS;
}

/** Says how far it came, and what stopped it. */
async function fail(
  context: Context,
  { error, flags, name, tally, signal }: {
    error: unknown;
    flags: PutFlags & CommonFlags;
    name: string;
    tally: Tally;
    signal: AbortSignal;
  },
): Promise<number> {
  const put = `${tally.put === 1 ? "1 item was" : `${tally.put} items were`} put`;
  if (!(error instanceof TimeoutError) || error instanceof HeldUpError) {
    if (tally.put > 0 && !(flags.quiet && error instanceof InterruptedError)) {
      await say(context, `${put} before that`).catch(() => {});
    }
    // Of an item that was on its way when the signal came nobody knows, which is to be said, too.
    if (signal.aborted && error instanceof SystemError) await say(context, error.message).catch(() => {});
    signal.throwIfAborted();
    throw error;
  }
  if (!flags.noWait) {
    const waited = `timed out after ${formatDuration(flags.timeout!)}: the queue '${name}' is full`;
    throw new TimeoutError(`${waited}: ${put}: get some out, or allow more time`);
  }
  await say(context, `the queue '${name}' is full: ${put}: try later, or wait without --no-wait`);
  return flags.conflictExitCode;
}

/** Puts items in their order, waiting for room. */
async function putAll(
  queue: NamedQueue,
  { reach, batch, flags, timeoutMs, signal, tally }: {
    reach: Reach;
    batch: readonly Uint8Array[];
    flags: PutFlags;
    timeoutMs: number;
    signal: AbortSignal;
    tally: Tally;
  },
): Promise<void> {
  const { priority, delay: delayMs, dedup } = flags;
  const keyOf = (item: Uint8Array) => dedup!.replaceAll("{}", () => bytesToText(item));
  for (let from = 0; from < batch.length;) {
    signal.throwIfAborted();
    const keys = dedup === undefined ? {} : { dedup: keyOf };
    const { taken, duplicates } = await reach.whenFree(
      (signal) => queue.putMany(batch.slice(from), { priority, delayMs, ...keys, ...(signal && { signal }) }),
      { durable: true, timeoutMs, signal },
    );
    tally.put += taken - duplicates;
    tally.duplicates += duplicates;
    from += taken;
    const next = batch[from];
    if (next === undefined) return;
    const key = dedup === undefined ? {} : { dedup: keyOf(next) };
    await queue.put(next, { priority, delayMs, ...key, timeoutMs, signal });
    tally.put += 1;
    from += 1;
  }
}

/** The items of stdin: as many together as come at once. */
async function* readBatches(
  context: Context,
  { flags, signal }: { flags: PutFlags; signal: AbortSignal },
): AsyncGenerator<Uint8Array[]> {
  const records = readRecords(context.stdin, { delimiter: flags.null ? 0 : LINE_FEED, name: "stdin" });
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  aborted.catch(() => {});
  let next = records.next();
  for (;;) {
    const first = await Promise.race([next, aborted]);
    if (first.done) return;
    const batch = first.value;
    let bytes = sizeOf(batch);
    next = records.next();
    while (batch.length < BATCH_ITEMS && bytes < BATCH_BYTES) {
      const more = await soon(next);
      if (more === undefined || more.done) break;
      bytes += sizeOf(more.value);
      for (const item of more.value) batch.push(item);
      next = records.next();
    }
    yield batch;
  }
}

/** What a promise resolves with, if it does so soon. */
async function soon<T>(promise: Promise<T>): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), GATHER_MS);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function sizeOf(batch: readonly Uint8Array[]): number {
  return batch.reduce((sum, { length }) => sum + length, 0);
}

function parsePriority(text: string): number {
  const priority = /^[+-]?(\d+(\.\d*)?|\.\d+)$/.test(text) ? Number(text) : NaN;
  if (Number.isFinite(priority)) return priority;
  throw new UsageError(`cannot read a priority as it must be a number: received '${text}'`);
}

function parseKey(text: string): string {
  if (text !== "") return text;
  throw new UsageError("cannot use '' as a key as it must not be empty: leave out --dedup");
}
