/**
 * The implementations that the conformance suites run over: one entry a reach. A suite codes against the interfaces only, so to hold
 * another reach to them is to add its entry here.
 *
 * @module
 */

import type { Awaitable, Event, Lock, Queue, QueueKind, RLock, Semaphore } from "../../lib/primitives.ts";
import { TaskEvent } from "../../lib/task/event.ts";
import { TaskLock } from "../../lib/task/lock.ts";
import { TaskQueue } from "../../lib/task/queue.ts";
import { runAsOwner, TaskRLock } from "../../lib/task/rlock.ts";
import { TaskSemaphore } from "../../lib/task/semaphore.ts";
import { ThreadEvent } from "../../lib/thread/event.ts";
import type { ThreadHandle } from "../../lib/thread/handle.ts";
import { ThreadLock } from "../../lib/thread/lock.ts";
import { ThreadQueue } from "../../lib/thread/queue.ts";
import { ThreadSemaphore } from "../../lib/thread/semaphore.ts";
import type { HostEvent } from "../../lib/host/event.ts";
import type { HostLock } from "../../lib/host/lock.ts";
import type { HostSemaphore } from "../../lib/host/semaphore.ts";
import { CLUSTER, type ClusterSubject, openObject } from "./cluster.ts";
import { type HostSubject, openStore, openSubject } from "./host.ts";
import { Parties, type PartyChannel, Shared, startProcess } from "./party.ts";

/** Makes fresh primitives. What has `Symbol.asyncDispose` is disposed of after its test. */
export interface Reach {
  name: string;
  /** What it cannot do, by how the titles of those tests begin, and why. */
  lacks?: Readonly<Record<string, string>>;
  /** Milliseconds after which no further random program is run against it. Default: when a test has to be done. */
  programsMs?: number;
  lock(): Awaitable<Lock>;
  /** A reentrant lock, and how to be another owner of it; absent where there is none. */
  rlock?: {
    make(): Awaitable<RLock>;
    asOwner<T>(fn: () => Promise<T>): Promise<T>;
  };
  semaphore(permits: number): Awaitable<Semaphore>;
  event(): Awaitable<Event>;
  queue(options: { kind?: QueueKind; maxSize?: number }): Awaitable<Queue<string>>;
}

export const reaches: readonly Reach[] = [
  {
    name: "task",
    lock: () => new TaskLock(),
    rlock: { make: () => new TaskRLock(), asOwner: runAsOwner },
    semaphore: (permits) => new TaskSemaphore(permits),
    event: () => new TaskEvent(),
    queue: (options) => new TaskQueue(options),
  },
  {
    name: "thread",
    lock: () => new ThreadLock(),
    semaphore: (permits) => new ThreadSemaphore(permits),
    event: () => new ThreadEvent(),
    queue: (options) => new ThreadQueue(options),
  },
  {
    name: "thread, between Workers",
    lock: () => between(new ThreadLock()),
    semaphore: (permits) => between(new ThreadSemaphore(permits)),
    event: () => between(new ThreadEvent()),
    queue: (options) => between(new ThreadQueue<string>(options)),
  },
  {
    name: "host",
    lock: () => openSubject(subject("lock")) as HostLock,
    semaphore: (permits) => openSubject(subject("semaphore", { permits })) as HostSemaphore,
    event: () => openSubject(subject("event")) as HostEvent,
    queue: (options) => openSubject(subject("queue", options)) as unknown as Queue<string>,
  },
  {
    name: "host, between processes",
    lock: () => betweenProcesses(subject("lock")),
    semaphore: (permits) => betweenProcesses(subject("semaphore", { permits })),
    event: () => betweenProcesses(subject("event")),
    queue: (options) => betweenProcesses(subject("queue", options)),
  },
  ...clusterReaches(),
];

/** Those over a broker, if there is one. */
function clusterReaches(): Reach[] {
  const { url } = CLUSTER;
  if (url === undefined) return [];
  const subject = (
    kind: ClusterSubject["kind"],
    options: ClusterSubject["options"] = {},
  ): ClusterSubject => ({
    ...{ kind, url, options },
    name: crypto.randomUUID(),
  });
  const parties = new Parties(
    [1, 2].map(() => startProcess(import.meta.resolve("./cluster_party.ts"))),
  );
  const between = async (subject: ClusterSubject) => new Shared(parties, await parties.attach(subject));
  return [
    {
      name: "cluster",
      ...{ lacks: CLUSTER.lacks, programsMs: CLUSTER.programsMs },
      lock: () => openObject(subject("lock")) as Promise<Lock>,
      semaphore: (permits) => openObject(subject("semaphore", { permits })) as Promise<Semaphore>,
      event: () => openObject(subject("event")) as Promise<Event>,
      queue: (options) => openObject(subject("queue", options)) as Promise<Queue<string>>,
    },
    {
      name: "cluster, between processes",
      ...{ lacks: CLUSTER.lacks, programsMs: CLUSTER.programsMs },
      lock: () => between(subject("lock")),
      semaphore: (permits) => between(subject("semaphore", { permits })),
      event: () => between(subject("event")),
      queue: (options) => between(subject("queue", options)),
    },
  ];
}

/** A store for all tests, and a name for each primitive in it. */
const path = `${await Deno.makeTempDir({ prefix: "conc-conformance-" })}/conc.db`;
let names = 0;
openStore(path);

function subject(kind: HostSubject["kind"], options: HostSubject["options"] = {}): HostSubject {
  return { kind, path, name: `n${++names}`, options };
}

const processes = new Parties([1, 2].map(() => startProcess(import.meta.resolve("./host_party.ts"))));

async function betweenProcesses(subject: HostSubject): Promise<Shared> {
  return new Shared(processes, await processes.attach(subject));
}

/** Two Workers for all tests: they are there before the first and after the last. */
const workers = new Parties([1, 2].map(() => {
  const worker = new Worker(import.meta.resolve("./thread_party.ts"), { type: "module" });
  const channel: PartyChannel = { send: (request) => worker.postMessage(request), receive: () => {} };
  worker.onmessage = ({ data }) => channel.receive(data);
  return channel;
}));

async function between({ handle }: { handle: ThreadHandle }): Promise<Shared> {
  return new Shared(workers, await workers.attach(handle));
}
