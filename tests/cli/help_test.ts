import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { REGISTRY } from "../../commands/registry.ts";
import { allCommands } from "../commands/helpers.ts";
import configuration from "../../deno.json" with { type: "json" };
import { conc, inDirectory, shell } from "./conc.ts";

for (const [words, command] of await allCommands()) {
  const path = `conc ${words.join(" ")}`;

  Deno.test(`${path} --help fits into 80 columns and shows its flags and examples`, async () => {
    const { code, stdout, stderr } = await conc([...words, "--help"]);
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    for (const line of stdout.split("\n")) assert(line.length <= 80, line);
    assertStringIncludes(stdout, `${path}: ${command.brief}`);
    for (const { line } of command.examples) assertStringIncludes(stdout, line);
    assertEquals((await conc([...words, "-h"])).stdout, stdout);
  });

  for (const { line, exitCode = 0 } of command.examples) {
    Deno.test(`the example in the help of ${path} runs as printed: ${line}`, async () => {
      await inDirectory(async (cwd) => {
        for (const name of ["one.log", "two words.log", "three.txt"]) {
          await Deno.writeTextFile(`${cwd}/${name}`, `${name}\n`);
        }
        const { code, stderr } = await shell(line, { cwd });
        assertEquals(code, exitCode, stderr);
      });
    });
  }
}

Deno.test("conc --help lists every command, and so does conc alone", async () => {
  const { code, stdout } = await conc(["--help"]);
  assertEquals(code, 0);
  for (const [name, { brief }] of Object.entries(REGISTRY)) {
    assertMatch(stdout, new RegExp(`^  ${name} +${brief}$`, "m"));
  }
  for (const line of stdout.split("\n")) assert(line.length <= 80, line);
  assertEquals((await conc([])).stdout, stdout);
});

Deno.test("conc --version says the version", async () => {
  assertEquals((await conc(["--version"])).stdout, `conc ${configuration.version}\n`);
});

Deno.test("an unknown command is a usage error with the nearest name", async () => {
  const { code, stdout, stderr } = await conc(["pol"]);
  assertEquals([code, stdout, stderr], [2, "", "conc: unknown command 'pol': did you mean conc pool?\n"]);
  const far = await conc(["xyzzy"]);
  assertEquals(far.stderr, "conc: unknown command 'xyzzy': conc --help lists the commands\n");
});

Deno.test("help that nobody reads ends quietly", async () => {
  const { stdout, stderr } = await shell("conc pool --help | head -1 | cut -c 1-9", { cwd: "." });
  assertEquals([stdout, stderr], ["conc pool\n", ""]);
});

for (const name of ["bash", "zsh", "fish"]) {
  Deno.test(`conc completions ${name} is a script that ${name} can read`, async () => {
    await inDirectory(async (cwd) => {
      const { code, stdout } = await conc(["completions", name]);
      assertEquals(code, 0);
      await Deno.writeTextFile(`${cwd}/script`, stdout);
      for (const command of Object.keys(REGISTRY)) assertStringIncludes(stdout, command);
      const { stdout: answer } = await shell(
        `command -v ${name} > found || { echo absent; exit; }; ${name} -n script && echo read`,
        { cwd },
      );
      assert(answer === "read\n" || answer === "absent\n", answer);
    });
  });
}

Deno.test("bash completes commands, flags and their values", async () => {
  const complete = (line: string) =>
    `COMP_WORDS=(${line}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); COMP_LINE='${line}'; COMP_POINT=${line.length}
    COMPREPLY=(); "$(complete -p conc | sed 's/.*-F \\([^ ]*\\).*/\\1/')"; printf '%s ' "\${COMPREPLY[@]}"; echo`;
  const { stdout } = await shell(
    `source <(conc completions bash)
    ${complete("conc po")}
    ${complete("conc pool --keep")}
    ${complete("conc pool --color al")}`,
    { cwd: "." },
  );
  assertEquals(stdout.split("\n").map((line) => line.trim()), ["pool", "--keep-order", "always", ""]);
});
