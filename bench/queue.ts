/**
 * How fast `conc queue` takes items and works on them, beside `conc pool` and the queues of other makers, and what a million items in a
 * queue change.
 *
 * @module
 */

import { concExecutable, findProgram } from "./executable.ts";
import { type Absent, compare, type Contender, describe, median, printTable, runProgram } from "./measure.ts";

const LINES = 100_000;
const PUT_ROUNDS = 5;
const PUT_TARGET = 50_000;

const JOBS = 1_000;
const WORK_ROUNDS = 7;
const WORK_TARGET = 0.7;
const SLOTS = "2";

/** nq and task-spooler start a process for each job that is put. */
const FEW_JOBS = 200;
const FEW_ROUNDS = 3;

const MANY = 1_000_000;
const FEW = 1_000;
const SIZE_ROUNDS = 15;
/** A queue of a million items is as fast as one of a thousand, but for what the machine does meanwhile. */
const SIZE_TARGET = 1.25;

export default async function queue(): Promise<void> {
  const conc = concExecutable();
  const directory = await Deno.makeTempDir({ prefix: "conc-bench-" });
  try {
    const run = (args: readonly string[], stdin = "") =>
      runProgram([conc, "queue", ...args, "--store", `${directory}/conc.db`], { stdin });
    await measurePut(run);
    await measureWork(conc, `${directory}/work.db`);
    await compareOthers(conc, directory);
    await measureSize(run);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

type Run = (args: readonly string[], stdin?: string) => Promise<Uint8Array>;

async function measurePut(run: Run): Promise<void> {
  const lines = numbers(LINES);
  const timesMs: number[] = [];
  for (let round = 0; round < PUT_ROUNDS; round++) {
    const startedMs = performance.now();
    await run(["put", `put-${round}`], lines);
    timesMs.push(performance.now() - startedMs);
    const size = new TextDecoder().decode(await run(["size", `put-${round}`])).trim();
    if (size !== String(LINES)) throw new Error(`conc queue put put ${size} of ${LINES} lines`);
  }
  const rate = LINES * 1_000 / median(timesMs);
  printTable(`queue: seq ${LINES} | conc queue put`, [
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

/** The items are in the queue before the clock starts: each round has a queue of its own. */
async function measureWork(conc: string, store: string): Promise<void> {
  const lines = numbers(JOBS);
  for (let round = 0; round < WORK_ROUNDS; round++) {
    await runProgram([conc, "queue", "put", `work-${round}`, "--store", store], { stdin: lines });
  }
  let round = 0;
  const words = ["-j", SLOTS];
  await compare([
    {
      name: "conc queue work",
      // It exits with 0 only once every item is dealt with.
      run: async () =>
        void await runProgram([
          ...[conc, "queue", "work", `work-${round++}`, ...words, "--until-empty", "--store", store, "true"],
        ]),
    },
    {
      name: "conc pool",
      target: { atLeast: WORK_TARGET },
      run: async () => void await runProgram([conc, "pool", ...words, "true"], { stdin: lines }),
    },
  ], { title: `queue: work -j${SLOTS} true for ${JOBS} items`, rounds: WORK_ROUNDS, jobs: JOBS });
}

/** All put their jobs and wait until the last one is done. */
async function compareOthers(conc: string, directory: string): Promise<void> {
  const lines = numbers(FEW_JOBS);
  const store = `${directory}/others.db`;
  const contenders: (Contender | Absent)[] = [{
    name: "conc queue put, work",
    async run() {
      await runProgram([conc, "queue", "put", "jobs", "--store", store], { stdin: lines });
      await runProgram([conc, "queue", "work", "jobs", "-j1", "--until-empty", "--store", store, "true"]);
    },
  }];
  const each = (script: string, env: Record<string, string>) => async () => {
    const before = Object.entries(env).map(([name, value]) => `${name}='${value}' `).join("");
    await runProgram([
      "env",
      ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
      "sh",
      "-c",
      `for i in $(seq ${FEW_JOBS}); do ${before}${script}`,
    ]);
  };
  const nq = findProgram("nq");
  contenders.push(
    nq === undefined ? { name: "nq", missing: "nq" } : {
      name: "nq",
      run: each(`${nq} -c true; done >/dev/null && ${nq} -w`, {
        NQDIR: await Deno.makeTempDir({ dir: directory }),
      }),
    },
  );
  const tsp = findProgram("tsp");
  contenders.push(
    tsp === undefined ? { name: "task-spooler", missing: "tsp" } : {
      name: "task-spooler",
      run: each(`${tsp} -n true; done >/dev/null && ${tsp} -w && ${tsp} -K`, {
        TS_SOCKET: `${directory}/tsp`,
        TS_MAXFINISHED: "10",
      }),
    },
  );
  const title = `queue: put and do ${FEW_JOBS} times true, one at a time`;
  await compare(contenders, { title, rounds: FEW_ROUNDS, jobs: FEW_JOBS });
}

async function measureSize(run: Run): Promise<void> {
  await run(["put", "few"], numbers(FEW));
  await run(["put", "many"], numbers(MANY));
  const rows: string[][] = [];
  for (const args of [["put", "one"], ["get"], ["size"]]) {
    const [operation = "", ...words] = args;
    const times: Record<string, number[]> = { few: [], many: [] };
    for (let round = 0; round < SIZE_ROUNDS; round++) {
      for (const name of ["few", "many"]) {
        const startedMs = performance.now();
        await run([operation, name, ...words]);
        times[name]!.push(performance.now() - startedMs);
      }
    }
    const [few, many] = [median(times.few!), median(times.many!)];
    const target = describe({ atMost: SIZE_TARGET }, many / few);
    rows.push([operation, `${few.toFixed(1)} ms`, `${many.toFixed(1)} ms`, (many / few).toFixed(2), target]);
  }
  printTable(`queue: one operation beside ${MANY} items`, [
    ["", `${FEW} items`, `${MANY} items`, "ratio", "target"],
    ...rows,
  ]);
}

/** What `seq` prints. */
function numbers(count: number): string {
  return Array.from({ length: count }, (_, index) => `${index + 1}\n`).join("");
}
