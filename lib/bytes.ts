/**
 * Bytes as text and back, without loss. Input lines are bytes, and templates, file names and messages are text: bytes
 * that are no valid UTF-8 travel through text as lone surrogates, U+DC80 for 0x80 to U+DCFF for 0xFF, and come out as
 * they went in (PEP 383, "surrogateescape").
 *
 * @module
 */

const STRICT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const LENIENT = new TextDecoder("utf-8", { ignoreBOM: true });
const ENCODER = new TextEncoder();

/**
 * Turns bytes into text; what is no valid UTF-8 becomes lone surrogates.
 *
 * @param bytes Any bytes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = new Uint8Array([0x61, 0xff, 0xc3, 0xa9]);
 * assertEquals(bytesToText(bytes), "a\udcffé");
 * assertEquals(textToBytes(bytesToText(bytes)), bytes);
 * ```
 */
export function bytesToText(bytes: Uint8Array): string {
  try {
    return STRICT.decode(bytes);
  } catch {
    return escapeInvalid(bytes);
  }
}

/**
 * Turns text into bytes; the inverse of {@link bytesToText}.
 *
 * @param text Text, which may hold lone surrogates from U+DC80 to U+DCFF.
 */
export function textToBytes(text: string): Uint8Array {
  if (isWellFormed(text)) return ENCODER.encode(text);
  const pieces = text.split(/([\udc80-\udcff])/u);
  return concatBytes(
    pieces.map((piece, index) =>
      index % 2 === 0 ? ENCODER.encode(piece) : Uint8Array.of(piece.charCodeAt(0) - 0xdc00)
    ),
  );
}

/** Whether text came from valid UTF-8, so that every interface which takes strings passes it on unchanged. */
export function isWellFormed(text: string): boolean {
  return text.isWellFormed();
}

/** Text for people and for JSON: lone surrogates become U+FFFD. */
export function toPrintable(text: string): string {
  return text.toWellFormed();
}

/** One array that holds all of them in order. */
export function concatBytes(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

/** Walks over the bytes sequence by sequence (RFC 3629); a byte that begins no valid sequence is escaped alone. */
function escapeInvalid(bytes: Uint8Array): string {
  let text = "";
  let from = 0;
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length > 0) {
      at += length;
      continue;
    }
    text += LENIENT.decode(bytes.subarray(from, at)) + String.fromCharCode(0xdc00 + bytes[at]!);
    at += 1;
    from = at;
  }
  return text + LENIENT.decode(bytes.subarray(from));
}

/** How many bytes the valid UTF-8 sequence at `at` has; 0 if there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  const length = first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (first < 0xc2 || length === 0 || at + length > bytes.length) return 0;
  const second = bytes[at + 1]!;
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let i = 2; i < length; i++) {
    if ((bytes[at + i]! & 0xc0) !== 0x80) return 0;
  }
  return length;
}
