import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { bytesEntry, ndjson } from "../../lib/report/ndjson.ts";

Deno.test("ndjson() is one line that JSON.parse() gives back", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (keys) => {
      const record = { ...keys, type: "test" };
      const line = ndjson(record);
      assertEquals(line.indexOf("\n"), line.length - 1);
      assertEquals(JSON.parse(line), JSON.parse(JSON.stringify(record)));
    }),
  );
});

Deno.test("ndjson() leaves out what is undefined", () => {
  assertEquals(ndjson({ type: "job", error: undefined }), '{"type":"job"}\n');
});

Deno.test("bytesEntry() gives text for valid UTF-8 and Base64 for the rest, and loses nothing", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const entry = bytesEntry("data", bytes);
      assertEquals(Object.keys(entry).length, 1);
      const back = entry.data !== undefined
        ? new TextEncoder().encode(entry.data)
        : Uint8Array.from(atob(entry.dataBase64!), (character) => character.charCodeAt(0));
      assertEquals(back, bytes);
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("bytesEntry() takes large binaries and a byte order mark", () => {
  const bytes = new Uint8Array(300_000).fill(0xff);
  assertEquals(atob(bytesEntry("data", bytes).dataBase64!).length, bytes.length);
  assertEquals(bytesEntry("data", new Uint8Array([0xef, 0xbb, 0xbf, 0x61])), { data: "\ufeffa" });
});
