/**
 * What `conc tcp-echo send` and `conc udp-echo send` share: where messages come from, and how replies are printed.
 *
 * @module
 */

import { textToBytes } from "../lib/bytes.ts";
import { UsageError } from "../lib/errors.ts";
import { readRecords } from "../lib/jobs/lines.ts";
import { bytesEntry, ndjson } from "../lib/report/ndjson.ts";
import { parseDuration } from "../lib/time/duration.ts";
import { type Context, say } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";

const LINE_FEED = 10;

/** A reply, and what else is known of it. */
export interface Reply {
  bytes: Uint8Array;
  rttMs: number;
  /** More keys for `--json`. */
  more?: Record<string, unknown>;
}

/**
 * Sends each word, or each line of stdin, and prints each reply.
 *
 * @param context Where to read and write.
 * @param options `words`: the messages; `send`: sends one and waits for its reply; `signal`: ends the wait for stdin.
 */
export async function sendAll(
  context: Context,
  { words, flags, signal, send }: {
    words: readonly string[];
    flags: CommonFlags;
    signal: AbortSignal;
    send: (message: Uint8Array) => Promise<Reply>;
  },
): Promise<void> {
  let number = 0;
  const exchange = async (message: Uint8Array) => {
    signal.throwIfAborted();
    number += 1;
    await printReply(context, { ...await send(message), number, json: flags.json });
  };
  for (const word of words) await exchange(textToBytes(word));
  if (words.length > 0) return;
  if (context.stdinIsTerminal && !flags.quiet) {
    await say(context, "reading messages from the terminal, one a line: Ctrl-D ends them");
  }
  const lines = readRecords(context.stdin, { delimiter: LINE_FEED, name: "stdin" });
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => {});
  signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  for (;;) {
    const batch = await Promise.race([lines.next(), aborted]);
    if (batch.done) return;
    for (const line of batch.value) await exchange(line);
  }
}

async function printReply(
  context: Context,
  { bytes, rttMs, more, number, json }: Reply & { number: number; json: boolean },
): Promise<void> {
  if (json) {
    const entry = bytesEntry("text", bytes);
    const times = { rttMs: Math.round(rttMs * 1_000) / 1_000 };
    return await context.stdout.write(
      ndjson({ type: "reply", number, ...entry, bytes: bytes.length, ...times, ...more }),
    );
  }
  const isWhole = bytes.at(-1) === LINE_FEED;
  await context.stdout.writeParts(isWhole ? [bytes] : [bytes, Uint8Array.of(LINE_FEED)]);
}

/**
 * Reads a duration that is not 0.
 *
 * @throws {UsageError} If it is none.
 */
export function parseLimit(text: string): number {
  const ms = parseDuration(text);
  if (ms > 0) return ms;
  throw new UsageError(`cannot use a limit of nothing: received '${text}'`);
}
