import { assert, assertEquals } from "@std/assert";
import {
  describeStatus,
  exitStatus,
  signalName,
  signalNumber,
  succeeded,
} from "../../lib/process/exit_status.ts";

Deno.test("signalName() and signalNumber() are inverse, for each signal that there is", () => {
  for (let number = 1; number <= 31; number++) {
    const name = signalName(number);
    assert(name !== undefined, String(number));
    assertEquals(signalNumber(name), number);
  }
  assertEquals([signalName(0), signalName(32), signalNumber("SIGNONE"), signalNumber("")], [
    undefined,
    undefined,
    0,
    0,
  ]);
});

Deno.test({
  name: "signalNumber() is what this system's shell says",
  ignore: Deno.build.os !== "linux",
  async fn() {
    for (
      const name of ["HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "PIPE", "TERM", "STKFLT", "SYS", "CHLD"]
    ) {
      const script = `kill -l ${name}`;
      const { stdout } = await new Deno.Command("bash", { args: ["-c", script] }).output();
      assertEquals(signalNumber(`SIG${name}`), Number(new TextDecoder().decode(stdout)), name);
    }
  },
});

Deno.test({
  name: "exitStatus() says 128+N of a child that a signal ended",
  ignore: Deno.build.os === "windows",
  async fn() {
    for (const name of ["SIGTERM", "SIGKILL", "SIGUSR1"]) {
      const status = await new Deno.Command("sh", { args: ["-c", `kill -${signalNumber(name)} $$`] })
        .output();
      assertEquals(exitStatus(status), { exitCode: 128 + signalNumber(name), signal: name });
      assertEquals(describeStatus(exitStatus(status)), name);
      assert(!succeeded(exitStatus(status)));
    }
    const status = await new Deno.Command("sh", { args: ["-c", "exit 137"] }).output();
    assertEquals(exitStatus(status), { exitCode: 137, signal: undefined });
    assertEquals(describeStatus(exitStatus(status)), "exit code 137");
  },
});

Deno.test("succeeded() is exit code 0", () => {
  assert(succeeded({ exitCode: 0, signal: undefined }));
  assert(!succeeded({ exitCode: 1, signal: undefined }));
});
