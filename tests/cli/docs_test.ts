import { assert, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { inDirectory, shell } from "./conc.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));

/**
 * A block of commands in a page, and right behind it what they print, if the page shows it. Those that install or compile are tried
 * elsewhere.
 */
const BLOCK = /^```sh\n(conc [\s\S]*?|\w[^\n]*\| conc [\s\S]*?)^```$(?:\n\n```text\n([\s\S]*?)^```$)?/gm;

const pages = ["README.md"];
for await (const { name } of Deno.readDir(`${ROOT}docs`)) {
  if (name.endsWith(".md")) pages.push(`docs/${name}`);
}

for (const page of pages.sort()) {
  const text = await Deno.readTextFile(ROOT + page);
  for (const [, block, shown] of text.matchAll(BLOCK)) {
    const script = block!.trimEnd();
    Deno.test(`the commands in ${page} run as printed: ${script.split("\n")[0]} …`, async () => {
      await inDirectory(async (cwd) => {
        for (const name of ["one.log", "two words.log", "three.txt", "four.ts"]) {
          await Deno.writeTextFile(`${cwd}/${name}`, `${name}\n`);
        }
        const { stdout, stderr } = await shell(`trap 'echo "exit $?" >&2' ERR\n${script}`, { cwd });
        assert(!/^exit (2|12\d)$/m.test(stderr), `${stdout}${stderr}`);
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
