/**
 * How fast `conc pool` starts jobs beside its peers, and how much memory a million inputs take.
 *
 * All run the same words for each input, with as many at a time as there are processors. `{}` stands for the input in all of
 * them; a command without it gets none, for `true` with an argument does more than `true` alone.
 *
 * @module
 */

import { concExecutable, findProgram } from "./executable.ts";
import {
  type Absent,
  compare,
  type Contender,
  describe,
  printTable,
  runProgram,
  type Target,
} from "./measure.ts";

/** How a peer is called: the words for a command, and what it reads. */
type Call = (command: readonly string[]) => { words: string[]; stdin?: string };

/** A peer of conc pool, or what is missing of it. */
type Peer = { name: string; target?: Target; rounds?: number } & ({ call: Call } | { missing: string });

const JOBS = 1_000;
const ROUNDS = 7;
/** GNU parallel takes many times as long as the others. */
const SLOW_ROUNDS = 2;
const SLOTS = String(navigator.hardwareConcurrency);
const INPUTS = Array.from({ length: JOBS }, (_, index) => String(index + 1));
const LINES = `${INPUTS.join("\n")}\n`;

const MANY = 1_000_000;
const MEMORY_LIMIT_MIB = 200;
const POLL_MS = 20;

export default async function pool(): Promise<void> {
  const conc = concExecutable();
  const directory = await Deno.makeTempDir({ prefix: "conc-bench-" });
  try {
    const peers: Peer[] = [
      { name: "conc pool", call: (command) => ({ words: concWords(conc, command), stdin: LINES }) },
      ...await findPeers(directory),
    ];
    const title = `for ${JOBS} inputs, ${SLOTS} at a time`;
    // What prints nothing cannot be counted: each peer shows with echo that its words run the command once for every input.
    await Promise.all(
      contenders(peers, ["echo", "done"], () => "done").map((one) => "run" in one && one.run()),
    );
    await compare(contenders(peers, ["true"]), { title: `pool: true ${title}`, rounds: ROUNDS, jobs: JOBS });
    await compare(contenders(peers, ["echo", "{}"], (input) => input), {
      title: `pool: echo {} ${title}`,
      rounds: ROUNDS,
      jobs: JOBS,
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  await measureMemory(conc, ["--dry-run", "echo"]);
  await measureMemory(conc, ["--kind", "thread", "-k", "-e", "n => n"]);
}

async function findPeers(directory: string): Promise<Peer[]> {
  const xargs = findProgram("xargs");
  const { gnu, moreutils } = await findParallels();
  const loop = await compileLoop(directory);
  return [
    {
      name: "xargs -P",
      target: { atLeast: 1.3 },
      ...(xargs === undefined
        ? { missing: "xargs" }
        : { call: (command) => ({ words: [xargs, "-P", SLOTS, "-I{}", ...command], stdin: LINES }) }),
    },
    {
      name: "GNU parallel",
      target: { atLeast: 5 },
      rounds: SLOW_ROUNDS,
      ...(gnu === undefined ? { missing: "GNU parallel" } : {
        call: (command) => ({
          words: [gnu, "--will-cite", "-j", SLOTS, ...takesInput(command) ? [] : ["-N0"], ...command],
          stdin: LINES,
        }),
      }),
    },
    {
      name: "moreutils parallel",
      ...(moreutils === undefined
        ? { missing: "moreutils parallel" }
        : { call: (command) => ({ words: [moreutils, "-j", SLOTS, "-i", ...command, "--", ...INPUTS] }) }),
    },
    {
      name: "posix_spawn loop in C",
      target: { atLeast: 0.85 },
      ...(loop === undefined
        ? { missing: "cc" }
        : { call: (command) => ({ words: [loop, SLOTS, ...command], stdin: LINES }) }),
    },
  ];
}

/** The two programs named parallel. Where both are installed, one of them goes by another name. */
async function findParallels(): Promise<{ gnu?: string; moreutils?: string }> {
  const found: { gnu?: string; moreutils?: string } = {};
  for (const name of ["parallel", "parallel.gnu", "parallel.moreutils", "parallel_moreutils"]) {
    const path = findProgram(name);
    if (path === undefined) continue;
    const { stdout, stderr } = await new Deno.Command(path, { args: ["--version"], stdin: "null" }).output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    if (said.startsWith("GNU parallel")) found.gnu ??= path;
    else if (said.includes("command -- arguments")) found.moreutils ??= path;
  }
  return found;
}

/** The path of the loop in C; undefined if there is no compiler. */
async function compileLoop(directory: string): Promise<string | undefined> {
  const cc = findProgram("cc");
  if (cc === undefined) return undefined;
  const path = `${directory}/posix_spawn_loop`;
  await runProgram([cc, "-O2", "-o", path, `${import.meta.dirname}/posix_spawn_loop.c`]);
  return path;
}

function concWords(conc: string, command: readonly string[]): string[] {
  return [conc, "pool", "-j", SLOTS, ...takesInput(command) ? [] : ["-n0"], ...command];
}

function takesInput(command: readonly string[]): boolean {
  return command.includes("{}");
}

/** The peers with a command to run. `line` tells what it prints for an input; without it, it prints nothing. */
function contenders(
  peers: readonly Peer[],
  command: readonly string[],
  line?: (input: string) => string,
): (Contender | Absent)[] {
  const expected = line === undefined ? "" : INPUTS.map((input) => `${line(input)}\n`).sort().join("");
  return peers.map((peer) => {
    if ("missing" in peer) return peer;
    const { call, ...rest } = peer;
    const { words, ...input } = call(command);
    const run = async () => {
      const printed = new TextDecoder().decode(await runProgram(words, input));
      if (printed.split(/(?<=\n)/).sort().join("") === expected) return;
      throw new Error(`${peer.name} did not run '${command.join(" ")}' once for each of ${JOBS} inputs`);
    };
    return { ...rest, run };
  });
}

/** The peak of the resident memory while a million inputs pass through, as the kernel tells it (proc(5), VmHWM). */
async function measureMemory(conc: string, words: readonly string[]): Promise<void> {
  const title = `pool: seq ${MANY} | conc pool ${words.join(" ")}`;
  if (Deno.build.os !== "linux") {
    return console.log(`\n${title}\n  skipped: there is no /proc/PID/status here`);
  }
  const startedMs = performance.now();
  const child = new Deno.Command(conc, {
    args: ["pool", ...words],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  let peakKib = 0;
  const poll = setInterval(() => peakKib = Math.max(peakKib, peakOf(child.pid)), POLL_MS);
  const [lines, { success }] = await Promise.all([
    countLines(child.stdout),
    child.status,
    numbers().pipeTo(child.stdin),
  ]);
  clearInterval(poll);
  const durationMs = performance.now() - startedMs;
  if (!success || lines !== MANY) {
    throw new Error(`conc pool ${words.join(" ")} printed ${lines} of ${MANY} lines`);
  }
  const peakMib = peakKib / 1_024;
  printTable(title, [
    ["", "time", "peak", "target"],
    [
      "conc pool",
      `${Math.round(durationMs)} ms`,
      `${Math.round(peakMib)} MiB`,
      describe({ atMost: MEMORY_LIMIT_MIB }, peakMib),
    ],
  ]);
}

/** 0 once the process has ended. */
function peakOf(pid: number): number {
  try {
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** What `seq` prints. */
function numbers(): ReadableStream<Uint8Array> {
  const perPiece = 10_000;
  let next = 1;
  return new ReadableStream({
    pull(controller) {
      const piece = Array.from({ length: perPiece }, () => next++);
      controller.enqueue(new TextEncoder().encode(`${piece.join("\n")}\n`));
      if (next > MANY) controller.close();
    },
  });
}

async function countLines(stream: ReadableStream<Uint8Array>): Promise<number> {
  let count = 0;
  for await (const chunk of stream) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) count += 1;
  }
  return count;
}
