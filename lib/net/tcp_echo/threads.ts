/**
 * A TCP echo server of several threads, each of which accepts clients at the same port (SO_REUSEPORT, socket(7)): the system spreads
 * them.
 *
 * @module
 */

import { SystemError, WorkerDiedError } from "../../errors.ts";
import type { Address } from "../address.ts";
import { takeOver } from "../socket/listening_sockets.ts";
import { type EchoSockets, listen, type TlsIdentity } from "./listener.ts";
import type { EchoLoopSettings } from "./loop.ts";
import type { CountersMemory } from "./counters.ts";
import type { ThreadNews, ThreadOrder, ThreadStart } from "./thread.ts";

/** Options of {@link serveFromThreads}. */
export interface ThreadsOptions {
  threads: number;
  tls: TlsIdentity | undefined;
  sockets: EchoSockets;
  settings: EchoLoopSettings;
  memory: CountersMemory;
  maximum: number;
  signal: AbortSignal;
  killSignal: AbortSignal;
  notice: (text: string) => void;
}

/**
 * Starts the threads.
 *
 * @param endpoint Where; port 0 is one that is free.
 * @returns Where they listen, and what settles when all have ended.
 * @throws {SystemError} If they cannot listen there.
 */
export async function serveFromThreads(
  endpoint: Address,
  options: ThreadsOptions,
): Promise<{ endpoint: Address; ended: Promise<void> }> {
  const { threads, signal, killSignal, notice, sockets, ...shared } = options;
  // Sharing a port is asked for by everyone who listens there: whether another program does is found out without it.
  const probe = await listen(endpoint, { tls: options.tls });
  const { port } = probe.addr as Deno.NetAddr;
  probe.close();
  const place = { ...endpoint, port };
  const isPlain = options.tls === undefined && sockets === "fastest";
  const descriptors = isPlain ? await listenOften(place, threads) : [];
  const crew = Array.from(
    { length: threads },
    (_, thread) =>
      new EchoThread({ ...shared, endpoint: place, descriptor: descriptors[thread], thread }, notice),
  );
  const order = (text: ThreadOrder) => () => crew.forEach((thread) => thread.order(text));
  const [drain, kill] = [order("drain"), order("kill")];
  const dismiss = () => {
    signal.removeEventListener("abort", drain);
    killSignal.removeEventListener("abort", kill);
    for (const thread of crew) thread[Symbol.dispose]();
  };
  const ended = Promise.all(crew.map((thread) => thread.ended)).then(() => {}).finally(dismiss);
  ended.catch(() => {});
  // A thread that fails before all listen ends the others.
  await Promise.race([Promise.all(crew.map((thread) => thread.listening)), ended]);
  signal.addEventListener("abort", drain, { once: true });
  killSignal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) drain();
  if (killSignal.aborted) kill();
  return { endpoint: { hostname: (probe.addr as Deno.NetAddr).hostname, port }, ended };
}

/**
 * Listens at one address with several sockets, each of which is then in no hand but ours.
 *
 * @returns Their descriptors; none where that is not possible.
 */
async function listenOften(endpoint: Address, count: number): Promise<number[]> {
  const descriptors: number[] = [];
  while (descriptors.length < count) {
    const listener = await listen(endpoint, { reusePort: true });
    const descriptor = takeOver(listener, descriptors);
    if (descriptor !== undefined) descriptors.push(descriptor);
    else {
      listener.close();
      break;
    }
  }
  return descriptors;
}

/** One Worker. Its promises reject if it cannot listen, or dies. */
class EchoThread implements Disposable {
  readonly listening: Promise<void>;
  readonly ended: Promise<void>;
  readonly #worker: Worker;

  constructor(start: ThreadStart, notice: (text: string) => void) {
    const listening = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    [this.listening, this.ended] = [listening.promise, ended.promise];
    const fail = (error: Error) => {
      listening.reject(error);
      ended.reject(error);
    };
    listening.promise.catch(() => {});
    this.#worker = new Worker(import.meta.resolve("./thread.ts"), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<ThreadNews>) => {
      if (data.type === "listening") listening.resolve();
      else if (data.type === "ended") ended.resolve();
      else if (data.type === "notice") notice(data.text);
      else fail(new SystemError(data.message));
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      fail(new WorkerDiedError(`thread ${start.thread + 1} of the echo server died: ${event.message}`));
    };
    this.#worker.postMessage(start);
  }

  order(text: ThreadOrder): void {
    this.#worker.postMessage(text);
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}
