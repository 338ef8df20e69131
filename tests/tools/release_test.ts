import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import configuration from "../../deno.json" with { type: "json" };

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
}

const install = await read("install.sh");
const release = await read(".github/workflows/release.yml");
const compile = await read("tools/compile.ts");
const ci = await read(".ci/run");

/** The targets that the workflow compiles. */
const compiled = /for target in ([^;]+);/.exec(release)![1]!.split(" ");
/** The targets that install.sh asks for. */
const installed = [...install.matchAll(/target=(\S+) ;;/g)].map(([, target]) => target!);

Deno.test("release: whatever install.sh asks for is compiled, and nothing else but Windows", () => {
  assertEquals(installed.toSorted(), compiled.filter((target) => !target.includes("windows")).toSorted());
  assertEquals(new Set(compiled).size, compiled.length);
});

Deno.test("release: file names agree from the compiler over the workflow to install.sh", () => {
  // tools/compile.ts calls what it makes for another platform than its own after the target.
  assertStringIncludes(compile, '? "conc" : `conc-${target}`');
  assertStringIncludes(compile, "`${ROOT}dist/${executableName(target)}`");
  // The workflow's own platform has none, so it is renamed.
  assertStringIncludes(release, "mv dist/conc dist/conc-x86_64-unknown-linux-gnu");
  assert(compiled.includes("x86_64-unknown-linux-gnu"));
  assertStringIncludes(release, 'for file in conc-*; do sha256sum "$file" > "$file.sha256"; done');
  assertStringIncludes(release, "install.sh dist/conc-*");
  assertStringIncludes(install, "file=conc-$target");
  assertStringIncludes(install, '"$base/$file.sha256"');
});

Deno.test("release: the address in install.sh is where the workflow of this repository publishes", () => {
  const [, project] = /https:\/\/github\.com\/(\S+?)\/releases\/latest\/download/.exec(install)!;
  assertEquals(`@${project}`, configuration.name);
});

Deno.test("release: the same Deno tests, compiles and releases", () => {
  const [, released] = /deno-version: v(\S+)/.exec(release)!;
  const tested = [...ci.matchAll(/deno@(\d+\.\d+\.\d+) test/g)].map(([, version]) => version);
  assert(tested.includes(released), `${released} is not among ${tested}`);
});

Deno.test("release: the older Deno that is tested is the one of the fallback", async () => {
  const { FALLBACK_VERSION } = await import("../../tools/denort.ts");
  assertStringIncludes(ci, `deno@${FALLBACK_VERSION} test`);
});
