/**
 * What `conc sem run` costs beside GNU sem and flock(1): alone, with fifty others, and while it waits.
 *
 * @module
 */

import { HostSemaphore } from "../lib/host/semaphore.ts";
import { Store } from "../lib/host/store.ts";
import { concExecutable, findProgram } from "./executable.ts";
import { type Absent, compare, type Contender, describe, median, printTable, runProgram } from "./measure.ts";

/** A way to run a script with one permit. */
interface Tool {
  name: string;
  words(script: string): string[];
}

const ROUNDS = 30;
/** GNU sem takes many times as long as the others. */
const SLOW_ROUNDS = 8;
const CONTENDERS = 50;
const WAKE_UPS = 100;
const WAIT_MS = 10_000;
/** What /proc counts in on Linux, whatever the machine. */
const TICK_MS = 10;

export default async function host(): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "conc-bench-" });
  try {
    const path = `${directory}/conc.db`;
    const tools = await findTools(directory, path);
    await compare(tools.map(alone), { title: "host: one run of true, nobody else about", rounds: ROUNDS });
    await measureContention(tools.filter((tool) => "words" in tool), directory);
    await measureWakeUps(path);
    await measureWaiting(path);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function findTools(directory: string, path: string): Promise<(Tool | Absent)[]> {
  const conc = concExecutable();
  const sem = findProgram("sem");
  const isGnu = sem !== undefined &&
    new TextDecoder().decode(await runProgram([sem, "--version"])).startsWith("GNU");
  const flock = findProgram("flock");
  return [
    { name: "conc sem run", words: (script) => [conc, "sem", "run", "bench", "--store", path, script] },
    isGnu
      ? { name: "GNU sem --fg", words: (script) => [sem, "--fg", "--id", "conc-bench", "-j1", script] }
      : { name: "GNU sem --fg", missing: "GNU parallel" },
    flock === undefined
      ? { name: "flock", missing: "flock" }
      : { name: "flock", words: (script) => [flock, `${directory}/lock`, "-c", script] },
  ];
}

function alone(tool: Tool | Absent): Contender | Absent {
  if ("missing" in tool) return tool;
  const run = async () => void await runProgram(tool.words("true"));
  if (tool.name !== "GNU sem --fg") return { name: tool.name, run };
  return { name: tool.name, run, rounds: SLOW_ROUNDS, target: { atMost: 0.25 } };
}

/** All come at once, and each says when it got in. A perfect line has its longest wait at twice the mean. */
async function measureContention(tools: readonly Tool[], directory: string): Promise<void> {
  const rows = [["", "all done after", "runs/s", "mean wait", "longest wait", "longest/mean"]];
  for (const [index, { name, words }] of tools.entries()) {
    const file = `${directory}/contenders-${index}`;
    const startedMs = Date.now();
    await Promise.all(
      Array.from({ length: CONTENDERS }, () => runProgram(words(`date +%s%3N >> ${file}`))),
    );
    const tookMs = Date.now() - startedMs;
    const waits = (await Deno.readTextFile(file)).trim().split("\n").map((time) => Number(time) - startedMs);
    if (waits.length !== CONTENDERS) throw new Error(`${name} ran ${waits.length} of ${CONTENDERS}`);
    const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length;
    const longest = Math.max(...waits);
    rows.push([
      ...[name, `${tookMs} ms`, (CONTENDERS * 1_000 / tookMs).toFixed(1)],
      ...[`${mean.toFixed(0)} ms`, `${longest} ms`, (longest / mean).toFixed(2)],
    ]);
  }
  printTable(`host: ${CONTENDERS} that come at once, one permit`, rows);
}

/** From a release to the first thing that the waiter's command does: the start of that command is in it. */
async function measureWakeUps(path: string): Promise<void> {
  const conc = concExecutable();
  using store = new Store(path);
  const semaphore = new HostSemaphore(store, "wake");
  const times: number[] = [];
  for (let round = 0; round < WAKE_UPS; round++) {
    const lease = await semaphore.acquire();
    const waiter = runProgram([conc, "sem", "run", "wake", "--store", path, "date", "+%s%N"]);
    await until(() => semaphore.statistics().waiting === 1);
    const startedMs = performance.timeOrigin + performance.now();
    lease.release();
    times.push(Number(new TextDecoder().decode(await waiter)) / 1e6 - startedMs);
  }
  times.sort((a, b) => a - b);
  const p99 = times[Math.ceil(times.length * 0.99) - 1]!;
  printTable(`host: from a release to the waiter's command, ${WAKE_UPS} times`, [
    ["", "time", "target (ms)"],
    ["p50", `${median(times).toFixed(1)} ms`, describe({ atMost: 10 }, median(times))],
    ["p99", `${p99.toFixed(1)} ms`, describe({ atMost: 50 }, p99)],
  ]);
}

async function measureWaiting(path: string): Promise<void> {
  using store = new Store(path);
  const semaphore = new HostSemaphore(store, "wait");
  const lease = await semaphore.acquire();
  const child = new Deno.Command(concExecutable(), {
    args: ["sem", "run", "wait", "--store", path, "true"],
  }).spawn();
  await until(() => semaphore.statistics().waiting === 1);
  await pause(500);
  const before = await processorMs(child.pid);
  await pause(WAIT_MS);
  const used = await processorMs(child.pid) - before;
  lease.release();
  await child.status;
  printTable(`host: the processor time of one that waits for ${WAIT_MS / 1_000} s`, [
    ["", "time", "target (ms)"],
    ["conc sem run", `${used} ms`, describe({ atMost: 50 }, used)],
  ]);
}

async function processorMs(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await pause(2);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
