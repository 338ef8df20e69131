/**
 * The Worker that is one thread of a TCP echo server.
 *
 * @module
 */

import { ConcError } from "../../errors.ts";
import type { Address } from "../address.ts";
import { type CountersMemory, TcpEchoCounters } from "./counters.ts";
import { accepting, acceptingAt, listen, type TlsIdentity } from "./listener.ts";
import { EchoLoop, type EchoLoopSettings } from "./loop.ts";

/** What the server tells a thread first; then follow `drain` and `kill`. */
export interface ThreadStart {
  endpoint: Address;
  /** A socket that listens there already, which then belongs to the thread. */
  descriptor: number | undefined;
  tls: TlsIdentity | undefined;
  settings: EchoLoopSettings;
  memory: CountersMemory;
  thread: number;
  maximum: number;
}

/** What a thread tells the server. */
export type ThreadNews =
  | { type: "listening" }
  | { type: "ended" }
  | { type: "notice"; text: string }
  | { type: "failed"; message: string };

/** What ends a thread: in order, or at once. */
export type ThreadOrder = "drain" | "kill";

/** The part of the global scope of a Worker that is used here; the configuration has no types for it. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<ThreadStart | ThreadOrder>) => void) | null;
  postMessage(news: ThreadNews): void;
}

const scope = globalThis as unknown as WorkerScope;
const drain = new AbortController();
const kill = new AbortController();

scope.onmessage = ({ data }) => {
  if (data === "drain") drain.abort();
  else if (data === "kill") kill.abort();
  else void serve(data);
};

async function serve({ endpoint, descriptor, tls, ...start }: ThreadStart): Promise<void> {
  const { settings, memory, thread, maximum } = start;
  try {
    const listener = descriptor === undefined
      ? accepting(await listen(endpoint, { tls, reusePort: true }), { tls, sockets: "runtime" })
      : acceptingAt(descriptor);
    const notice = (text: string) => scope.postMessage({ type: "notice", text });
    const counters = new TcpEchoCounters(memory, { thread, maximum });
    const loop = new EchoLoop(listener, { settings, counters, notice });
    scope.postMessage({ type: "listening" });
    await loop.run({ signal: drain.signal, killSignal: kill.signal });
    scope.postMessage({ type: "ended" });
  } catch (error) {
    if (!(error instanceof ConcError)) throw error;
    scope.postMessage({ type: "failed", message: error.message });
  }
}
