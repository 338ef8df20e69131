/**
 * Taking over what a child prints.
 *
 * @module
 */

import type { Child, ChildStatus } from "./spawn.ts";

/** Which of its two streams a child printed to. */
export type StreamName = "stdout" | "stderr";

/**
 * Takes a piece over; the bytes are the caller's again when it returns or resolves, so what is kept is copied. Until then the child
 * is not read from: it waits when its pipe is full.
 */
export type Take = (stream: StreamName, bytes: Uint8Array) => void | Promise<void>;

/** What a child wrote before it ended is in the pipe by then, and read long before this has passed. */
const QUIET_MS = 50;
const BUFFER_BYTES = 64 * 2 ** 10;

/** Buffers that no child uses now. There are never more than children ran at once. */
const buffers: ArrayBuffer[] = [];

/**
 * Reads a child's stdout and stderr to their ends.
 *
 * A process that the child left behind may hold its pipes open for ever. So, once the child has ended, reading goes on until
 * nothing has come for a moment; what such a process prints later is nobody's.
 *
 * @param child A child that was started with `stdout` and `stderr` piped.
 * @returns How it ended, when all that it printed was taken.
 * @throws What `take` throws; reading ends then.
 */
export async function capture(child: Child, take: Take): Promise<ChildStatus> {
  let pieces = 0;
  const readers = [
    child.stdout.getReader({ mode: "byob" }),
    child.stderr.getReader({ mode: "byob" }),
  ] as const;
  const pump = async (reader: ReadableStreamBYOBReader, stream: StreamName) => {
    let buffer = buffers.pop() ?? new ArrayBuffer(BUFFER_BYTES);
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      // A stream that was cancelled keeps the buffer.
      if (value === undefined) return;
      buffer = value.buffer;
      if (done) break;
      pieces += 1;
      await take(stream, value);
      pieces += 1;
    }
    buffers.push(buffer);
  };
  const pumped = Promise.all([pump(readers[0], "stdout"), pump(readers[1], "stderr")]);
  let done = false;
  let drained = false;
  const stopped = pumped.then(() => void (done = drained = true), () => void (done = true));
  try {
    const status = await Promise.race([child.status, pumped.then(() => child.status)]);
    while (!done) {
      const before = pieces;
      await quietOr(stopped);
      // A piece that is being taken counts as news: a slow reader must not cut the output off.
      if (before === pieces && pieces % 2 === 0) break;
    }
    if (done) await pumped;
    return status;
  } finally {
    if (!drained) await Promise.allSettled(readers.map((reader) => reader.cancel()));
  }
}

/** Waits for a quiet moment, unless the other comes first. Both timers pass through the event loop: what can be read is. */
async function quietOr(other: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let timer = setTimeout(() => (timer = setTimeout(resolve, 0)), QUIET_MS);
  await Promise.race([promise, other]);
  clearTimeout(timer);
}
