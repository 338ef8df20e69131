/**
 * Operations a second of the primitives of one event loop beside their peers on npm, in one run: rounds alternate between all who
 * do the same job, and the median counts. A ratio above 1 says that conc is ahead.
 *
 * @module
 */

import type { Lease } from "../lib/primitives.ts";
import { TaskLock } from "../lib/task/lock.ts";
import { TaskPool } from "../lib/task/pool.ts";
import { TaskQueue } from "../lib/task/queue.ts";
import { TaskSemaphore } from "../lib/task/semaphore.ts";

/** Does a number of operations. */
type Contender = (count: number) => Promise<void>;

interface Job {
  title: string;
  /** The first is ours. */
  contenders: Record<string, Contender>;
}

const ROUNDS = 31;
/** How long one round of one contender should take, about. */
const ROUND_MS = 20;
const WAITERS = 1_000;
const PERMITS = 10;

export default async function task(): Promise<void> {
  for (const job of await jobs()) await race(job);
  await cancelAny();
}

async function race({ title, contenders }: Job): Promise<void> {
  const rates = new Map<string, number[]>();
  const counts = new Map<string, number>();
  for (const [name, contender] of Object.entries(contenders)) {
    rates.set(name, []);
    counts.set(name, await calibrate(contender));
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, contender] of Object.entries(contenders)) {
      const count = counts.get(name)!;
      rates.get(name)!.push(count / await timeMs(() => contender(count)) * 1_000);
    }
  }
  console.log(`\n${title}`);
  const [ours] = [...rates.values()].map(median) as [number];
  for (const [name, all] of rates) {
    const rate = median(all);
    const ratio = rate === ours ? "" : `  conc is at ${(ours / rate).toFixed(2)} x`;
    console.log(`  ${name.padEnd(14)} ${(rate / 1e6).toFixed(3).padStart(8)} million/s${ratio}`);
  }
}

/** How many operations take about one round. The optimizing compiler gets its chance on the way. */
async function calibrate(contender: Contender): Promise<number> {
  let count = 10 * WAITERS;
  while (true) {
    const took = await timeMs(() => contender(count));
    if (took > ROUND_MS) return Math.ceil(count * ROUND_MS / took / WAITERS) * WAITERS;
    count *= 2;
  }
}

