/**
 * A job as a line of NDJSON, with its output in it. The output may be larger than memory, so the line is written in parts.
 *
 * @module
 */

import { textToBytes } from "../bytes.ts";
import type { StreamName } from "../process/capture.ts";
import type { JsonRecord } from "../report/ndjson.ts";
import type { OutputBlock } from "./spill.ts";

/**
 * A line of NDJSON that ends with what the job printed, as `stdout` and `stderr`, or `stdoutBase64` and `stderrBase64` for what
 * is no valid UTF-8.
 *
 * @param record The keys before them.
 * @param blocks What the job printed.
 */
export function* recordWithOutput(
  record: JsonRecord,
  blocks: Record<StreamName, OutputBlock>,
): Generator<Uint8Array> {
  yield textToBytes(JSON.stringify(record).slice(0, -1));
  for (const stream of ["stdout", "stderr"] as const) {
    const valid = isUtf8(blocks[stream]);
    yield textToBytes(`,"${valid ? stream : `${stream}Base64`}":"`);
    yield* valid ? escaped(blocks[stream]) : base64(blocks[stream]);
    yield textToBytes('"');
  }
  yield textToBytes("}\n");
}

function isUtf8(block: OutputBlock): boolean {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for (const part of block.parts()) decoder.decode(part, { stream: true });
    decoder.decode();
    return true;
  } catch {
    return false;
  }
}

function* escaped(block: OutputBlock): Generator<Uint8Array> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (const part of block.parts()) {
    yield textToBytes(JSON.stringify(decoder.decode(part, { stream: true })).slice(1, -1));
  }
}

function* base64(block: OutputBlock): Generator<Uint8Array> {
  let rest = "";
  for (const part of block.parts()) {
    const bytes = rest + latin1(part);
    const whole = bytes.length - bytes.length % 3;
    yield textToBytes(btoa(bytes.slice(0, whole)));
    rest = bytes.slice(whole);
  }
  yield textToBytes(btoa(rest));
}

/** Bytes as the characters of the same numbers, as `btoa` wants them. */
function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x2000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x2000));
  }
  return text;
}
