/**
 * `conc queue get`: take items out of a queue.
 *
 * @module
 */

import { HeldUpError, TimeoutError } from "../lib/errors.ts";
import type { Delivery, NamedQueue, Reach } from "../lib/named.ts";
import { formatDuration } from "../lib/time/duration.ts";
import { parseCount, parseName } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";
import { itemLine, items, NULL_ALIASES, NULL_FLAGS, type NullFlags } from "./queue_flags.ts";
import { openReach } from "./reach.ts";
import {
  STORE_FLAGS,
  type StoreFlags,
  WAIT_ALIASES,
  WAIT_FLAGS,
  type WaitFlags,
  waitLimit,
} from "./store_flags.ts";

type GetFlags = StoreFlags & WaitFlags & NullFlags & { count: number };

/** So many items, or so many bytes, are received together at most. */
const BATCH_ITEMS = 100;
const BATCH_BYTES = 2 ** 20;

export default command<GetFlags>({
  brief: "Print the next item and take it out, waiting for it",
  description: `An item is out of the queue only once it was written to stdout: what a reader
that went away did not take stays. The bytes are those that were put, and a line
feed behind them. Where the work on an item may fail, conc queue work runs it.

While the queue is empty, conc waits for each item, at most as long as --timeout
says; then exit code 124, or 75 with --no-wait.

--json prints a record of each item, of type item: item (itemBase64 if it is no
UTF-8), attempts (how often it was received, this time included).`,
  examples: [
    { line: "conc queue put jobs one; conc queue get jobs", does: "Put an item, get it" },
    { line: "seq 9 | conc queue put jobs; conc queue get jobs -n 9 --no-wait", does: "All that is there" },
    { line: "conc queue get jobs --timeout 0.2s", does: "Wait a moment, in vain", exitCode: 124 },
  ],
  words: { usage: "NAME", minimum: 1, maximum: 1 },
  flags: {
    count: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      default: "1",
      placeholder: "N",
      brief: "Get N items",
    },
    ...NULL_FLAGS,
    ...STORE_FLAGS,
    ...WAIT_FLAGS,
    noWait: { ...WAIT_FLAGS.noWait, brief: "Do not wait: exit 75 if the queue is empty" },
  },
  aliases: { n: "count", ...NULL_ALIASES, ...WAIT_ALIASES },
  run: runGet,
});

async function runGet(
  context: Context,
  flags: GetFlags & CommonFlags,
  [name = ""]: string[],
): Promise<number> {
  const timeoutMs = waitLimit(flags);
  parseName(name);
  using interrupts = new Interrupts();
  const signal = interrupts.first;
  await using reach = await openReach(context, flags, { signal });
  const queue = await reach.queue(name, { timeoutMs, signal });
  for (let got = 0; got < flags.count;) {
    signal.throwIfAborted();
    const count = Math.min(BATCH_ITEMS, flags.count - got);
    const receive = () => queue.receiveMany(count, { maxBytes: BATCH_BYTES });
    let batch = await reach.whenFree(receive, { timeoutMs, signal });
    if (batch.length === 0) {
      try {
        batch = [await queue.receive({ timeoutMs, signal })];
      } catch (error) {
        if (!(error instanceof TimeoutError) || error instanceof HeldUpError) throw error;
        return await giveUp(context, { flags, name, got });
      }
    }
    await print(context, { reach, queue, batch, flags, signal });
    got += batch.length;
  }
  return SUCCESS;
}

/** Prints items; those that were printed are out of the queue then, whatever happens. */
async function print(
  context: Context,
  { reach, queue, batch, flags, signal }: {
    reach: Reach;
    queue: NamedQueue;
    batch: readonly Delivery<Uint8Array>[];
    flags: GetFlags & CommonFlags;
    signal: AbortSignal;
  },
): Promise<void> {
  let printed = 0;
  try {
    for (const { item, attempts } of batch) {
      await context.stdout.write(itemLine(item, { flags, attempts }));
      printed += 1;
    }
  } finally {
    const tokens = batch.map(({ token }) => token);
    await reach.beforeEnd(() => queue.ack(...tokens.slice(0, printed)), { signal });
    for (const token of tokens.slice(printed)) {
      await reach.beforeEnd(() => queue.giveBack(token, { counts: false }), { signal });
    }
  }
}

async function giveUp(
  context: Context,
  { flags, name, got }: { flags: GetFlags & CommonFlags; name: string; got: number },
): Promise<number> {
  const gotten = got === 0 ? "" : `: ${items(got)} of ${flags.count} came`;
  if (!flags.noWait) {
    throw new TimeoutError(
      `timed out after ${
        formatDuration(flags.timeout!)
      }: the queue '${name}' is empty${gotten}: allow more time`,
    );
  }
  if (!flags.quiet) await say(context, `the queue '${name}' is empty${gotten}`);
  return flags.conflictExitCode;
}
