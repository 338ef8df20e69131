import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { concatBytes } from "../../lib/bytes.ts";
import { capture, type StreamName } from "../../lib/process/capture.ts";
import { adoptsOrphans } from "../../lib/process/descendants.ts";
import { spawn } from "../../lib/process/spawn.ts";
import { eventually, exists, inDirectory, lives } from "../cli/conc.ts";

adoptsOrphans();

const ignore = Deno.build.os === "windows";

async function captured(script: string) {
  const pieces: Record<StreamName, Uint8Array[]> = { stdout: [], stderr: [] };
  const child = spawn(["sh", "-c", script], { stdout: "piped", stderr: "piped" });
  const status = await capture(child, (stream, bytes) => void pieces[stream].push(bytes.slice()));
  const text = (stream: StreamName) => new TextDecoder().decode(concatBytes(pieces[stream]));
  return { child, status, stdout: text("stdout"), stderr: text("stderr") };
}

Deno.test({
  name: "capture() takes all that a child prints, the two streams apart",
  ignore,
  async fn() {
    await fc.assert(
      fc.asyncProperty(fc.nat(400_000), fc.nat(100_000), fc.nat(3), async (outBytes, errBytes, exitCode) => {
        const script =
          `head -c ${outBytes} /dev/zero | tr '\\0' o & head -c ${errBytes} /dev/zero | tr '\\0' e >&2
          wait; exit ${exitCode}`;
        const { status, stdout, stderr } = await captured(script);
        assertEquals(status.exitCode, exitCode);
        assertEquals([stdout === "o".repeat(outBytes), stderr === "e".repeat(errBytes)], [true, true]);
      }),
      { numRuns: 10 },
    );
  },
});

Deno.test({
  name: "capture() gives many children that run at once each its own output",
  ignore,
  async fn() {
    const all = await Promise.all(
      Array.from(
        { length: 12 },
        (_, i) => captured(`i=0; while [ $i -lt 200 ]; do echo ${i}; i=$((i+1)); done`),
      ),
    );
    for (const [i, { stdout }] of all.entries()) assertEquals(stdout, `${i}\n`.repeat(200));
  },
});

Deno.test({
  name: "capture() does not wait for a process that the child left behind with its pipes",
  ignore,
  async fn() {
    const { child, status, stdout } = await captured("echo before; sleep 300 & echo $!");
    assertEquals(status.exitCode, 0);
    const [first, pid] = stdout.split("\n");
    assertEquals(first, "before");
    assert(lives(Number(pid)));
    await child.end("test");
    assert(!lives(Number(pid)));
  },
});

Deno.test({
  name: "capture() reads on only when what it gave was taken",
  ignore,
  async fn() {
    const gate = Promise.withResolvers<void>();
    let taken = 0;
    const child = spawn(["sh", "-c", "head -c 10000000 /dev/zero"], { stdout: "piped", stderr: "piped" });
    const ended = capture(child, async (_, bytes) => {
      taken += bytes.length;
      await gate.promise;
    });
    await eventually("something came", () => taken > 0);
    // One that began later, and whose reader takes everything, is done by now.
    let takenOfOther = 0;
    const other = spawn(["sh", "-c", "head -c 10000000 /dev/zero"], { stdout: "piped", stderr: "piped" });
    await capture(other, (_, bytes) => void (takenOfOther += bytes.length));
    assertEquals(takenOfOther, 10_000_000);
    assert(taken < 1_000_000, String(taken));
    assert(lives(child.pid));
    gate.resolve();
    await ended;
    assertEquals(taken, 10_000_000);
  },
});

Deno.test({
  name: "capture() takes the end of the output also when the reader is slower than the child",
  ignore,
  async fn() {
    let taken = 0;
    const child = spawn(["sh", "-c", "head -c 300000 /dev/zero"], { stdout: "piped", stderr: "piped" });
    await capture(child, async (_, bytes) => {
      await new Promise((resolve) => setTimeout(resolve, 80));
      taken += bytes.length;
    });
    assertEquals(taken, 300_000);
  },
});

Deno.test({
  name: "capture() rejects with what the taker threw, and lets go of both pipes",
  ignore,
  async fn() {
    await inDirectory(async (directory) => {
      // The pipe has no reader any more: the next echo ends the loop.
      const script =
        `trap '' PIPE; while echo x && echo y >&2; do :; done 2>/dev/null; touch '${directory}/ended'`;
      const child = spawn(["sh", "-c", script], { stdout: "piped", stderr: "piped" });
      await assertRejects(
        () =>
          capture(child, () => {
            throw new RangeError("cannot take it");
          }),
        RangeError,
        "cannot take it",
      );
      await child.status;
      assert(exists(`${directory}/ended`));
    });
  },
});
