import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import fc from "fast-check";
import { FileChanges } from "../../../lib/net/probe/file_changes.ts";
import { LogProbe, probeFile } from "../../../lib/net/probe/file.ts";
import { inDirectory } from "../../cli/conc.ts";

const { signal } = new AbortController();
const HAS = { holds: true, seen: "has the line 'ready'" };
const HAS_NOT = { holds: false, seen: "no line matches" };
const NO_FILE = { holds: false, seen: "no such file" };

Deno.test("probeFile() holds for files and directories, not for a link that leads nowhere", async () => {
  await inDirectory(async (directory) => {
    const [file, link] = [`${directory}/file`, `${directory}/link`];
    await Deno.symlink(file, link);
    for (const path of [file, link]) assertEquals(await probeFile(path), NO_FILE);
    await Deno.writeTextFile(file, "");
    for (const path of [file, link, directory]) {
      assertEquals(await probeFile(path), { holds: true, seen: "is there" });
    }
    assertEquals((await probeFile(`${file}/below`)).holds, false);
  });
});

Deno.test("LogProbe.look() finds a line that is there, comes, or is not complete yet", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/log`;
    using log = new LogProbe(path, /^ready$/);
    assertEquals(await log.look(signal), NO_FILE);
    await Deno.writeTextFile(path, "starting\nnot ready\n");
    assertEquals(await log.look(signal), HAS_NOT);
    await Deno.writeTextFile(path, "rea", { append: true });
    assertEquals(await log.look(signal), HAS_NOT);
    await Deno.writeTextFile(path, "dy", { append: true });
    assertEquals(await log.look(signal), HAS);
    await Deno.writeTextFile(path, "\nmore\n", { append: true });
    assertEquals(await log.look(signal), HAS);
    using late = new LogProbe(path, /^ready$/);
    assertEquals(await late.look(signal), HAS);
  });
});

Deno.test("LogProbe.look() begins anew where a file is truncated, and holds no longer", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/log`;
    await Deno.writeTextFile(path, "one\nready\n");
    using log = new LogProbe(path, /^ready$/);
    assertEquals(await log.look(signal), HAS);
    await Deno.writeTextFile(path, "two\n");
    assertEquals(await log.look(signal), HAS_NOT);
    await Deno.writeTextFile(path, "");
    assertEquals(await log.look(signal), HAS_NOT);
    await Deno.writeTextFile(path, "ready\r\n");
    assertEquals(await log.look(signal), HAS);
  });
});

Deno.test("LogProbe.look() follows a name over rotation, and reads what the old file gained before", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/log`;
    await Deno.writeTextFile(path, "old\n");
    using log = new LogProbe(path, /^ready$/);
    assertEquals(await log.look(signal), HAS_NOT);
    await Deno.writeTextFile(path, "ready\n", { append: true });
    await Deno.rename(path, `${path}.1`);
    await Deno.writeTextFile(path, "new\n");
    assertEquals(await log.look(signal), HAS);
    assertEquals(await log.look(signal), HAS_NOT);
    await Deno.remove(path);
    assertEquals(await log.look(signal), NO_FILE);
    await Deno.writeTextFile(path, "ready\n");
    assertEquals(await log.look(signal), HAS);
  });
});

Deno.test("LogProbe.look() says why a file cannot be read, and does not wait at a pipe", async () => {
  await inDirectory(async (directory) => {
    using folder = new LogProbe(directory, /x/);
    assertEquals(await folder.look(signal), { holds: false, seen: "no regular file" });
    await new Deno.Command("mkfifo", { args: [`${directory}/pipe`] }).output();
    using pipe = new LogProbe(`${directory}/pipe`, /x/);
    assertEquals(await pipe.look(signal), { holds: false, seen: "no regular file" });
  });
});

Deno.test("LogProbe.look() shows the beginning of a long line, without control characters", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/log`;
    await Deno.writeTextFile(path, `\x1b[1mready${"é".repeat(200_000)}\n`);
    using log = new LogProbe(path, /ready/);
    assertMatch((await log.look(signal)).seen, /^has the line ' \[1mreadyé{70}…'$/);
  });
});

Deno.test("LogProbe.look() finds the same however the bytes come", async () => {
  const lines = fc.array(fc.constantFrom("ready", "ready!", "é", "", "x".repeat(70_000)), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(lines, fc.array(fc.nat(6), { maxLength: 8 }), async (lines, cuts) => {
      await inDirectory(async (directory) => {
        const path = `${directory}/log`;
        const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
        using log = new LogProbe(path, /^(ready|é)$/);
        let at = 0;
        let holds = false;
        for (const cut of [...cuts, Infinity]) {
          await Deno.writeFile(path, bytes.subarray(at, at + cut), { append: true });
          at += cut;
          holds = (await log.look(signal)).holds;
        }
        // What is not complete yet may match, and what it becomes not.
        if (lines.some((line) => /^(ready|é)$/.test(line))) assertEquals(holds, true);
        else if (!lines.includes("ready!")) assertEquals(holds, false);
      });
    }),
    { numRuns: 30 },
  );
});

Deno.test("FileChanges.rest() ends early when the file is made, written, or moved there", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/file`;
    using changes = new FileChanges(path);
    const acts = [
      () => Deno.writeTextFile(path, "made"),
      () => Deno.writeTextFile(path, "more", { append: true }),
      () => Deno.rename(path, `${path}.1`),
      () => Deno.rename(`${path}.1`, path),
      () => Deno.remove(path),
    ];
    for (const act of acts) {
      const rested = changes.rest(60_000);
      await act();
      await rested;
    }
  });
});

Deno.test("FileChanges.rest() is correct where the directory is not there yet", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/later/file`;
    using changes = new FileChanges(path);
    await changes.rest(1);
    await Deno.mkdir(`${directory}/later`);
    await Deno.writeTextFile(path, "");
    // The first rest finds the directory, and returns for what may have happened before.
    await changes.rest(60_000);
    assertEquals((await probeFile(path)).holds, true);
    const rested = changes.rest(60_000);
    await Deno.remove(path);
    await rested;
  });
});

Deno.test("FileChanges.rest() rejects with the reason of its signal", async () => {
  await inDirectory(async (directory) => {
    using changes = new FileChanges(`${directory}/file`);
    const controller = new AbortController();
    const rested = changes.rest(60_000, controller.signal);
    controller.abort(new Error("enough"));
    await assertRejects(() => rested, Error, "enough");
    await assertRejects(() => changes.rest(60_000, controller.signal), Error, "enough");
  });
});

Deno.test("LogProbe with isFresh takes no notice of what an earlier run has written, unless the file is another", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/log`;
    await Deno.writeTextFile(path, "ready\n");
    using log = new LogProbe(path, /^ready$/, { isFresh: true });
    using other = new LogProbe(path, /^ready$/, { isFresh: true });
    assertEquals(await log.look(signal), HAS_NOT);
    await Deno.writeTextFile(path, "ready\n", { append: true });
    assertEquals(await log.look(signal), HAS);
    await Deno.rename(path, `${path}.1`);
    await Deno.writeTextFile(path, "ready\n");
    assertEquals(await other.look(signal), HAS);
  });
});
