import { assert, assertEquals } from "@std/assert";
import { adoptsOrphans } from "../../lib/process/descendants.ts";
import { readProcess } from "../../lib/process/proc.ts";
import type { TableSource } from "../../lib/process/process_table.ts";
import { type ZombieScan, ZombieScanner } from "../../lib/process/zombies.ts";
import { eventually } from "../cli/conc.ts";
import { withFamily } from "../demo/families.ts";
import { FakeClock } from "../time/fake_clock.ts";

adoptsOrphans();

const ignore = Deno.build.os !== "linux";

/** What a scan says of some parent: others on this machine may have zombies too. */
function of(pid: number, { zombies, parents }: ZombieScan) {
  return {
    zombies: zombies.filter(({ ppid }) => ppid === pid),
    parent: parents.find((parent) => parent.pid === pid),
  };
}

for (const source of ["proc", "ps"] as TableSource[]) {
  Deno.test({
    name: `ZombieScanner finds zombies, their parent and why it does not wait, by way of ${source}`,
    ignore,
    async fn() {
      await withFamily(3, async (family) => {
        const scanner = new ZombieScanner({ source, confirmMs: 1 });
        assertEquals(of(family.pid, await scanner.scan()), { zombies: [], parent: undefined });
        await family.endChildren();
        const { zombies, parent } = of(family.pid, await scanner.scan());
        assertEquals(zombies.map(({ pid }) => pid), family.children);
        assertEquals([parent?.zombies, parent?.name, parent?.cause], [3, "cat", "default"]);
        await family.endParent();
        await family.gone();
        assertEquals(of(family.pid, await scanner.scan()).zombies, []);
      });
    },
  });
}

Deno.test({
  name: "ZombieScanner leaves out who is waited for between two looks, and looks once at who is known",
  ignore,
  async fn() {
    const clock = new FakeClock();
    const scanner = new ZombieScanner({ clock, confirmMs: 100 });
    await withFamily(1, async (brief) => {
      await brief.endChildren();
      await withFamily(1, async (lasting) => {
        await lasting.endChildren();
        const scanning = scanner.scan();
        await eventually("it has looked once", () => clock.pending === 1);
        await brief.endParent();
        await brief.gone();
        await clock.advance(100);
        const first = await scanning;
        assertEquals(of(brief.pid, first).zombies, []);
        assertEquals(of(lasting.pid, first).zombies.map(({ seenMs }) => seenMs), [100]);
        clock.stall(1_000);
        const again = scanner.scan();
        // Another's new zombie on this machine would be looked at twice.
        let isDone = false;
        void again.then(() => void (isDone = true));
        await eventually("it is done, or looks again", () => isDone || clock.pending === 1);
        await clock.advance(100);
        const [{ seenMs } = { seenMs: 0 }] = of(lasting.pid, await again).zombies;
        assert(seenMs === 1_100 || seenMs === 1_200, `${seenMs}`);
      });
    });
  },
});

Deno.test({
  name: "ZombieScanner: a scan that is aborted rejects with the reason",
  ignore,
  async fn() {
    await withFamily(1, async (family) => {
      await family.endChildren();
      const clock = new FakeClock();
      const controller = new AbortController();
      const scanning = new ZombieScanner({ clock }).scan({ signal: controller.signal });
      await eventually("it has looked once", () => clock.pending === 1);
      controller.abort("enough");
      assertEquals(await scanning.catch((reason) => reason), "enough");
      assertEquals(clock.pending, 0);
    });
  },
});

Deno.test({
  name: "ZombieScanner explains a parent that is stopped",
  ignore,
  async fn() {
    await withFamily(1, async (family) => {
      await family.endChildren();
      Deno.kill(family.pid, "SIGSTOP");
      await eventually("it is stopped", () => readProcess(family.pid)?.state === "T");
      const { parent } = of(family.pid, await new ZombieScanner({ confirmMs: 1 }).scan());
      assertEquals([parent?.cause, parent?.advice[0]?.command], ["stopped", `kill -CONT ${family.pid}`]);
    });
  },
});

for (const source of ["proc", "ps"] as TableSource[]) {
  Deno.test({
    name: `ZombieScanner tells a process whose first thread has ended from a zombie, by way of ${source}`,
    ignore: ignore || !["x86_64", "aarch64"].includes(Deno.build.arch),
    async fn() {
      // exit(2) by its number: the C library's exit ends all threads.
      const number = Deno.build.arch === "x86_64" ? "60n" : "93n";
      const script = `
        new Worker("data:application/javascript,setInterval(() => {}, 1e6)", { type: "module" });
        const symbols = { syscall: { parameters: ["i64", "i64"], result: "i64" } };
        Deno.dlopen("libc.so.6", symbols).symbols.syscall(${number}, 0n);
      `;
      const child = new Deno.Command(Deno.execPath(), { args: ["eval", "--no-config", script] }).spawn();
      try {
        await eventually("its first thread has ended", () => readProcess(child.pid)?.state === "Z");
        const { zombies, halfEnded } = await new ZombieScanner({ source, confirmMs: 1 }).scan();
        assertEquals(zombies.filter(({ pid }) => pid === child.pid), []);
        assertEquals(halfEnded.filter(({ pid }) => pid === child.pid).length, 1);
      } finally {
        child.kill("SIGKILL");
        await child.status;
      }
    },
  });
}
