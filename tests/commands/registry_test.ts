import { assert, assertEquals } from "@std/assert";
import { isGroup } from "../../commands/declaration.ts";
import { flagTable } from "../../commands/parse.ts";
import { REGISTRY } from "../../commands/registry.ts";
import { kebab } from "../../commands/argv.ts";
import { allCommands } from "./helpers.ts";

const COMMANDS = (await allCommands()).map(([words, command]) => [words.join(" "), command] as const);

Deno.test("REGISTRY has the brief of each declaration, and so has each group", async () => {
  for (const [name, { brief, load }] of Object.entries(REGISTRY)) {
    const loaded = await load();
    assertEquals(loaded.brief, brief, name);
    for (const [below, entry] of Object.entries(isGroup(loaded) ? loaded.subcommands : {})) {
      assertEquals((await entry.load()).brief, entry.brief, `${name} ${below}`);
    }
  }
});

Deno.test("each command has letters and flags that do not clash", () => {
  for (const [name, command] of COMMANDS) {
    const { flags, aliases } = flagTable(command);
    const typed = Object.entries(flags).flatMap(([flag, { kind }]) =>
      kind === "boolean" ? [kebab(flag), `no-${kebab(flag)}`] : [kebab(flag)]
    );
    assertEquals(new Set(typed).size, typed.length, name);
    for (const [letter, flag] of Object.entries(aliases)) {
      assert(/^[A-Za-z0-9]$/.test(letter) && letter !== "h", `${name} -${letter}`);
      assert(flag in flags, `${name} -${letter}: ${flag}`);
    }
    const own = Object.keys({ ...command.flags, ...command.aliases });
    for (const common of ["json", "quiet", "color", "help", "q"]) {
      assert(!own.includes(common), `${name} ${common}`);
    }
  }
});

Deno.test("each command says briefly what it does, and shows it in examples that begin with its name", () => {
  for (const [name, { brief, examples, words }] of COMMANDS) {
    assert(/^[A-Z].*[^.]$/.test(brief), `${name}: ${brief}`);
    assert(examples.length >= 2, name);
    for (const { line, does } of examples) {
      assert(line.includes(`conc ${name}`), `${name}: ${line}`);
      assert(/^[A-Z].*[^.]$/.test(does), `${name}: ${does}`);
    }
    assert(words.minimum <= words.maximum, name);
  }
});

Deno.test("each flag says what it is for", () => {
  for (const [name, command] of COMMANDS) {
    for (const [flag, { brief, kind, values, placeholder }] of Object.entries(flagTable(command).flags)) {
      assert(/^[A-Z].*[^.]$/.test(brief), `${name} --${flag}: ${brief}`);
      if (kind === "parsed") assert(values !== undefined || placeholder !== undefined, `${name} --${flag}`);
    }
  }
});
