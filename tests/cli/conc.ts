/**
 * Runs conc as a user does: the executable that CONC_BIN names, else the sources.
 *
 * @module
 */

import { fromFileUrl } from "@std/path/from-file-url";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));

/** The words that start conc. */
export const CONC: readonly string[] = Deno.env.get("CONC_BIN")
  ? [new URL(Deno.env.get("CONC_BIN")!, `file://${Deno.cwd()}/`).pathname]
  : [Deno.execPath(), "run", "-A", "--no-check", `--config=${ROOT}deno.json`, `${ROOT}main.ts`];

/** How a run ended. */
export interface Result {
  code: number;
  stdout: string;
  stderr: string;
  stdoutBytes: Uint8Array;
}

/** Options of {@link conc} and {@link start}. */
export interface RunOptions {
  stdin?: string | Uint8Array | undefined;
  cwd?: string;
  env?: Record<string, string>;
  /** Whether what it prints is thrown away. */
  drained?: boolean;
}

/** A conc that runs. */
export class Running {
  readonly #child: Deno.ChildProcess;
  readonly #stdout: Promise<Uint8Array>;
  readonly #stderr: Promise<Uint8Array>;
  readonly #firstComplaint: Promise<string>;

  constructor(child: Deno.ChildProcess, { drained = false }: { drained?: boolean } = {}) {
    this.#child = child;
    this.#stdout = drained
      ? child.stdout.pipeTo(new WritableStream()).then(() => new Uint8Array())
      : new Response(child.stdout).bytes();
    const [stderr, copy] = child.stderr.tee();
    this.#stderr = new Response(stderr).bytes();
    this.#firstComplaint = firstLine(copy);
  }

  get pid(): number {
    return this.#child.pid;
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** The first line that it prints to stderr, as soon as it is there; what there is if it ends before. */
  firstComplaint(): Promise<string> {
    return this.#firstComplaint;
  }

  async result(): Promise<Result> {
    const [{ code }, stdout, stderr] = await Promise.all([this.#child.status, this.#stdout, this.#stderr]);
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: decode(stdout), stderr: decode(stderr), stdoutBytes: stdout };
  }
}

/** Starts conc. */
export function start(
  args: readonly string[],
  { stdin, cwd, env = {}, drained = false }: RunOptions = {},
): Running {
  const [program, ...first] = CONC;
  const child = new Deno.Command(program!, {
    args: [...first, ...args],
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", ...env },
    ...(cwd !== undefined && { cwd }),
  }).spawn();
  if (stdin !== undefined) void feed(child.stdin, stdin);
  return new Running(child, { drained });
}

/** Runs conc to its end. */
export function conc(args: readonly string[], options: RunOptions = {}): Promise<Result> {
  return start(args, options).result();
}

/** Makes a directory that has a command `conc` in it, for scripts that a shell runs: by default one that runs {@link CONC}. */
export async function binDirectory(
  parent: string,
  body = `exec ${quoted(CONC)} "$@"`,
): Promise<string> {
  const directory = `${parent}/bin`;
  await Deno.mkdir(directory);
  await Deno.writeTextFile(`${directory}/conc`, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return directory;
}

/** Words as a shell takes them. */
export function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
}

/** Runs a script with `conc` on the PATH, and with a store of its own; or with another `conc`, whose script this is. */
export async function shell(
  script: string,
  { cwd, stdin, conc }: { cwd: string; stdin?: string; conc?: string },
): Promise<Result> {
  const bin = await Deno.makeTempDir({ prefix: "conc-bin-" });
  const path = await binDirectory(bin, conc);
  try {
    const child = new Deno.Command("bash", {
      args: ["-c", script],
      cwd,
      stdin: stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      // Its state is its own: no test is to find what another left, or what belongs to whoever runs it.
      env: { PATH: `${path}:${Deno.env.get("PATH")}`, NO_COLOR: "1", XDG_STATE_HOME: `${bin}/state` },
    }).spawn();
    if (stdin !== undefined) void feed(child.stdin, stdin);
    return await new Running(child).result();
  } finally {
    await Deno.remove(bin, { recursive: true });
  }
}

/** Runs a test body in a directory of its own. */
export async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "conc-test-" });
  try {
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Waits until something holds; fails after ten seconds. */
export async function eventually<T>(what: string, probe: () => T | undefined | false): Promise<T> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const found = probe();
    if (found !== undefined && found !== false) return found as T;
    if (performance.now() > deadline) throw new Error(`waited ten seconds in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Whether a file is there. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The process id that a command has written to the file `pid` of a directory, once it has. */
export function pidIn(cwd: string): Promise<number> {
  const path = `${cwd}/pid`;
  return eventually("it runs", () => (exists(path) && Number(Deno.readTextFileSync(path))) || undefined);
}

/** Whether a process lives; a zombie does not. */
export function lives(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}

/** The lines of NDJSON. */
export function records(text: string): Record<string, unknown>[] {
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** The first line of a stream, which is read to its end all the same. */
function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  void (async () => {
    let text = "";
    for await (
      const piece of stream.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    ) {
      text += piece;
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    }
    resolve(text);
  })();
  return promise;
}

async function feed(stdin: WritableStream<Uint8Array>, text: string | Uint8Array): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(typeof text === "string" ? new TextEncoder().encode(text) : text);
    await writer.close();
  } catch {
    // conc ended before it had read all.
  }
}
