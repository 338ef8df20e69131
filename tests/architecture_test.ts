/**
 * The tree is the architecture: who may import whom, and what every file has. A rule that is broken names the file.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { isGroup } from "../commands/declaration.ts";
import { REGISTRY } from "../commands/registry.ts";

const ROOT = fromFileUrl(new URL("../", import.meta.url));
const TOP = ["main.ts", "mod.ts"];

/**
 * What the folders of lib may import, besides themselves and the modules at the top of lib. Those at the top may import each
 * other and time. The reaches and what serves processes and the network are side by side: none imports another.
 */
const LIB_IMPORTS: Readonly<Record<string, readonly string[]>> = {
  time: [],
  report: ["time"],
  task: ["time"],
  thread: ["time", "task"],
  host: ["time", "task", "process"],
  cluster: ["time", "task"],
  process: ["time", "task"],
  net: ["time", "task"],
  jobs: ["time", "task", "thread", "process", "report"],
  demo: ["time", "task", "thread", "host", "cluster", "process"],
};

/** A file, by its path from the root, and what it says. */
type Sources = Readonly<Record<string, string>>;

/** Every import that breaks the rule, as `FILE imports FILE`. */
function brokenImports(sources: Sources): string[] {
  return Object.entries(sources).flatMap(([path, text]) =>
    imports(path, text).filter((imported) => !mayImport(path, imported)).map((imported) =>
      `${path} imports ${imported}`
    )
  );
}

