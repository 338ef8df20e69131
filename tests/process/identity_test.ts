import { assertEquals } from "@std/assert";
import { identityOf, livesAs, thisProcess } from "../../lib/process/identity.ts";
import { Sleeper } from "../host/stores.ts";

Deno.test("identityOf() names a process as long as it lives", async () => {
  await using sleeper = new Sleeper();
  const { identity } = sleeper;
  assertEquals(identityOf(sleeper.pid), identity);
  await sleeper.kill();
  assertEquals([identityOf(sleeper.pid), livesAs(identity)], [undefined, false]);
  assertEquals(thisProcess(), identityOf(Deno.pid)!);
});

Deno.test({
  name: "livesAs() does not take another process for one that had its number",
  ignore: Deno.build.os !== "linux",
  fn() {
    const self = thisProcess();
    assertEquals([livesAs(self), livesAs({ ...self, started: self.started - 1 })], [true, false]);
  },
});
