/**
 * What an echo server does to the bytes that it sends back.
 *
 * @module
 */

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** What tells an ASCII letter in upper case from the same in lower case. */
const CASE_BIT = 0x20;

/** The transforms, by name. */
export const TRANSFORMS = ["none", "upper", "lower", "reverse"] as const;

/** How an echo differs from what was sent: not at all (RFC 862), in the case of ASCII letters, or each line back to front. */
export type Transform = typeof TRANSFORMS[number];

/**
 * Transforms bytes in place. `upper` and `lower` change ASCII letters only, so that bytes may be cut anywhere and no character of
 * several bytes is broken. `reverse` takes whole messages: it turns each line around, character by character (Unicode code
 * points), and leaves the end of the line where it is; bytes that are no UTF-8 count as characters of their own.
 *
 * @param bytes What was received; changed.
 * @returns The same bytes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const sent = new TextEncoder().encode("hello 你好\n");
 * assertEquals(new TextDecoder().decode(transform(sent, "reverse")), "好你 olleh\n");
 * ```
 */
export function transform(bytes: Uint8Array<ArrayBuffer>, how: Transform): Uint8Array<ArrayBuffer> {
  switch (how) {
    case "upper":
      changeCase(bytes, 0x61, 0x7a);
      break;
    case "lower":
      changeCase(bytes, 0x41, 0x5a);
      break;
    case "reverse":
      reverseLines(bytes);
      break;
  }
  return bytes;
}

/** Flips the case of the letters from `first` to `last`. */
function changeCase(bytes: Uint8Array, first: number, last: number): void {
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte >= first && byte <= last) bytes[i] = byte ^ CASE_BIT;
  }
}

function reverseLines(bytes: Uint8Array): void {
  for (let start = 0; start < bytes.length;) {
    const found = bytes.indexOf(LINE_FEED, start);
    const next = found < 0 ? bytes.length : found + 1;
    let end = found < 0 ? bytes.length : found;
    if (found > start && bytes[found - 1] === CARRIAGE_RETURN) end -= 1;
    reverseCharacters(bytes.subarray(start, end));
    start = next;
  }
}

/** Turns the bytes of each character around, and then all bytes: the characters come out in reverse, each as it was. */
function reverseCharacters(line: Uint8Array): void {
  for (let i = 0; i < line.length;) {
    const length = characterLength(line, i);
    if (length > 1) line.subarray(i, i + length).reverse();
    i += length;
  }
  line.reverse();
}

/** How many bytes the character at `start` has (RFC 3629); 1 where there is none. */
function characterLength(line: Uint8Array, start: number): number {
  const lead = line[start]!;
  const length = lead >= 0xf0 && lead < 0xf5 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 1;
  if (lead >= 0xf5 || start + length > line.length) return 1;
  for (let i = 1; i < length; i++) {
    if ((line[start + i]! & 0xc0) !== 0x80) return 1;
  }
  return length;
}
