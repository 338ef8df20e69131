import { assert, assertEquals } from "@std/assert";
import { spawn } from "../../lib/process/spawn.ts";
import { adoptsOrphans } from "../../lib/process/descendants.ts";

// Opens the C library here, as it stays open until the process ends.
adoptsOrphans();

const ignore = Deno.build.os !== "linux";
const BUSY = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";

Deno.test({
  name: "Child.usage has the times of a child alone, however often, and whoever waited for it first",
  ignore,
  async fn() {
    for (let round = 0; round < 20; round++) {
      const busy = round % 2 === 0;
      const child = spawn(["sh", "-c", busy ? BUSY : ":"], { measured: true });
      await child.status;
      const usage = await child.usage;
      assert(usage !== undefined);
      const ms = usage.userMs + usage.systemMs;
      assert(busy ? ms > 5 : ms >= 0, `${ms}`);
    }
  },
});

Deno.test({
  name: "Child.usage of several at once is each one's own, or nothing",
  ignore,
  async fn() {
    const children = Array.from({ length: 12 }, (_, at) => ({
      isBusy: at % 2 === 0,
      child: spawn(["sh", "-c", at % 2 === 0 ? BUSY : "read x"], { measured: true, stdin: "null" }),
    }));
    let known = 0;
    for (const { isBusy, child } of children) {
      await child.status;
      const usage = await child.usage;
      if (usage === undefined) continue;
      known += 1;
      const ms = usage.userMs + usage.systemMs;
      assert(ms >= 0 && (!isBusy || ms > 5), `${ms}`);
    }
    assert(known > 0);
  },
});

Deno.test({
  name:
    "Child.usage is there again for a child alone, after ends that could not be told apart, while many others run",
  ignore,
  async fn() {
    // So many that no thread is left to watch the others.
    const others = Array.from({ length: 32 }, () => spawn(["cat"], { measured: true, stdin: "piped" }));
    const many = Array.from({ length: 32 }, () => spawn(["true"], { measured: true }));
    await Promise.all(many.map((child) => child.usage));
    const child = spawn(["sh", "-c", BUSY], { measured: true });
    const usage = await child.usage;
    await Promise.all(others.map((other) => other.stdin.close()));
    await Promise.all(others.map((other) => other.usage));
    assert(usage !== undefined && usage.userMs + usage.systemMs > 5, JSON.stringify(usage));
  },
});

Deno.test({
  name:
    "Child.usage tells memory only where it is more than this process has, and nothing if it was not asked",
  ignore,
  async fn() {
    const measured = spawn(["true"], { measured: true });
    await measured.status;
    assertEquals((await measured.usage)?.maxRssBytes, undefined);
    const plain = spawn(["true"]);
    await plain.status;
    assertEquals(await plain.usage, undefined);
  },
});
