import { assertEquals, assertThrows } from "@std/assert";
import { SystemError } from "../../lib/errors.ts";
import { LogFile } from "../../lib/report/log_file.ts";
import { inDirectory } from "../cli/conc.ts";

const failed = (text: string) => {
  throw new Error(text);
};

Deno.test("LogFile.write() appends to what is there", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/log`;
    for (const text of ["one\n", "two\n"]) {
      using log = new LogFile(path, { failed });
      assertEquals(await log.write(new TextEncoder().encode(text)), 4);
    }
    assertEquals(await Deno.readTextFile(path), "one\ntwo\n");
  });
});

Deno.test({
  name: "LogFile.write() to a full disk never fails, and says so once",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const said: string[] = [];
    using log = new LogFile("/dev/full", { failed: (text) => said.push(text) });
    for (let n = 1; n <= 3; n++) assertEquals(await log.write(new Uint8Array(n)), n);
    assertEquals(said.length, 1);
  },
});

Deno.test({
  name: "LogFile.write() settles when it was said that something is lost, so that nobody ends before",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const told = Promise.withResolvers<void>();
    using log = new LogFile("/dev/full", { failed: () => told.promise });
    let isWritten = false;
    const written = log.write(new Uint8Array(1)).then(() => isWritten = true);
    for (let n = 0; n < 5; n++) await new Promise((resolve) => setTimeout(resolve));
    assertEquals(isWritten, false);
    told.resolve();
    await written;
  },
});

Deno.test("LogFile says at once what cannot be opened", () => {
  assertThrows(
    () => new LogFile("/no/such/log", { failed }),
    SystemError,
    "cannot open the log '/no/such/log'",
  );
});
