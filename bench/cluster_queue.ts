/**
 * How fast `conc queue` is over a broker: a part of the bench `cluster`.
 *
 * @module
 */

import { concExecutable } from "./executable.ts";
import { describe, median, printTable, runProgram } from "./measure.ts";

const LINES = 20_000;
const PUT_ROUNDS = 5;
const PUT_TARGET = 5_000;

const JOBS = 500;
const WORK_ROUNDS = 3;
const WORKERS = 2;

/** Puts and works, at the broker of this URL. */
export async function measureQueues(url: string): Promise<void> {
  const conc = concExecutable();
  const run = (args: readonly string[], stdin = "") =>
    runProgram([conc, "queue", ...args], { stdin, env: { CONC_STORE: url } });
  const name = `bench-${crypto.randomUUID()}`;
  // Whoever makes the first object of a broker waits longer.
  await run(["create", name]);
  await measurePut(run, name);
  await measureWork(run, name);
  await run(["delete", name]);
}

type Run = (args: readonly string[], stdin?: string) => Promise<Uint8Array>;

/** Each put waits until the broker has confirmed every item. */
async function measurePut(run: Run, name: string): Promise<void> {
  const lines = numbers(LINES);
  const timesMs: number[] = [];
  for (let round = 0; round < PUT_ROUNDS; round++) {
    const startedMs = performance.now();
    await run(["put", name], lines);
    timesMs.push(performance.now() - startedMs);
    await expectSize(run, name, LINES);
    await run(["purge", name]);
  }
  const rate = LINES * 1_000 / median(timesMs);
  printTable(`cluster: seq ${LINES} | conc queue put`, [
    ["", "median", "minimum", "items/s", "target"],
    [
      "conc queue put",
      `${median(timesMs).toFixed(0)} ms`,
      `${Math.min(...timesMs).toFixed(0)} ms`,
      rate.toFixed(0),
      describe({ atLeast: PUT_TARGET }, rate),
    ],
  ]);
}

/** The workers end once every item is dealt with, by whichever of them. */
async function measureWork(run: Run, name: string): Promise<void> {
  const timesMs: number[] = [];
  for (let round = 0; round < WORK_ROUNDS; round++) {
    await run(["put", name], numbers(JOBS));
    const startedMs = performance.now();
    await Promise.all(
      Array.from({ length: WORKERS }, () => run(["work", name, "-j1", "--until-empty", "true"])),
    );
    timesMs.push(performance.now() - startedMs);
    await expectSize(run, name, 0);
  }
  const rate = JOBS * 1_000 / median(timesMs);
  printTable(`cluster: ${WORKERS} x conc queue work -j1 true, ${JOBS} items`, [
    ["", "median", "minimum", "items/s"],
    [
      "conc queue work",
      `${median(timesMs).toFixed(0)} ms`,
      `${Math.min(...timesMs).toFixed(0)} ms`,
      rate.toFixed(0),
    ],
  ]);
}

async function expectSize(run: Run, name: string, expected: number): Promise<void> {
  const size = new TextDecoder().decode(await run(["size", name])).trim();
  if (size !== String(expected)) throw new Error(`the queue has ${size} items, not ${expected}`);
}

function numbers(count: number): string {
  return Array.from({ length: count }, (_, index) => `${index + 1}\n`).join("");
}
