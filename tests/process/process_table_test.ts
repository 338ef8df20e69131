import { assert, assertEquals } from "@std/assert";
import { adoptsOrphans } from "../../lib/process/descendants.ts";
import { readProcess } from "../../lib/process/proc.ts";
import {
  hidesProcesses,
  type ProcessRow,
  readProcessTable,
  type TableSource,
} from "../../lib/process/process_table.ts";
import { readPidUsage } from "../../lib/process/pid_usage.ts";
import { eventually } from "../cli/conc.ts";
import { withFamily } from "../demo/families.ts";

adoptsOrphans();

const ignore = Deno.build.os !== "linux";

async function rowsOf(source: TableSource, pids: readonly number[]): Promise<Omit<ProcessRow, "ageMs">[]> {
  const rows = (await readProcessTable(source)).filter(({ pid }) => pids.includes(pid));
  return rows.map(({ ageMs: _, ...rest }) => rest);
}

Deno.test({
  name: "readProcessTable() says the same of a process from /proc and from ps: zombie, stopped, threaded",
  ignore,
  async fn() {
    await withFamily(3, async (family) => {
      await family.endChildren();
      Deno.kill(family.pid, "SIGSTOP");
      await eventually("it is stopped", () => readProcess(family.pid)?.state === "T");
      const pids = [family.pid, ...family.children];
      const [proc, ps] = [await rowsOf("proc", pids), await rowsOf("ps", pids)];
      assertEquals(ps, proc);
      assertEquals(proc.map(({ state }) => state), ["T", "Z", "Z", "Z"]);
      const self = async (source: TableSource) => (await rowsOf(source, [Deno.pid]))[0]!;
      assertEquals([(await self("proc")).isThreaded, (await self("ps")).isThreaded], [true, true]);
      assertEquals((await self("ps")).name, (await self("proc")).name);
    });
  },
});

Deno.test({
  name: "readProcessTable() gives the same ages from /proc and from ps, up to the second that ps rounds to",
  ignore,
  async fn() {
    const ages = async (source: TableSource) =>
      new Map((await readProcessTable(source)).map(({ pid, ageMs }) => [pid, ageMs!]));
    const before = await ages("proc");
    const ps = await ages("ps");
    const after = await ages("proc");
    const both = [...ps].filter(([pid]) => before.has(pid) && after.has(pid));
    assert(both.length > 0);
    for (const [pid, ageMs] of both) {
      // Process ids that were used again in between would show as younger.
      if (after.get(pid)! < before.get(pid)!) continue;
      assert(ageMs > before.get(pid)! - 2_000 && ageMs < after.get(pid)! + 2_000, `${pid}: ${ageMs}`);
    }
  },
});

Deno.test({
  name: "readProcessTable() is in the order of process ids, and does not show the ps that it asked",
  ignore,
  async fn() {
    const rows = await readProcessTable("ps");
    assertEquals(rows.map(({ pid }) => pid), rows.map(({ pid }) => pid).toSorted((a, b) => a - b));
    assertEquals(rows.filter(({ ppid, name }) => ppid === Deno.pid && name === "ps"), []);
  },
});

Deno.test({
  name:
    "readPidUsage() counts process ids, of which there are more than are taken; nothing is hidden from root",
  ignore,
  fn() {
    const { used, limit } = readPidUsage()!;
    assert(used > 0 && used <= limit);
    if (Deno.uid() === 0) assert(!hidesProcesses());
  },
});
