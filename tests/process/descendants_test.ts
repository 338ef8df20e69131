import { assert, assertEquals } from "@std/assert";
import { adoptsOrphans, allDescendants, APART, reapAdopted } from "../../lib/process/descendants.ts";
import { readProcess } from "../../lib/process/proc.ts";
import { spawn } from "../../lib/process/spawn.ts";
import { eventually, lives } from "../cli/conc.ts";
import { Sleeper } from "../host/stores.ts";

adoptsOrphans();

const ignore = Deno.build.os !== "linux";

/** Starts a shell that prints the process id of an orphan in a session of its own, and ends. */
async function orphan(script: string): Promise<number> {
  const child = spawn(["sh", "-c", `setsid sh -c '${script}' >/dev/null & echo $!`], { stdout: "piped" });
  const [text] = await Promise.all([new Response(child.stdout).text(), child.status]);
  return Number(text);
}

Deno.test({
  name: "adoptsOrphans() makes this process the parent of what its children leave behind",
  ignore,
  async fn() {
    const pid = await orphan("exec sleep 300");
    await eventually("it is ours", () => readProcess(pid)?.ppid === Deno.pid);
    assert(allDescendants().some((target) => target.pid === pid && target.killId === pid));
    Deno.kill(pid, "SIGKILL");
    await eventually("it is a zombie", () => readProcess(pid)?.state === "Z");
    assert(!allDescendants().some((target) => target.pid === pid));
    reapAdopted();
    assertEquals(readProcess(pid), undefined);
  },
});

Deno.test({
  name: "allDescendants() leaves out who is apart: who says so, and leads a session",
  ignore,
  async fn() {
    const [apart, inherited] = [await orphan(`${APART}=1 exec sleep 300`), await orphan("exec sleep 300")];
    await using marked = new Sleeper({ [APART]: "1" });
    await eventually(
      "they are ours",
      () => [apart, inherited].every((pid) => readProcess(pid)?.ppid === Deno.pid) || undefined,
    );
    const found = allDescendants().map(({ pid }) => pid);
    assertEquals([apart, inherited, marked.pid].map((pid) => found.includes(pid)), [false, true, true]);
    for (const pid of [apart, inherited]) Deno.kill(pid, "SIGKILL");
    await eventually("they are gone", () => {
      reapAdopted();
      return [apart, inherited].every((pid) => readProcess(pid) === undefined);
    });
  },
});

Deno.test({
  name: "what short children leave behind is reaped as others come and go",
  ignore,
  async fn() {
    const pid = await orphan("exec sleep 300");
    await eventually("it is ours", () => readProcess(pid)?.ppid === Deno.pid);
    Deno.kill(pid, "SIGKILL");
    // None of these lives as long as the time between two looks.
    const deadline = performance.now() + 10_000;
    while (readProcess(pid) !== undefined && performance.now() < deadline) await spawn(["true"]).status;
    assertEquals(readProcess(pid), undefined);
  },
});

Deno.test({
  name: "reapAdopted() leaves the children alone that Deno waits for",
  ignore,
  async fn() {
    const child = spawn(["sh", "-c", "exit 5"]);
    // Deno gets no turn to wait for it in between.
    const deadline = performance.now() + 10_000;
    while (lives(child.pid) && performance.now() < deadline);
    reapAdopted();
    assertEquals((await child.status).exitCode, 5);
  },
});

Deno.test({
  name: "allDescendants() finds children of children, and says which are stopped",
  ignore,
  async fn() {
    const child = spawn(["sh", "-c", "sleep 300 & echo $!; wait"], { stdout: "piped" });
    const reader = child.stdout.getReader();
    const pid = Number(new TextDecoder().decode((await reader.read()).value));
    const find = (pid: number) => allDescendants().find((target) => target.pid === pid);
    assert(find(child.pid) !== undefined && find(pid) !== undefined);
    assertEquals(find(pid)!.key, find(pid)!.key);
    Deno.kill(pid, "SIGSTOP");
    await eventually("it is stopped", () => find(pid)?.stopped);
    await child.end("test");
    assertEquals([find(child.pid), find(pid)], [undefined, undefined]);
    await reader.cancel();
  },
});
