import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { inDirectory } from "../cli/conc.ts";
import { names } from "../helpers.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));

async function compile(args: string[], env: Record<string, string> = {}) {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", `${ROOT}deno.json`, `${ROOT}tools/compile.ts`, ...args],
    env: { NO_COLOR: "1", ...env },
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

Deno.test("compile refuses what it does not know, before it does anything", async () => {
  for (
    const [args, word] of [[["--traget", "x"], "--traget"], [["conc"], "conc"], [
      ["--target="],
      "--target",
    ]] as const
  ) {
    const { code, stderr } = await compile([...args]);
    assertEquals(code, 2);
    assertEquals(stderr, `compile: unexpected '${word}': deno task compile [--target TRIPLE]\n`);
  }
});

Deno.test({
  name: "compile says in one line why it cannot, and leaves no temporary directory",
  ignore: Deno.build.os === "windows",
  async fn() {
    await inDirectory(async (directory) => {
      const { code, stderr } = await compile(["--target", "pdp11-unknown-unix"], { TMPDIR: directory });
      assertEquals(code, 1);
      assertStringIncludes(stderr, "compile: ");
      assert(!stderr.includes("Stack backtrace"), stderr);
      assertEquals(names(directory), []);
    });
  },
});
