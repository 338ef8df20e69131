import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { formatCommand, formatList } from "../../commands/help.ts";
import { flagTable } from "../../commands/parse.ts";
import { allCommands, SAMPLE } from "./helpers.ts";

Deno.test("formatCommand() shows usage, description, examples, and each flag with its letter and default", () => {
  const text = formatCommand({ path: "conc sample", command: SAMPLE, ...flagTable(SAMPLE) });
  assertEquals(text.split("\n").slice(0, 11), [
    "conc sample: Show what was parsed",
    "",
    "USAGE",
    "  conc sample [FLAGS] CMD…",
    "",
    "What a user needs that no flag says.",
    "",
    "EXAMPLES",
    "  # Four at a time",
    "  conc sample -j4 ls",
    "  # With a shell",
  ]);
  for (
    const line of [
      "  -j, --jobs N            Run N",
      "  -0, --[no-]shell        Always or never",
      "      --size N            How large (default 7)",
      "      --color auto|always|never",
      "  -h, --help              Print this help",
    ]
  ) assertStringIncludes(text, `\n${line}\n`);
  assert(text.endsWith("\n") && !text.endsWith("\n\n"));
});

Deno.test("formatCommand() keeps to 80 columns, for each command", async () => {
  for (const command of [SAMPLE, ...(await allCommands()).map(([, command]) => command)]) {
    const text = formatCommand({ path: "conc x", command, ...flagTable(command) });
    for (const line of text.split("\n")) assert([...line].length <= 80 || line.startsWith("  conc x"), line);
  }
});

Deno.test("formatList() lists commands with their briefs, and says how to go on", () => {
  const text = formatList({
    path: "conc timer",
    brief: "Timers",
    subcommands: {
      after: { brief: "Once", load: () => Promise.resolve(SAMPLE) },
      every: { brief: "Again and again", load: () => Promise.resolve(SAMPLE) },
    },
    examples: [
      { line: "conc timer after 1s", does: "Wait a second" },
      { line: "conc timer every 1s", does: "Wait again and again" },
    ],
  });
  assertStringIncludes(text, "\n  after  Once\n  every  Again and again\n");
  assertStringIncludes(text, "\n  # Wait a second\n  conc timer after 1s\n");
  assertStringIncludes(text, "conc timer after --help");
});
