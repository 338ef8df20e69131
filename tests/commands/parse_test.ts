import { assert, assertEquals, assertRejects } from "@std/assert";
import { flagTable, parseCommandLine } from "../../commands/parse.ts";
import { UsageError } from "../../lib/errors.ts";
import { SAMPLE } from "./helpers.ts";

const COMMON = { json: false, quiet: false, color: "auto" } as const;

async function parse(...argv: string[]) {
  return await parseCommandLine(argv, { path: "conc sample", command: SAMPLE });
}

Deno.test("parseCommandLine() gives parsed flags, defaults, and the words as they were", async () => {
  assertEquals(await parse("-j4", "-k", "ls", "-l", "--jobs"), {
    kind: "run",
    flags: { ...COMMON, jobs: 4, keepOrder: true, size: 7, file: undefined, shell: undefined },
    words: ["ls", "-l", "--jobs"],
  });
  assertEquals(await parse("--json", "-q", "--color=never", "--size", "0"), {
    kind: "run",
    flags: {
      ...{ json: true, quiet: true, color: "never" },
      ...{ jobs: undefined, keepOrder: false, size: 0, file: undefined, shell: undefined },
    },
    words: [],
  });
});

Deno.test("parseCommandLine() reads a flag without a value for yes, no and neither", async () => {
  const shell = async (...argv: string[]) => {
    const parsed = await parse(...argv);
    return parsed.kind === "run" ? parsed.flags.shell : "help";
  };
  assertEquals(await shell("--shell"), true);
  assertEquals(await shell("--no-shell"), false);
  assertEquals(await shell("-0"), true);
  assertEquals(await shell(), undefined);
  const negated = await parse("--no-keep-order");
  assertEquals(negated.kind === "run" && negated.flags.keepOrder, false);
});

Deno.test("parseCommandLine() collects a flag that may come several times, values as they were", async () => {
  const parsed = await parse("--file", "a b", "--file=-x", "--file", "--", "--file==");
  assertEquals(parsed.kind === "run" && parsed.flags.file, ["a b", "-x", "--", "="]);
});

Deno.test("parseCommandLine() takes a value that is empty or has several lines for no word", async () => {
  const values = ["", "\n", "a\n--json", "--json\n", "\r", "a\u2028b", "\n="];
  const parsed = await parse(...values.flatMap((value) => ["--file", value]), ...["--file=", "ls"]);
  assertEquals(parsed, {
    kind: "run",
    flags: { ...COMMON, jobs: undefined, keepOrder: false, size: 7, shell: undefined, file: [...values, ""] },
    words: ["ls"],
  });
  await assertRejects(() => parse("--size", "", "ls"), UsageError, "whole number from 0: received ''");
});

Deno.test("parseCommandLine() says in one line what is wrong, as a UsageError", async () => {
  const cases: [string[], string][] = [
    [["-j0"], "--jobs: cannot read a count as it must be a whole number from 1: received '0'"],
    [["--jobs=x"], "--jobs: cannot read a count"],
    [["--color=pink"], "--color: must be one of auto, always, never: received 'pink'"],
    [["-j1", "-j2"], "--jobs: given more than once"],
    [["--jbos", "1"], "unknown flag --jbos: did you mean --jobs?"],
    [["-j"], "-j needs a value: -j N"],
  ];
  for (const [argv, message] of cases) {
    const error = await assertRejects(() => parse(...argv), UsageError, message);
    assert(!error.message.includes("\n"), error.message);
  }
});

Deno.test("parseCommandLine() gives the help text, whatever else there is", async () => {
  for (const argv of [["--help"], ["-h"], ["-j", "nonsense", "--help"]]) {
    const parsed = await parse(...argv);
    assert(parsed.kind === "help" && parsed.text.startsWith("conc sample: Show what was parsed\n"));
  }
});

Deno.test("flagTable() adds what every command has", () => {
  const { flags, aliases } = flagTable(SAMPLE);
  assertEquals(Object.keys(flags).slice(-3), ["json", "quiet", "color"]);
  assertEquals([aliases.q, aliases.j], ["quiet", "jobs"]);
});
