import { assert, assertEquals, assertRejects } from "@std/assert";
import { probeCommand } from "../../lib/jobs/command_probe.ts";
import { adoptsOrphans } from "../../lib/process/descendants.ts";
import { eventually, exists, inDirectory, lives } from "../cli/conc.ts";

// Opens the C library here, as it stays open until the process ends.
adoptsOrphans();

const { signal } = new AbortController();

Deno.test("probeCommand() holds if the script exits 0, and shows the last line of its complaint", async () => {
  const cases: [string, boolean, string][] = [
    ["true", true, "succeeds"],
    ["echo warning >&2", true, "succeeds"],
    ["exit 3", false, "exit code 3"],
    ["echo one >&2; printf 'two\\033[0m' >&2; false", false, "exit code 1: two [0m"],
    ["kill -9 $$", false, "SIGKILL"],
    ["head -c 300000 /dev/zero; exit 4", false, "exit code 4"],
  ];
  for (const [script, holds, seen] of cases) {
    assertEquals(await probeCommand(script, signal), { holds, seen }, script);
  }
});

Deno.test("probeCommand() leaves nothing, when it ends and when it is aborted", async () => {
  await inDirectory(async (directory) => {
    const file = `${directory}/pid`;
    const background = `setsid sleep 300 & echo $! > ${file}.new; mv ${file}.new ${file}`;
    await probeCommand(background, signal);
    assert(!lives(Number(await Deno.readTextFile(file))));
    await Deno.remove(file);
    const controller = new AbortController();
    const look = probeCommand(`trap '' TERM; ${background}; while :; do sleep 300; done`, controller.signal);
    await eventually("the script runs", () => exists(file));
    controller.abort(new Error("enough"));
    await assertRejects(() => look, Error, "enough");
    assert(!lives(Number(await Deno.readTextFile(file))));
  });
});
