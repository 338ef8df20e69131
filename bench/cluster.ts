/**
 * What a broker costs: start-up, and how long a permit takes from one to the next; and how fast queues are.
 * Needs a broker: `deno task broker -- deno task bench cluster`.
 *
 * @module
 */

import { ClusterSemaphore } from "../lib/cluster/semaphore.ts";
import { ClusterStore } from "../lib/cluster/store.ts";
import { measureQueues } from "./cluster_queue.ts";
import { concExecutable } from "./executable.ts";
import { describe, median, printTable, runProgram } from "./measure.ts";

const HAND_OVERS = 200;
const START_UPS = 20;
/** What the contract asks for. */
const HAND_OVER_MS = 10;
const START_UP_MS = 400;

export default async function cluster(): Promise<void> {
  const url = Deno.env.get("CONC_TEST_AMQP");
  if (url === undefined) {
    console.log(
      "cluster: left out, as CONC_TEST_AMQP names no broker: deno task broker -- deno task bench cluster",
    );
    return;
  }
  await measureHandOver(url);
  await measureStartUp(url);
  await measureQueues(url);
}

/** From the release of a permit to its grant to another process's connection. */
async function measureHandOver(url: string): Promise<void> {
  await using one = await ClusterStore.open(url);
  await using other = await ClusterStore.open(url);
  const name = `bench-${crypto.randomUUID()}`;
  const [holding, waiting] = [
    await ClusterSemaphore.open(one, name),
    await ClusterSemaphore.open(other, name),
  ];
  const timesMs: number[] = [];
  for (let round = 0; round < HAND_OVERS; round++) {
    const lease = await holding.acquire();
    const next = waiting.acquire();
    while ((await holding.statistics()).waiting === 0);
    const startedMs = performance.now();
    lease.release();
    const granted = await next;
    timesMs.push(performance.now() - startedMs);
    granted.release();
  }
  const sorted = timesMs.toSorted((a, b) => a - b);
  const p50 = median(timesMs);
  printTable("cluster: from the release of a permit to the next grant", [
    ["p50 ms", "p99 ms", "target of p50"],
    [
      p50.toFixed(2),
      sorted[Math.floor(sorted.length * 0.99)]!.toFixed(2),
      describe({ atMost: HAND_OVER_MS }, p50),
    ],
  ]);
}

/** The executable, with nobody else about. */
async function measureStartUp(url: string): Promise<void> {
  const name = `bench-${crypto.randomUUID()}`;
  const words = [concExecutable(), "sem", "run", "--store", url, name, "true"];
  await runProgram(words);
  const timesMs: number[] = [];
  for (let round = 0; round < START_UPS; round++) {
    const startedMs = performance.now();
    await runProgram(words);
    timesMs.push(performance.now() - startedMs);
  }
  const p50 = median(timesMs);
  printTable("cluster: conc sem run NAME true", [
    ["p50 ms", "target"],
    [p50.toFixed(0), describe({ atMost: START_UP_MS }, p50)],
  ]);
}
