/**
 * Values as bytes, for memory that threads share. What comes out is a structured clone of what went in (HTML, "structured clone
 * algorithm"), but for what only a message can carry: ports, streams, shared memory.
 *
 * @module
 */

const BYTES = 0;
const TEXT = 1;
const JSON_TEXT = 2;
const CLONE = 3;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * A value as bytes. Texts, numbers and bytes are fast; all else goes through V8's serializer.
 *
 * @throws {DOMException} `DataCloneError`, if it cannot be cloned.
 */
export function encode(value: unknown): Uint8Array {
  if (value instanceof Uint8Array && value.constructor === Uint8Array) return tagged(BYTES, value);
  if (typeof value === "string" && value.isWellFormed()) return tagged(TEXT, encoder.encode(value));
  if (isPlain(value)) return tagged(JSON_TEXT, encoder.encode(JSON.stringify(value)));
  try {
    return tagged(CLONE, serializer().serialize(value));
  } catch (error) {
    throw new DOMException(error instanceof Error ? error.message : String(error), "DataCloneError");
  }
}

/** The value that {@link encode} was given. */
export function decode(bytes: Uint8Array<ArrayBuffer>): unknown {
  const rest = bytes.subarray(1);
  switch (bytes[0]) {
    case BYTES:
      return rest.slice();
    case TEXT:
      return decoder.decode(rest);
    case JSON_TEXT:
      return JSON.parse(decoder.decode(rest));
    default:
      return serializer().deserialize(rest.slice());
  }
}

/** What JSON gives back as it was. */
function isPlain(value: unknown): boolean {
  return value === null || typeof value === "boolean" ||
    typeof value === "number" && Number.isFinite(value) && !Object.is(value, -0);
}

function tagged(tag: number, bytes: Uint8Array): Uint8Array {
  const all = new Uint8Array(1 + bytes.length);
  all[0] = tag;
  all.set(bytes, 1);
  return all;
}

interface Serializer {
  serialize(value: unknown): Uint8Array;
  deserialize(bytes: Uint8Array): unknown;
}

/** Loaded when it is first used: an import of node:v8 would cost every start 40 ms. */
function serializer(): Serializer {
  const { process } = globalThis as unknown as { process: { getBuiltinModule(name: "node:v8"): Serializer } };
  return process.getBuiltinModule("node:v8");
}
