import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { cutOut, FALLBACK_VERSION, fallbackRuntime } from "../../tools/denort.ts";
import { inDirectory } from "../cli/conc.ts";
import { names } from "../helpers.ts";

/** A program as `deno compile` makes it: a runtime, what it runs, and at the end magic, hash and the length of both. */
function program(runtime: Uint8Array, behind: Uint8Array): Uint8Array {
  const tail = new Uint8Array(16);
  tail.set(new TextEncoder().encode("m4g1h4sh"));
  new DataView(tail.buffer).setBigUint64(8, BigInt(behind.length + tail.length), true);
  return Uint8Array.from([...runtime, ...behind, ...tail]);
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(bytes)));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const RUNTIME = new TextEncoder().encode("#!/bin/sh\necho a runtime\n");
const GOOD = program(RUNTIME, new Uint8Array(1_000).fill(7));

const NAME = `denort-${FALLBACK_VERSION}`;

Deno.test("cutOut() gives the runtime, whatever stands behind it", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (runtime, behind) => {
      assertEquals(cutOut(program(runtime, behind)), runtime);
    }),
  );
});

Deno.test("cutOut() finds no runtime in what is no program", () => {
  const tooLong = new Uint8Array(32).fill(0xff);
  for (const bytes of [new Uint8Array(), new Uint8Array(7), new Uint8Array(64), tooLong]) {
    assertThrows(() => cutOut(bytes), Error, "holds no runtime");
  }
});

Deno.test("fallbackRuntime() downloads once, and gives an executable file", async () => {
  await inDirectory(async (directory) => {
    let downloads = 0;
    const options = {
      cacheDirectory: `${directory}/not/there/yet`,
      sha256: await sha256(RUNTIME),
      download: () => Promise.resolve((downloads += 1, GOOD)),
    };
    const path = await fallbackRuntime(options);
    assertEquals(await Deno.readFile(path), RUNTIME);
    if (Deno.build.os !== "windows") assertEquals((await Deno.stat(path)).mode! & 0o111, 0o111);
    assertEquals(await fallbackRuntime(options), path);
    assertEquals([downloads, names(options.cacheDirectory)], [1, [NAME]]);
  });
});

Deno.test("fallbackRuntime() replaces a cached runtime that is not the one that it should be", async () => {
  await inDirectory(async (cacheDirectory) => {
    for (const broken of [new Uint8Array(), RUNTIME.slice(1), Uint8Array.from([...RUNTIME, 10])]) {
      await Deno.writeFile(`${cacheDirectory}/${NAME}`, broken);
      const options = {
        cacheDirectory,
        sha256: await sha256(RUNTIME),
        download: () => Promise.resolve(GOOD),
      };
      assertEquals(await Deno.readFile(await fallbackRuntime(options)), RUNTIME);
    }
    assertEquals(names(cacheDirectory), [NAME]);
  });
});

Deno.test("fallbackRuntime() refuses a download with another hash, and caches nothing", async () => {
  await inDirectory(async (cacheDirectory) => {
    const options = {
      cacheDirectory,
      sha256: await sha256(RUNTIME.slice(1)),
      download: () => Promise.resolve(GOOD),
    };
    await assertRejects(() => fallbackRuntime(options), Error, "is not the one that it should be");
    assertEquals(names(cacheDirectory), []);
    const noProgram = { ...options, download: () => Promise.resolve(RUNTIME.slice(0, 9)) };
    await assertRejects(() => fallbackRuntime(noProgram), Error, "holds no runtime");
    assertEquals(names(cacheDirectory), []);
  });
});

Deno.test("fallbackRuntime() passes on why a download failed, and leaves nothing behind", async () => {
  await inDirectory(async (cacheDirectory) => {
    const download = async (directory: string) => {
      await Deno.writeTextFile(`${directory}/half`, "half a tarball");
      throw new Error("no registry");
    };
    await assertRejects(() => fallbackRuntime({ cacheDirectory, download }), Error, "no registry");
    assertEquals(names(cacheDirectory), []);
  });
});

Deno.test("fallbackRuntime() called ten times at once gives each the right file, and leaves nothing else", async () => {
  await inDirectory(async (cacheDirectory) => {
    const directories = new Set<string>();
    const all = Promise.withResolvers<void>();
    const options = {
      cacheDirectory,
      sha256: await sha256(RUNTIME),
      // Nobody has finished before everybody has begun.
      download: async (directory: string) => {
        directories.add(directory);
        if (directories.size === 10) all.resolve();
        await all.promise;
        return GOOD;
      },
    };
    const paths = await Promise.all(Array.from({ length: 10 }, () => fallbackRuntime(options)));
    assertEquals(new Set(paths), new Set([`${cacheDirectory}/${NAME}`]));
    assertEquals(await Deno.readFile(paths[0]!), RUNTIME);
    assert(directories.size === 10);
    assertEquals(names(cacheDirectory), [NAME]);
  });
});
