import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { REGISTRY } from "../../commands/registry.ts";
import { runCommandLine, VERSION } from "../../commands/run.ts";
import { UsageError } from "../../lib/errors.ts";
import { fakeContext } from "./helpers.ts";

async function run(...argv: string[]): Promise<{ code: number; text: string }> {
  const { context, out } = fakeContext();
  const code = await runCommandLine(argv, context);
  return { code, text: out.text };
}

Deno.test("runCommandLine() prints the version", async () => {
  assertMatch(VERSION, /^\d+\.\d+\.\d+/);
  for (const flag of ["--version", "-V"]) {
    assertEquals(await run(flag), { code: 0, text: `conc ${VERSION}\n` });
  }
});

Deno.test("runCommandLine() lists each command in its help", async () => {
  for (const argv of [[], ["--help"], ["-h"], ["help"]]) {
    const { code, text } = await run(...argv);
    assertEquals(code, 0);
    for (const [name, { brief }] of Object.entries(REGISTRY)) {
      assertMatch(text, new RegExp(`^  ${name} +${brief}$`, "m"));
    }
  }
});

Deno.test("runCommandLine() prints the help of each command, with two examples or more", async () => {
  for (const name of Object.keys(REGISTRY)) {
    const { code, text } = await run(name, "--help");
    assertEquals(code, 0);
    assert(text.startsWith(`conc ${name}`), text);
    assert(text.split("\n").filter((line) => line.startsWith("  # ")).length >= 2, name);
  }
});

Deno.test("runCommandLine() knows no other command, nor what every object has", async () => {
  const cases: [string, string][] = [
    ["pol", "unknown command 'pol': did you mean conc pool?"],
    ["frobnicate", "unknown command 'frobnicate': conc --help lists the commands"],
    ["--json", "unknown flag '--json': conc --help lists the commands"],
    ["constructor", "unknown command 'constructor'"],
    ["__proto__", "unknown command '__proto__'"],
    ["", "unknown command ''"],
  ];
  for (const [name, message] of cases) await assertRejects(() => run(name), UsageError, message);
});

Deno.test("runCommandLine() counts the words of a command", async () => {
  await assertRejects(
    () => run("completions"),
    UsageError,
    "too few words: usage: conc completions [FLAGS] bash|zsh|fish",
  );
  await assertRejects(() => run("completions", "bash", "zsh"), UsageError, "unexpected word 'zsh': usage:");
});

Deno.test("runCommandLine() gives a command its words and its context", async () => {
  const { code, text } = await run("pool", "--dry-run", "-k", "gzip", "-9", "{}", ":::", "a b", "-k");
  assertEquals({ code, text }, { code: 0, text: "gzip -9 'a b'\ngzip -9 -k\n" });
  assertStringIncludes((await run("pool", "--json", "--dry-run", "a", ":::", "1")).text, '"command":"a 1"');
});
