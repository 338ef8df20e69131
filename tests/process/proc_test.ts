import { assert, assertEquals } from "@std/assert";
import {
  foregroundGroup,
  listChildren,
  listProcesses,
  mayHaveChildren,
  readCommand,
  readEnvironment,
  readProcess,
} from "../../lib/process/proc.ts";
import { eventually, inDirectory } from "../cli/conc.ts";

const ignore = Deno.build.os !== "linux";

Deno.test({
  name: "readProcess() knows this process and its children",
  ignore,
  async fn() {
    const self = readProcess(Deno.pid)!;
    assertEquals([self.pid, self.ppid], [Deno.pid, Deno.ppid]);
    assert(self.startTicks > 0 && self.pgid > 0);
    const child = new Deno.Command("sleep", { args: ["300"] }).spawn();
    try {
      const entry = readProcess(child.pid)!;
      assertEquals([entry.ppid, entry.pgid], [Deno.pid, self.pgid]);
      assert(entry.startTicks >= self.startTicks);
      assert(listProcesses().some(({ pid }) => pid === child.pid));
      child.kill("SIGSTOP");
      await eventually("it is stopped", () => readProcess(child.pid)!.state === "T");
    } finally {
      child.kill("SIGKILL");
    }
    await child.status;
    assertEquals(readProcess(child.pid), undefined);
    assertEquals(readEnvironment(child.pid), []);
  },
});

Deno.test({
  name:
    "listChildren() has a child as long as it was not waited for, and readCommand() knows how it was called",
  ignore: ignore || listChildren() === undefined,
  async fn() {
    // Others may be there: what tests before this one have left, adopted by this process.
    const child = new Deno.Command("sleep", { args: ["300"] }).spawn();
    assert(listChildren()!.includes(child.pid) && mayHaveChildren());
    await eventually("it is executed", () => readCommand(child.pid)?.endsWith("sleep 300"));
    child.kill("SIGKILL");
    await child.status;
    assert(!listChildren()!.includes(child.pid));
    assertEquals(readCommand(child.pid), undefined);
  },
});

Deno.test({
  name: "readProcess() reads a process whose name looks like the end of a name",
  ignore,
  async fn() {
    await inDirectory(async (directory) => {
      const program = `${directory}/a) Z 1 (`;
      await Deno.copyFile("/bin/sleep", program);
      await Deno.chmod(program, 0o755);
      const child = new Deno.Command(program, { args: ["300"] }).spawn();
      try {
        await eventually(
          "it runs",
          () => Deno.readTextFileSync(`/proc/${child.pid}/stat`).includes("a) Z 1 ("),
        );
        const { ppid, pgid, state } = readProcess(child.pid)!;
        assertEquals([ppid, pgid], [Deno.pid, readProcess(Deno.pid)!.pgid]);
        assert(state === "S" || state === "R", state);
      } finally {
        child.kill("SIGKILL");
        await child.status;
      }
    });
  },
});

Deno.test({
  name: "readEnvironment() is what a process was started with",
  ignore,
  async fn() {
    const child = new Deno.Command("sleep", { args: ["300"], env: { CONC_TEST: "a=b c\n" } }).spawn();
    try {
      await eventually("it runs", () => readEnvironment(child.pid).includes("CONC_TEST=a=b c\n"));
    } finally {
      child.kill("SIGKILL");
      await child.status;
    }
  },
});

Deno.test({
  name: "foregroundGroup() is none without a terminal",
  ignore,
  async fn() {
    const script = `
      import { foregroundGroup } from ${JSON.stringify(import.meta.resolve("../../lib/process/proc.ts"))};
      console.log(String(foregroundGroup()));
    `;
    const command = new Deno.Command("setsid", {
      args: ["-w", Deno.execPath(), "eval", "--no-config", script],
      stderr: "inherit",
    });
    assertEquals(new TextDecoder().decode((await command.output()).stdout).trim(), "undefined");
    const group = foregroundGroup();
    assert(group === undefined || group === readProcess(Deno.pid)!.pgid);
  },
});
