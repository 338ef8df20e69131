/**
 * NDJSON, what `--json` prints: one object a line, each with a `type`, keys in camelCase.
 *
 * @module
 */

/** One line of NDJSON. */
export type JsonRecord = { type: string } & Record<string, unknown>;

/**
 * One line of NDJSON with its line feed. Keys whose value is undefined are left out.
 *
 * @param record What the line says.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(ndjson({ type: "summary", jobs: 3 }), '{"type":"summary","jobs":3}\n');
 * ```
 */
export function ndjson(record: JsonRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/**
 * Bytes as a key of a JSON object: `{ [key]: text }`, or `{ [key + "Base64"]: … }` for what is no valid UTF-8.
 *
 * @param key The key, such as `stdout`.
 * @param bytes Its value.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(bytesEntry("data", new TextEncoder().encode("hi")), { data: "hi" });
 * assertEquals(bytesEntry("data", new Uint8Array([0xff])), { dataBase64: "/w==" });
 * ```
 */
export function bytesEntry(key: string, bytes: Uint8Array): Record<string, string> {
  try {
    return { [key]: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { [`${key}Base64`]: toBase64(bytes) };
  }
}

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(binary);
}