/** The files of this repository that a file imports, statically, dynamically, or to pass them on. */
function imports(path: string, text: string): string[] {
  const code = text.replace(/^\s*(\*|\/\/|\/\*).*$/gm, "");
  const specifiers = [
    ...code.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*|\bresolve\(\s*|\bURL\(\s*)["'`](\.[^"'`]*)["'`]/g),
  ];
  return specifiers.map(([, specifier]) => new URL(specifier!, `file:///${path}`).pathname.slice(1));
}

function mayImport(path: string, imported: string): boolean {
  const [from, to] = [layer(path), layer(imported)];
  if (from === undefined) return true;
  if (path.startsWith("main.ts")) return to === "commands";
  if (from === "commands") return to !== undefined && to !== "top" || imported === "deno.json";
  if (from === "top") return to !== "commands" && to !== "top";
  if (from === "lib") return to === "lib" || to === "lib/time";
  if (to === undefined || !to.startsWith("lib")) return false;
  return to === "lib" || to === from || (LIB_IMPORTS[from.slice(4)] ?? []).includes(to.slice(4));
}

/** Where a file stands: `top`, `commands`, `lib`, `lib/time`; undefined for tests, tools and benches, which import all. */
function layer(path: string): string | undefined {
  if (TOP.includes(path)) return "top";
  const [folder, below, file] = path.split("/");
  if (folder === "commands") return "commands";
  if (folder !== "lib") return undefined;
  return file === undefined ? "lib" : `lib/${below}`;
}

/** Files that end the process, or would, and are not main.ts. */
function exits(sources: Sources): string[] {
  return Object.entries(sources).flatMap(([path, text]) =>
    layer(path) !== undefined && path !== "main.ts" && /\b(Deno|process)\.exit\w*\b/.test(text) ? [path] : []
  );
}

/** Files that use a signal which Deno before 2.5 lets be collected while somebody listens to it. */
function combinesSignals(sources: Sources): string[] {
  return Object.entries(sources).flatMap(([path, text]) =>
    layer(path) !== undefined && /\bAbortSignal\.any\(/.test(text) ? [path] : []
  );
}

/** Files of the program that do not begin with a comment on the module. */
function withoutModuleComment(sources: Sources): string[] {
  return Object.entries(sources).flatMap(([path, text]) =>
    /^(lib|commands|tools)\/|^main\.ts$/.test(path) &&
      !/^\/\*\*\n \* \S[^]*?\n \* @module\n \*\/\n/.test(text)
      ? [path]
      : []
  );
}

async function readSources(directory = ""): Promise<Record<string, string>> {
  const sources: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(ROOT + directory)) {
    const path = directory + name;
    if (isDirectory) {
      if (!/^(\..*|node_modules|dist|coverage)$/.test(name)) {
        Object.assign(sources, await readSources(`${path}/`));
      }
    } else if (name.endsWith(".ts")) sources[path] = await Deno.readTextFile(ROOT + path);
  }
  return sources;
}

const sources = await readSources();

Deno.test("architecture: imports flow one way", () => {
  assert(Object.keys(sources).length > 30);
  assertEquals(brokenImports(sources), []);
});

Deno.test("architecture: every folder of lib has its place in the rule", () => {
  const folders = new Set(Object.keys(sources).flatMap((path) => /^lib\/(\w+)\//.exec(path)?.[1] ?? []));
  assertEquals([...folders].filter((folder) => !Object.hasOwn(LIB_IMPORTS, folder)), []);
});

Deno.test("architecture: only main.ts exits", () => assertEquals(exits(sources), []));

Deno.test("architecture: signals are combined by EitherSignal", () =>
  assertEquals(combinesSignals(sources), []));

Deno.test("architecture: every module begins with a comment that says what it is", () => {
  assertEquals(withoutModuleComment(sources), []);
});

Deno.test("architecture: nothing is left to do", () => {
  const marker = new RegExp(`\\b(TO${"DO"}|FIX${"ME"}|XX${"X"})\\b`);
  assertEquals(Object.keys(sources).filter((path) => marker.test(sources[path]!)), []);
});

Deno.test("architecture: every command module is in the registry, under its own name and with its own brief", async () => {
  const registered: string[] = [];
  const visit = async (words: string[], entries: typeof REGISTRY) => {
    for (const [name, { brief, load }] of Object.entries(entries)) {
      const path = `commands/${[...words, name].join("_").replaceAll("-", "_")}.ts`;
      registered.push(path);
      assert(path in sources, `${name} has no ${path}`);
      const loaded = await load();
      assertEquals(loaded.brief, brief, path);
      if (isGroup(loaded)) await visit([...words, name], loaded.subcommands);
    }
  };
  await visit([], REGISTRY);
  const commands = Object.keys(sources).filter((path) =>
    path.startsWith("commands/") && /^export default\b/m.test(sources[path]!)
  );
  assertEquals(commands.toSorted(), registered.toSorted());
});

Deno.test("architecture: what a command loads imports no Node module at its top", () => {
  const found = Object.entries(sources).filter(([path, text]) =>
    layer(path) !== undefined && /^(import|export)\b[^;]*?["']node:process["']/m.test(text)
  );
  assertEquals(found.map(([path]) => path), []);
});

Deno.test("architecture: the rule finds what breaks it, and names file and import", () => {
  const cases: [string, string, string | undefined][] = [
    ["lib/time/x.ts", 'import { a } from "../task/lock.ts";', "lib/task/lock.ts"],
    ["lib/errors.ts", 'import { a } from "./process/pool.ts";', "lib/process/pool.ts"],
    ["lib/host/x.ts", 'import type { A } from "../thread/lock.ts";', "lib/thread/lock.ts"],
    ["lib/process/x.ts", 'const a = await import("../net/tcp_echo.ts");', "lib/net/tcp_echo.ts"],
    ["lib/report/x.ts", 'export * from "../process/pool.ts";', "lib/process/pool.ts"],
    ["lib/thread/x.ts", 'new Worker(import.meta.resolve("../host/worker.ts"));', "lib/host/worker.ts"],
    ["lib/jobs/x.ts", 'import {\n  a,\n  b,\n} from "../../commands/context.ts";', "commands/context.ts"],
    ["lib/task/x.ts", "import '../jobs/run.ts';", "lib/jobs/run.ts"],
    ["lib/x.ts", 'import a from "../deno.json" with { type: "json" };', "deno.json"],
    ["commands/x.ts", 'import { main } from "../main.ts";', "main.ts"],
    ["commands/x.ts", 'import { compile } from "../tools/compile.ts";', "tools/compile.ts"],
    ["main.ts", 'import { Output } from "./lib/report/output.ts";', "lib/report/output.ts"],
    ["mod.ts", 'export * from "./commands/context.ts";', "commands/context.ts"],
    ["lib/jobs/x.ts", 'import { a } from "../process/pool.ts";', undefined],
    ["lib/host/x.ts", 'import { a } from "../task/waiters.ts";', undefined],
    ["lib/units.ts", 'import { a } from "./time/duration.ts";', undefined],
    ["lib/task/x.ts", '/**\n * import { a } from "../host/lock.ts";\n */', undefined],
    ["commands/x.ts", 'import { a } from "../lib/jobs/run.ts";', undefined],
    ["mod.ts", 'export * from "./lib/task/lock.ts";', undefined],
    ["tests/x_test.ts", 'import { a } from "../commands/run.ts";', undefined],
  ];
  for (const [path, text, broken] of cases) {
    assertEquals(
      brokenImports({ [path]: text }),
      broken === undefined ? [] : [`${path} imports ${broken}`],
      text,
    );
  }
  assertEquals(
    exits({ "lib/x.ts": "Deno.exit(1)", "commands/x.ts": "Deno.exitCode = 1", "main.ts": "Deno.exit()" }),
    [
      "lib/x.ts",
      "commands/x.ts",
    ],
  );
  assertEquals(
    withoutModuleComment({
      "lib/x.ts": "export {};",
      "lib/y.ts": "/**\n * What it is.\n *\n * @module\n */\n",
    }),
    [
      "lib/x.ts",
    ],
  );
});
