import { assert, assertEquals, assertThrows } from "@std/assert";
import { storePath, waitLimit } from "../../commands/store_flags.ts";
import { UsageError } from "../../lib/errors.ts";
import { fakeContext } from "./helpers.ts";

Deno.test("storePath() is that of --store, of CONC_STORE, or the usual one", () => {
  const path = (env: Record<string, string>, store?: string) =>
    storePath(fakeContext(env).context, store === undefined ? {} : { store });
  assertEquals(path({ HOME: "/h", CONC_STORE: "/c" }, "./s"), "./s");
  assertEquals(path({ HOME: "/h", CONC_STORE: "/c" }), "/c");
  assertEquals(path({ HOME: "/h", CONC_STORE: "" }), "/h/.local/state/conc/conc.db");
  assertThrows(() => path({}), UsageError, "HOME is not set");
  assertThrows(() => path({ HOME: "/h" }, ""), UsageError, "cannot use '' as a store");
});

Deno.test("storePath() refuses what is no file, and never says a password", () => {
  const schemes = ["amqp://user:secret@host/v", "amqps://user:secret@host", "redis://user:secret@host"];
  const slips = ["amqp:user:secret@host", "amqp:/secret@host", "amqp;//secret@host", "AMQPS//secret@host"];
  for (const store of [...schemes, ...slips, " amqp://user:secret@host", "rabbitmq:user:secret@host"]) {
    const error = assertThrows(() => storePath(fakeContext().context, { store }), UsageError);
    assert(!error.message.includes("secret"));
  }
  for (const store of ["amqp.db", "./amqp:x", "C:\\conc.db", "/var/lib/conc:x.db"]) {
    assertEquals(storePath(fakeContext().context, { store }), store);
  }
});

Deno.test("waitLimit() is for ever, a time, or nothing, and not two of them", () => {
  const limit = (timeout: number | undefined, noWait: boolean) =>
    waitLimit({ ...(timeout !== undefined && { timeout }), noWait, conflictExitCode: 75 });
  assertEquals([limit(undefined, false), limit(500, false), limit(undefined, true)], [Infinity, 500, 0]);
  assertThrows(() => limit(500, true), UsageError, "leave out one");
});
