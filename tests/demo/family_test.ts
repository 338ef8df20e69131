import { assert, assertEquals, assertRejects } from "@std/assert";
import { playOrphans, playZombies } from "../../lib/demo/afterlife.ts";
import { Family } from "../../lib/demo/family.ts";
import { adoptsOrphans, allDescendants } from "../../lib/process/descendants.ts";
import { readCommand, readProcess } from "../../lib/process/proc.ts";
import { eventually } from "../cli/conc.ts";
import { withFamily } from "./families.ts";

// Opens the C library here, as it stays open until the process ends.
adoptsOrphans();

const ignore = Deno.build.os !== "linux";

Deno.test({
  name: "Family: children that end are zombies of their parent, until it ends",
  ignore,
  async fn() {
    await withFamily(3, async (family) => {
      assertEquals(family.children.length, 3);
      assert((await family.rows()).every(({ ppid, state }) => ppid === family.pid && state !== "Z"));
      await family.endChildren();
      assertEquals((await family.rows()).map(({ pid, ppid, state }) => [pid, ppid, state]), [
        ...family.children.map((pid) => [pid, family.pid, "Z"]),
      ]);
      // A zombie cannot be killed: it is dead.
      for (const pid of family.children) Deno.kill(pid, "SIGKILL");
      assert((await family.rows()).every(({ state }) => state === "Z"));
      await family.endParent();
      assertEquals(await family.gone(), []);
      assertEquals(family.children.map(readProcess), [undefined, undefined, undefined]);
    });
  },
});

Deno.test({
  name: "Family: children whose parent ends go on with this process as their parent, and are ended by gone()",
  ignore,
  async fn() {
    await withFamily(2, async (family) => {
      await family.endParent();
      const rows = await family.rows();
      assertEquals(rows.map(({ pid, ppid }) => [pid, ppid]), family.children.map((pid) => [pid, Deno.pid]));
      assert(rows.every(({ state }) => state !== "Z"));
      assertEquals(await family.gone(), []);
    });
  },
});

Deno.test({
  name: "Family: disposed of, or interrupted while it is started, it leaves nothing",
  ignore,
  async fn() {
    const controller = new AbortController();
    {
      await using _family = await Family.start(2, { signal: controller.signal });
    }
    await eventually("all are gone", () => allDescendants().length === 0);
    const starting = Family.start(500, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await assertRejects(() => starting, Error, "enough");
    await eventually("all are gone", () => allDescendants().length === 0);
    await assertRejects(() => Family.start(1, { signal: controller.signal }), Error, "enough");
  },
});

Deno.test({
  name: "Family: whose parent is ended by somebody else says so",
  ignore,
  async fn() {
    await withFamily(1, async (family) => {
      Deno.kill(family.pid, "SIGKILL");
      await family.parentEnded;
      await assertRejects(
        () => family.endChildren(),
        Error,
        "cannot make zombies: SIGKILL ended their parent: try again",
      );
    });
  },
});

Deno.test({
  name: "Family: is stopped and ends all the same",
  ignore,
  async fn() {
    await withFamily(1, async (family) => {
      for (const pid of [family.pid, ...family.children]) Deno.kill(pid, "SIGSTOP");
      await eventually("it is stopped", () => readProcess(family.pid)?.state === "T");
      await family.endParent();
      assertEquals(await family.gone(), []);
    });
  },
});

Deno.test({
  name: "playZombies() stops holding when somebody ends the parent, and playOrphans() names who adopts",
  ignore,
  async fn() {
    const steps: string[] = [];
    const told = (text: string) => Promise.resolve(void steps.push(text));
    await withFamily(2, async (family) => {
      const worked = await playZombies(family, {
        tell: ({ step }) => told(step),
        hold: (gone) =>
          new Promise((_, reject) => {
            gone.addEventListener("abort", () => reject(gone.reason));
            assertEquals(readCommand(family.pid), "cat");
            Deno.kill(family.pid, "SIGTERM");
          }),
      });
      assert(worked);
      assertEquals(steps, ["parent", "zombies", "parent ended", "gone"]);
    });
    await withFamily(1, async (family) => {
      const worked = await playOrphans(family, {
        tell: async (step) => {
          if (step.step !== "adopted") return;
          assertEquals(step.adopter, { pid: Deno.pid, name: "conc", role: "self" });
          assertEquals([step.ppidBefore, step.rows[0]!.ppid], [family.pid, Deno.pid]);
          await told("adopted");
        },
        hold: () => told("held"),
      });
      assert(worked);
      assertEquals(steps.slice(4), ["adopted", "held"]);
    });
  },
});
