import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { flagTable } from "../../commands/parse.ts";
import { kebab } from "../../commands/argv.ts";
import { isGroup } from "../../commands/declaration.ts";
import { REGISTRY } from "../../commands/registry.ts";
import { runCommandLine } from "../../commands/run.ts";
import { UsageError } from "../../lib/errors.ts";
import { fakeContext } from "./helpers.ts";

async function script(shell: string): Promise<string> {
  const { context, out } = fakeContext();
  assertEquals(await runCommandLine(["completions", shell], context), 0);
  return out.text;
}

async function has(program: string): Promise<boolean> {
  const command = new Deno.Command("sh", { args: ["-c", `command -v ${program}`], stdout: "null" });
  return (await command.output()).success;
}

/** What bash offers behind these words. */
async function complete(...words: string[]): Promise<string[]> {
  const quoted = ["conc", ...words].map((word) => `'${word}'`).join(" ");
  const program = `${await script("bash")}
    COMP_WORDS=(${quoted}) COMP_CWORD=${words.length}
    _conc
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, success } = await new Deno.Command("bash", {
    args: ["-u", "-c", program],
    stderr: "inherit",
  }).output();
  assert(success);
  return new TextDecoder().decode(stdout).split("\n").filter((word) => word !== "");
}

const ignore = Deno.build.os === "windows" || !await has("bash");

Deno.test({
  name: "completions bash offers commands, flags and values, in a real bash",
  ignore,
  async fn() {
    assertEquals((await complete("")).sort(), [...Object.keys(REGISTRY), "--help"].sort());
    assertEquals(await complete("po"), ["pool"]);
    assertEquals(await complete("pool", "--keep"), ["--keep-order"]);
    assertEquals(await complete("pool", "--color", ""), ["auto", "always", "never"]);
    assertEquals(await complete("pool", "--color", "n"), ["never"]);
    const offered = await complete("pool", "-");
    const loaded = await REGISTRY.pool!.load();
    assert(isGroup(loaded) && loaded.main !== undefined);
    for (const name of Object.keys(flagTable(loaded.main).flags)) {
      assert(offered.includes(`--${kebab(name)}`), name);
    }
  },
});

Deno.test({
  name: "completions zsh offers the values of a flag behind it, in a real zsh",
  ignore: !await has("zsh"),
  async fn() {
    const offered = async (...words: string[]) => {
      const program = `compdef() { :; }; _files() { :; }; _describe() { print -l -- $choices; }
        ${await script("zsh")}
        words=(${["conc", ...words].map((word) => `'${word}'`).join(" ")}) CURRENT=${
        words.length + 1
      }; _conc`;
      const { stdout } = await new Deno.Command("zsh", { args: ["-f", "-c", program], stderr: "inherit" })
        .output();
      return new TextDecoder().decode(stdout).trimEnd().split("\n");
    };
    assertEquals(await offered("pool", "--color", ""), ["auto", "always", "never"]);
    assert((await offered("pool", "-")).some((choice) => choice.startsWith("--jobs:")));
  },
});

Deno.test("completions writes a script that its shell can read, where the shell is there", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const text = await script(shell);
    for (const name of Object.keys(REGISTRY)) assertStringIncludes(text, name);
    if (!await has(shell)) continue;
    const path = await Deno.makeTempFile();
    await Deno.writeTextFile(path, text);
    const { success, stderr } = await new Deno.Command(shell, { args: ["-n", path] }).output();
    assert(success, new TextDecoder().decode(stderr));
    await Deno.remove(path);
  }
});

Deno.test("completions says which shells it knows", async () => {
  await assertRejects(() => script("bsah"), UsageError, "did you mean bash?");
  await assertRejects(() => script("powershell"), UsageError, "bash, zsh and fish are known");
  await assertRejects(() => script("constructor"), UsageError, "cannot write completions for 'constructor'");
});
