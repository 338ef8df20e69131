/**
 * Tasks a second of ThreadPool beside the pools of threads of Node, and Python's pool of processes.
 *
 * The peers run in processes of their own, which are told what to do line by line and stay warm between the rounds. Those from npm
 * are installed once, into the user's cache.
 *
 * @module
 */

import { TaskLock } from "../lib/task/lock.ts";
import { ThreadLock } from "../lib/thread/lock.ts";
import { ThreadPool } from "../lib/thread/pool.ts";
import { findProgram } from "./executable.ts";
import { type Absent, compare, type Contender, runProgram, type Target } from "./measure.ts";

/** What is done, how often in a round. */
interface Job {
  name: "empty" | "latency" | "spin" | "size";
  title: string;
  count: number;
  /** What conc must reach beside the pools of JavaScript. */
  target?: Target;
}

const SIZE = navigator.hardwareConcurrency;
const ROUNDS = 9;
const LOCK_ROUNDS = 200_000;
const PACKAGES = { piscina: "5.3.2", tinypool: "2.2.0", workerpool: "10.0.3" } as const;
const JOBS: readonly Job[] = [
  { name: "empty", title: "an empty task, many at once", count: 20_000, target: { atLeast: 1 } },
  { name: "latency", title: "an empty task, one after the other", count: 2_000, target: { atLeast: 1 } },
  { name: "spin", title: "a task of 1 ms of computing, many at once", count: 500 },
  { name: "size", title: "a task with 1 MiB of argument, many at once", count: 200 },
];

export default async function thread(): Promise<void> {
  const peers = await startPeers();
  try {
    for (const job of JOBS) await race(job, peers);
  } finally {
    for (const peer of peers) if ("end" in peer) await peer.end();
  }
  await raceLocks();
}

/** What a lock costs that nobody else wants: Workers have no such lock of their own, so it stands beside that of one event loop. */
async function raceLocks(): Promise<void> {
  const locks = {
    "conc ThreadLock": new ThreadLock(),
    "conc TaskLock, which knows one thread": new TaskLock(),
  };
  const contenders = Object.entries(locks).map(([name, lock]): Contender => ({
    name,
    run: async () => {
      for (let round = 0; round < LOCK_ROUNDS; round++) (await lock.acquire()).release();
    },
  }));
  for (const { run } of contenders) await run();
  const startMs = performance.now();
  await contenders[0]!.run();
  const nanoseconds = (performance.now() - startMs) * 1e6 / LOCK_ROUNDS;
  await compare(contenders, {
    title: "thread: acquire and release, uncontended",
    rounds: ROUNDS,
    jobs: LOCK_ROUNDS,
  });
  console.log(`conc ThreadLock: ${nanoseconds.toFixed(0)} ns for acquire and release, target at most 200`);
}

async function race({ name, title, count, target }: Job, peers: readonly (Peer | Absent)[]): Promise<void> {
  const module = new URL("./thread_tasks.mjs", import.meta.url);
  const exported = name === "latency" ? "empty" : name;
  await using pool = new ThreadPool<unknown, unknown>({ module, export: exported }, { size: SIZE });
  const input = name === "size" ? new Uint8Array(2 ** 20) : 1;
  const run = async () => {
    if (name === "latency") { for (let done = 0; done < count; done++) await pool.submit(input); }
    else await Promise.all(Array.from({ length: count }, () => pool.submit(input)));
  };
  const contenders = peers.map((peer): Contender | Absent => {
    if ("missing" in peer) return peer;
    const run = () => peer.request(`${name} ${count}`);
    return { name: peer.name, run, ...(target !== undefined && peer.isJavaScript && { target }) };
  });
  const all = [{ name: "conc ThreadPool", run }, ...contenders];
  for (const contender of all) if ("run" in contender) await contender.run();
  await compare(all, { title: `thread: ${title}, on ${SIZE}`, rounds: ROUNDS, jobs: count });
}

/** A peer, in its process. */
class Peer {
  readonly name: string;
  readonly isJavaScript: boolean;
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(name: string, words: readonly string[]) {
    const [program, ...args] = words;
    this.name = name;
    this.isJavaScript = !name.includes("Python");
    this.#child = new Deno.Command(program!, { args, stdin: "piped", stdout: "piped" }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reader = this.#child.stdout.getReader();
  }

  /** Has it do something; resolves when that is done. */
  async request(line: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${line}\n`));
    let answer = "";
    for (let isDone = false; !answer.endsWith("\n") && !isDone;) {
      const { value, done } = await this.#reader.read();
      answer += new TextDecoder().decode(value);
      isDone = done;
    }
    answer = answer.trim();
    if (answer !== "done") throw new Error(`${this.name} did not do '${line}': it said '${answer}'`);
  }

  async end(): Promise<void> {
    await this.#writer.close();
    await this.#reader.cancel();
    await this.#child.status;
  }
}

async function startPeers(): Promise<(Peer | Absent)[]> {
  const [node, python] = [findProgram("node"), findProgram("python3")];
  const directory = node === undefined ? undefined : await installPackages();
  const script = (name: string) => `${import.meta.dirname}/${name}`;
  const javaScript = Object.entries(PACKAGES).map(([name, version]): Peer | Absent => {
    const title = `${name} ${version} on Node`;
    if (node === undefined) return { name: title, missing: "node" };
    if (directory === undefined) return { name: title, missing: name };
    return new Peer(title, [node, script("thread_peers.mjs"), directory, name, String(SIZE)]);
  });
  const executor = "ProcessPoolExecutor of Python";
  return [
    ...javaScript,
    python === undefined
      ? { name: executor, missing: "python3" }
      : new Peer(executor, [python, script("thread_peer.py"), String(SIZE)]),
  ];
}

/** Installs the packages, unless they are there; returns the directory, or undefined where they cannot be had. */
async function installPackages(): Promise<string | undefined> {
  const npm = findProgram("npm");
  const cache = Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME")}/.cache`;
  const packages = Object.entries(PACKAGES).map(([name, version]) => `${name}@${version}`);
  const directory = `${cache}/conc/bench-${packages.join("-")}`;
  try {
    await Deno.stat(`${directory}/installed`);
    return directory;
  } catch {
    if (npm === undefined) return undefined;
  }
  try {
    await Deno.mkdir(directory, { recursive: true });
    await runProgram([npm, "install", "--prefix", directory, "--no-audit", "--no-fund", ...packages]);
    await Deno.writeTextFile(`${directory}/installed`, "");
    return directory;
  } catch (error) {
    console.error(
      `bench: cannot install ${packages.join(" ")}: ${error instanceof Error ? error.message : error}`,
    );
    return undefined;
  }
}
