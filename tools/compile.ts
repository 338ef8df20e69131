/**
 * `deno task compile`: bundles conc and compiles it into one executable, dist/conc.
 *
 * Bundling halves what it takes to start: one file per command instead of one per module. Deno's official runtime is used
 * where it can be downloaded. Elsewhere a runtime of the same make that is in the npm registry serves, see `tools/denort.ts`.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import configuration from "../deno.json" with { type: "json" };
import { FALLBACK_VERSION, fallbackRuntime } from "./denort.ts";

const ROOT = `${import.meta.dirname}/../`;
/** What conc may do. Nothing less than all lets a program read another process's entry in /proc, where descendants are found. */
const PERMISSIONS = ["--allow-all"];
/**
 * How much room V8 gives to what was just made, in each thread. It would take 16 MiB, twice over, and with that a pool of two Workers more
 * than the 200 MiB that a million inputs may take; a smaller one costs such a pool about a tenth of its speed.
 */
const V8_FLAGS = "--max-semi-space-size=8";
/** The modules that Workers run. Each becomes a file of its own, which whoever starts it resolves by its path from there. */
const WORKERS: readonly string[] = [
  "lib/demo/thread_actor.ts",
  "lib/net/bench/worker.ts",
  "lib/net/tcp_echo/thread.ts",
  "lib/net/udp_echo/worker.ts",
];

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(argv: string[]): Promise<number> {
  let unknown: string | undefined;
  const { target } = parseArgs(argv, {
    string: ["target"],
    unknown: (word: string) => {
      unknown ??= word;
      return false;
    },
  });
  if (unknown !== undefined || target === "") {
    console.error(`compile: unexpected '${unknown ?? "--target"}': deno task compile [--target TRIPLE]`);
    return 2;
  }
  const directory = await Deno.makeTempDir({ prefix: "conc-compile-" });
  try {
    const path = `${ROOT}dist/${executableName(target)}`;
    await compile(await bundle(directory), { path, target });
    const { size } = await Deno.stat(path);
    console.error(`compile: wrote dist/${executableName(target)}, ${Math.round(size / 1e6)} MB`);
    return 0;
  } catch (error) {
    console.error(`compile: ${error instanceof Error ? error.message : error}`);
    return 1;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/**
 * Compiles a program, with the official runtime or the fallback.
 *
 * @param files The program, first its entry, then what else belongs into the executable.
 * @param options `path`: where to write it; `target`: the platform, by default this one.
 * @throws {Error} If it cannot be compiled.
 */
export async function compile(
  files: readonly string[],
  { path, target }: { path: string; target?: string | undefined },
): Promise<void> {
  const [entry, ...included] = files;
  const args = [
    ...["compile", "--quiet", "--no-config", "--no-check", `--v8-flags=${V8_FLAGS}`, ...PERMISSIONS],
    ...configuration.unstable.map((name) => `--unstable-${name}`),
    ...included.flatMap((file) => ["--include", file]),
    ...(target === undefined ? [] : ["--target", target]),
    ...["--output", path, entry!],
  ];
  await Deno.mkdir(`${ROOT}dist`, { recursive: true });
  const official = await run([Deno.execPath(), ...args]);
  if (official.success) return;
  if (!/denort-|error sending request/.test(official.stderr)) throw new Error(official.stderr.trim());
  const isHere = Deno.build.target === "x86_64-unknown-linux-gnu" &&
    (target ?? Deno.build.target) === Deno.build.target;
  if (!isHere) {
    throw new Error(
      `cannot download Deno's runtime for ${target ?? Deno.build.target}: DENORT_BIN=FILE names one`,
    );
  }
  const runtime = await fallbackRuntime();
  console.error(
    `compile: Deno's download host is out of reach: using the runtime of Deno ${FALLBACK_VERSION} from npm`,
  );
  const env = { DENORT_BIN: runtime };
  const fallback = await run(["npx", "--yes", `deno@${FALLBACK_VERSION}`, ...args], env);
  if (!fallback.success) throw new Error(fallback.stderr.trim());
}

/** Bundles conc into a directory; returns main.js and the files of the Workers. */
async function bundle(directory: string): Promise<string[]> {
  const entries = ["main.ts", ...WORKERS].map((path) => ROOT + path);
  const args = [
    "bundle",
    "--quiet",
    "--code-splitting",
    "--config",
    `${ROOT}deno.json`,
    "--outdir",
    directory,
  ];
  const bundled = await run([Deno.execPath(), ...args, ...entries]);
  if (!bundled.success) throw new Error(`cannot bundle: ${bundled.stderr.trim()}`);
  await resolveWorkers(directory);
  return ["main.ts", ...WORKERS].map((path) => `${directory}/${bundledName(path)}`);
}

/** Has the bundle's files, which are all in one directory, find the files of the Workers. */
async function resolveWorkers(directory: string): Promise<void> {
  for await (const { name, isFile } of Deno.readDir(directory)) {
    if (!isFile) continue;
    const text = await Deno.readTextFile(`${directory}/${name}`);
    const resolved = text.replace(/"\.\/([\w/]+\.ts)"/g, (specifier, below) => {
      const path = WORKERS.find((path) => path.endsWith(`/${below}`));
      return path === undefined ? specifier : `"./${bundledName(path)}"`;
    });
    await Deno.writeTextFile(`${directory}/${name}`, resolved);
  }
}

function bundledName(path: string): string {
  return path.replace(/\.ts$/, ".js");
}

function executableName(target: string | undefined): string {
  const extension = (target ?? Deno.build.target).includes("windows") ? ".exe" : "";
  return (target === undefined || target === Deno.build.target ? "conc" : `conc-${target}`) + extension;
}

async function run(
  words: string[],
  env: Record<string, string> = {},
): Promise<{ success: boolean; stderr: string }> {
  const [program, ...args] = words;
  const command = new Deno.Command(program!, {
    args,
    env: { ...env, NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  });
  const { success, stderr } = await command.output();
  return { success, stderr: new TextDecoder().decode(stderr).replace(/\n+Stack backtrace:.*/s, "") };
}
