/**
 * Taking a stream of bytes apart: lines, or records that end with NUL.
 *
 * @module
 */

import { concatBytes } from "../bytes.ts";
import { reason, SystemError, UsageError } from "../errors.ts";

/** A record longer than this is none: no system takes an argument of a fraction of it. */
const RECORD_LIMIT_BYTES = 64 * 2 ** 20;
const CHUNK_BYTES = 64 * 2 ** 10;

/**
 * Records of a stream, without their delimiters, those of each piece together as it comes. A last one without a delimiter counts.
 *
 * @param stream What is read.
 * @param options `delimiter`: the byte that ends a record; `name`: what messages call the stream.
 * @throws {SystemError} If it cannot be read.
 * @throws {UsageError} If a record is longer than 64 MiB.
 */
export async function* readRecords(
  stream: ReadableStream<Uint8Array>,
  { delimiter, name }: { delimiter: number; name: string },
): AsyncGenerator<Uint8Array[]> {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let count = 0;
  for await (const chunk of readable(stream, name)) {
    const records: Uint8Array[] = [];
    let from = 0;
    for (let end = chunk.indexOf(delimiter); end >= 0; end = chunk.indexOf(delimiter, from)) {
      const last = chunk.subarray(from, end);
      records.push(pending.length === 0 ? last : concatBytes([...pending, last]));
      pending = [];
      pendingBytes = 0;
      from = end + 1;
    }
    count += records.length;
    if (from < chunk.length) pending.push(chunk.slice(from));
    pendingBytes += chunk.length - from;
    if (pendingBytes > RECORD_LIMIT_BYTES) {
      throw new UsageError(`cannot use input ${count + 1} of ${name} as it is longer than 64 MiB`);
    }
    if (records.length > 0) yield records;
  }
  if (pending.length > 0) yield [concatBytes(pending)];
}

async function* readable(stream: ReadableStream<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) {
      for (let at = 0; at < chunk.length; at += CHUNK_BYTES) yield chunk.subarray(at, at + CHUNK_BYTES);
    }
  } catch (error) {
    throw new SystemError(`cannot read ${name}: ${reason(error)}`, { cause: error });
  }
}
