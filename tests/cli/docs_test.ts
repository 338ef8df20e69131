import { assertMatch } from "@std/assert";
import { inDirectory } from "./conc.ts";
import { blocksOf, ROOT, runBlock } from "./documents.ts";

const pages = ["README.md"];
for await (const { name } of Deno.readDir(`${ROOT}docs`)) {
  if (name.endsWith(".md")) pages.push(`docs/${name}`);
}

for (const page of pages.sort()) {
  for (const { script, shown } of await blocksOf(page)) {
    Deno.test(`the commands in ${page} run as printed: ${script.split("\n")[0]} …`, async () => {
      await inDirectory(async (cwd) => {
        const { stdout, stderr } = await runBlock(script, { cwd });
        // What is said on stderr comes last in all that is shown.
        if (shown !== undefined) assertMatch(stdout + stderr.replace(/^exit \d+\n/m, ""), likeness(shown));
      });
    });
  }
}

/** What a page shows: with other times, and with what `…` leaves out. */
function likeness(shown: string): RegExp {
  const lines = shown.trimEnd().split("\n").map((line) => {
    if (line === "…") return "(.*\\n)*";
    const text = line.trimStart().replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
    return ` *${text.replaceAll(/\b[\d.\\]+m?s\b/g, "[\\d.]+m?s")}\\n`;
  });
  return new RegExp(`^${lines.join("")}$`);
}
