/**
 * What `conc spawn` adds to a command: the time from its start to its end, what it takes to watch over one that does nothing, and many at
 * once.
 *
 * @module
 */

import { concExecutable, findProgram } from "./executable.ts";
import { type Absent, compare, type Contender, describe, median, printTable, runProgram } from "./measure.ts";

const ROUNDS = 40;
const MANY = 200;
const MANY_ROUNDS = 5;
const IDLE_ROUNDS = 3;
const IDLE_S = 60;
const IDLE_LIMIT_MS = 20;
/** USER_HZ: the kernel counts processor time in these. */
const TICK_MS = 10;
/** The flags that supervise in different ways. */
const IDLE: readonly (readonly string[])[] = [[], ["--restart", "always", "--timeout", "1h"], [
  "--log",
  "log",
]];

export default async function spawn(): Promise<void> {
  const conc = concExecutable();
  const directory = await Deno.makeTempDir({ prefix: "conc-bench-" });
  try {
    const least = await compileLeast(directory);
    await compare([
      contender("conc spawn", [conc, "spawn"]),
      startOnly(conc),
      peer("timeout", ["60"]),
      peer("tini", ["-s", "--"]),
      least === undefined
        ? { name: "fork and exec in C", missing: "cc" }
        : contender("fork and exec in C", [least]),
    ], { title: "spawn: true, from start to exit", rounds: ROUNDS });
    await compare([
      contender(`conc spawn -n ${MANY}`, [conc, "spawn", "-n", String(MANY)]),
      contender("the same, measured", [conc, "spawn", "-n", String(MANY), "--report", `${directory}/report`]),
      many("sh: & and wait"),
    ], { title: `spawn: true, ${MANY} at once`, rounds: MANY_ROUNDS, jobs: MANY });
    await measureIdle(conc, directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function contender(name: string, words: readonly string[]): Contender {
  return { name, run: async () => void await runProgram([...words, "true"]) };
}

/** What of conc's time is the start of the runtime. */
function startOnly(conc: string): Contender {
  return { name: "conc --version", run: async () => void await runProgram([conc, "--version"]) };
}

function peer(name: string, args: readonly string[]): Contender | Absent {
  const path = findProgram(name);
  return path === undefined ? { name, missing: name } : contender(name, [path, ...args]);
}

function many(name: string): Contender {
  // The shell's own true would start no program.
  const script = `i=0; while [ $i -lt ${MANY} ]; do i=$((i+1)); /bin/true & done; wait`;
  return { name, run: async () => void await runProgram(["sh", "-c", script]) };
}

/** How much processor time it takes to watch over a child that does nothing, beyond the start. */
async function measureIdle(conc: string, cwd: string): Promise<void> {
  const rows: string[][] = [];
  for (const flags of IDLE) {
    const children = Array.from({ length: IDLE_ROUNDS }, () => {
      const args = ["spawn", ...flags, "sleep", String(IDLE_S * 2)];
      return new Deno.Command(conc, { args, cwd, stdin: "null", stdout: "null", stderr: "null" }).spawn();
    });
    await pause(2_000);
    const before = children.map(({ pid }) => ticksOf(pid));
    await pause(IDLE_S * 1_000);
    const spent = children.map(({ pid }, at) => (ticksOf(pid) - before[at]!) * TICK_MS);
    for (const child of children) child.kill("SIGTERM");
    await Promise.all(children.map(({ status }) => status));
    const ms = median(spent);
    rows.push([
      ["conc spawn", ...flags].join(" "),
      `${ms} ms`,
      `${Math.max(...spent)} ms`,
      describe({ atMost: IDLE_LIMIT_MS }, ms),
    ]);
  }
  printTable(`spawn: processor time over ${IDLE_S} s of an idle child, counted in ${TICK_MS} ms`, [
    ["", "median", "most", "target"],
    ...rows,
  ]);
}

function ticksOf(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The path of the least program; undefined if there is no compiler. */
async function compileLeast(directory: string): Promise<string | undefined> {
  const cc = findProgram("cc");
  if (cc === undefined) return undefined;
  const path = `${directory}/spawn_once`;
  await runProgram([cc, "-O2", "-o", path, `${import.meta.dirname}/spawn_once.c`]);
  return path;
}