async function timeMs(run: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await run();
  return performance.now() - startMs;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

async function jobs(): Promise<Job[]> {
  const { Mutex, Semaphore } = await import("npm:async-mutex@0.5.0");
  const { Sema } = await import("npm:async-sema@3.1.1");
  const { default: PQueue } = await import("npm:p-queue@10.0.0");
  const { default: fastq } = await import("npm:fastq@1.20.3");
  const { default: pLimit } = await import("npm:p-limit@7.3.3");
  const work = () => Promise.resolve();

  return [
    {
      title: "Lock, uncontended: acquire and release",
      contenders: {
        conc: async (count) => {
          const lock = new TaskLock();
          for (let i = 0; i < count; i++) (await lock.acquire()).release();
        },
        "async-sema": async (count) => {
          const sema = new Sema(1);
          for (let i = 0; i < count; i++) {
            await sema.acquire();
            sema.release();
          }
        },
        "async-mutex": async (count) => {
          const mutex = new Mutex();
          for (let i = 0; i < count; i++) (await mutex.acquire())();
        },
      },
    },
    {
      title: `Lock, ${WAITERS} waiters: acquire and release`,
      contenders: {
        conc: (count) => {
          const lock = new TaskLock();
          return contend(count, async (rounds) => {
            for (let i = 0; i < rounds; i++) (await lock.acquire()).release();
          });
        },
        "async-sema": (count) => {
          const sema = new Sema(1);
          return contend(count, async (rounds) => {
            for (let i = 0; i < rounds; i++) {
              await sema.acquire();
              sema.release();
            }
          });
        },
        "async-mutex": (count) => {
          const mutex = new Mutex();
          return contend(count, async (rounds) => {
            for (let i = 0; i < rounds; i++) (await mutex.acquire())();
          });
        },
      },
    },
    {
      title: `Semaphore of ${PERMITS}, uncontended: acquire and release`,
      contenders: {
        conc: async (count) => {
          const semaphore = new TaskSemaphore(PERMITS);
          for (let i = 0; i < count; i++) (await semaphore.acquire()).release();
        },
        "async-sema": async (count) => {
          const sema = new Sema(PERMITS);
          for (let i = 0; i < count; i++) {
            await sema.acquire();
            sema.release();
          }
        },
        "async-mutex": async (count) => {
          const semaphore = new Semaphore(PERMITS);
          for (let i = 0; i < count; i++) (await semaphore.acquire())[1]();
        },
      },
    },
    {
      title: `Semaphore of ${PERMITS}, ${WAITERS} waiters: acquire, await once, release`,
      contenders: {
        conc: (count) => {
          const semaphore = new TaskSemaphore(PERMITS);
          return contend(count, async (rounds) => {
            for (let i = 0; i < rounds; i++) {
              const lease = await semaphore.acquire();
              await undefined;
              lease.release();
            }
          });
        },
        "async-sema": (count) => {
          const sema = new Sema(PERMITS);
          return contend(count, async (rounds) => {
            for (let i = 0; i < rounds; i++) {
              await sema.acquire();
              await undefined;
              sema.release();
            }
          });
        },
        "async-mutex": (count) => {
          const semaphore = new Semaphore(PERMITS);
          return contend(count, async (rounds) => {
            for (let i = 0; i < rounds; i++) {
              const [, release] = await semaphore.acquire();
              await undefined;
              release();
            }
          });
        },
      },
    },
    {
      title: "Queue, one item at a time: put it, one consumer takes it, wait until it is done",
      contenders: {
        conc: (count) => consumed(count, 1),
        fastq: async (count) => {
          const queue = fastq.promise(work, 1);
          for (let i = 0; i < count; i++) await queue.push(i);
        },
        "p-queue": async (count) => {
          const queue = new PQueue({ concurrency: 1 });
          for (let i = 0; i < count; i++) await queue.add(work);
        },
      },
    },
    {
      title: `Queue, ${WAITERS} items at a time: put them, one consumer takes them, wait until all are done`,
      contenders: {
        conc: (count) => consumed(count, WAITERS),
        fastq: async (count) => {
          const queue = fastq.promise(work, 1);
          await inBatches(count, () => queue.push(0));
        },
        "p-queue": async (count) => {
          const queue = new PQueue({ concurrency: 1 });
          await inBatches(count, () => queue.add(work));
        },
      },
    },
    {
      title: `Pool of ${PERMITS}, one task at a time`,
      contenders: {
        conc: async (count) => {
          const pool = new TaskPool(PERMITS);
          for (let i = 0; i < count; i++) await pool.submit(work);
        },
        fastq: async (count) => {
          const queue = fastq.promise(work, PERMITS);
          for (let i = 0; i < count; i++) await queue.push(i);
        },
        "p-limit": async (count) => {
          const limit = pLimit(PERMITS);
          for (let i = 0; i < count; i++) await limit(work);
        },
        "p-queue": async (count) => {
          const queue = new PQueue({ concurrency: PERMITS });
          for (let i = 0; i < count; i++) await queue.add(work);
        },
      },
    },
    {
      title: `Pool of ${PERMITS}, ${WAITERS} tasks at a time`,
      contenders: {
        conc: (count) => {
          const pool = new TaskPool(PERMITS);
          return inBatches(count, () => pool.submit(work));
        },
        fastq: (count) => {
          const queue = fastq.promise(work, PERMITS);
          return inBatches(count, () => queue.push(0));
        },
        "p-limit": (count) => {
          const limit = pLimit(PERMITS);
          return inBatches(count, () => limit(work));
        },
        "p-queue": (count) => {
          const queue = new PQueue({ concurrency: PERMITS });
          return inBatches(count, () => queue.add(work));
        },
      },
    },
  ];
}

/** Does operations from many tasks that run at the same time. */
async function contend(count: number, task: (rounds: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: WAITERS }, () => task(count / WAITERS)));
}

/** Starts as many operations as there are waiters at a time, and waits for them. */
async function inBatches(count: number, operation: () => Promise<unknown>): Promise<void> {
  for (let left = count; left > 0; left -= WAITERS) {
    const batch = [];
    for (let i = 0; i < WAITERS; i++) batch.push(operation());
    await Promise.all(batch);
  }
}

/** Puts items, so many at a time, for one consumer, and waits until they were reported. */
async function consumed(count: number, atATime: number): Promise<void> {
  const queue = new TaskQueue<number>();
  const consume = async () => {
    for (let left = count; left > 0; left--) {
      await queue.get();
      queue.taskDone();
    }
  };
  const consumer = consume();
  for (let left = count; left > 0; left -= atATime) {
    for (let i = 0; i < atATime; i++) await queue.put(i);
    await queue.join();
  }
  await consumer;
}

/** What it costs to cancel one waiter in the middle of a long line, beside a short line. */
async function cancelAny(): Promise<void> {
  console.log("\nLock: cancel waiters, each with a signal of its own, in random order");
  for (const waiters of [1_000, 10_000, 100_000]) {
    const perCancelUs: number[] = [];
    for (let round = 0; round < 5; round++) perCancelUs.push(await cancelAll(waiters));
    console.log(
      `  ${String(waiters).padStart(7)} waiters  ${median(perCancelUs).toFixed(2).padStart(8)} µs a waiter`,
    );
  }
}

async function cancelAll(waiters: number): Promise<number> {
  const lock = new TaskLock();
  const holder = await lock.acquire();
  const controllers = Array.from({ length: waiters }, () => new AbortController());
  const waits: Promise<Lease | undefined>[] = controllers.map(({ signal }) =>
    lock.acquire({ signal }).catch(() => undefined)
  );
  const order = controllers.map((controller) => ({ controller, key: Math.random() })).sort((a, b) =>
    a.key - b.key
  );
  const startMs = performance.now();
  for (const { controller } of order) controller.abort(null);
  const tookMs = performance.now() - startMs;
  await Promise.all(waits);
  holder.release();
  return tookMs * 1_000 / waiters;
}
