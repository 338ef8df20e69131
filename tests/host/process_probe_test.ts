import { assertEquals } from "@std/assert";
import { processProbe } from "../../lib/host/process_probe.ts";
import { readProcess } from "../../lib/process/proc.ts";
import { eventually } from "../cli/conc.ts";

const { signal } = new AbortController();

Deno.test("processProbe() holds once the process has exited, though nobody has waited for it", async () => {
  // The shell starts a child, tells its id, and never waits for it: it becomes a zombie.
  const parent = new Deno.Command("sh", {
    args: ["-c", "sleep 300 & echo $!; exec sleep 300"],
    stdout: "piped",
  }).spawn();
  const reader = parent.stdout.getReader();
  const pid = Number(new TextDecoder().decode((await reader.read()).value));
  const probe = processProbe(pid);
  assertEquals(await probe(signal), { holds: false, seen: "runs" });
  Deno.kill(pid, "SIGKILL");
  await eventually("a zombie", () => readProcess(pid)?.state === "Z");
  assertEquals(await probe(signal), { holds: true, seen: "has exited" });
  parent.kill("SIGKILL");
  await parent.status;
  await reader.cancel();
});

Deno.test("processProbe() holds where there is no process of that id", async () => {
  const gone = new Deno.Command("true").spawn();
  await gone.status;
  assertEquals(await processProbe(gone.pid)(signal), { holds: true, seen: "there is no such process" });
});
