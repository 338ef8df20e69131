/**
 * What runs in each Worker of a {@link ThreadPool}: it loads the function, takes tasks from its port, and sends results back.
 *
 * The Worker is sent the text of {@link serve}, and does not load this file: its URL is another one in the sources, in a bundle and in an
 * executable, while a text is the same everywhere, and loads faster. So `serve` uses nothing from outside itself.
 *
 * @module
 */

import { THREAD_ID_KEY } from "./thread_id.ts";

/** The function that a pool runs: an export of a module, or an expression. */
export type ThreadFunction =
  | {
    /** An absolute URL. What the runtime can import: `file:`, `data:`, `npm:`. */
    module: URL | string;
    /** Which export. Default: `default`. */
    export?: string;
  }
  | {
    /** A JavaScript expression whose value is a function, such as `n => n ** 2`. It sees nothing of where it was written. */
    source: string;
  };

/** What a task is given beside its input. */
export interface ThreadTaskContext {
  /** Which Worker it runs in: numbers from 1, never used twice in a pool. */
  readonly worker: number;
  /** Moves objects such as ArrayBuffers to the caller together with the result that holds them, instead of copying them. */
  transfer(...objects: Transferable[]): void;
}

/** What a Worker is told before its first task. */
export interface WorkerStart {
  /** Where tasks come from and results go to. Not the Worker's own messages: those are left to the function. */
  port: MessagePort;
  /** Where each task is, see {@link CELL}. */
  cells: Int32Array;
  fn: { module: string; export: string } | { source: string };
  /** Whether an input is an array of arguments. */
  spread: boolean;
  worker: number;
  /** What primitives between threads are to know it by, see `thread_id.ts`. */
  threadId: number;
}

/**
 * Tasks for a Worker: the number of the first one, the inputs, and if there are limits, how many milliseconds each may take. Numbers
 * go on from message to message.
 */
export type TaskMessage = [first: number, inputs: unknown[], limitsMs?: number[]];

/** What was thrown: the parts of an Error, or any other value. */
export type Failure = { name: string; message: string; stack: string } | { thrown: unknown };

/** What a Worker says. */
export type WorkerMessage =
  | {
    type: "ready"; /** What the system calls its thread, where that can be asked. */
    thread: number | undefined;
  }
  | { type: "unusable"; problem: string }
  | {
    type: "results";
    /** The number of the first task. */
    first: number;
    /** A result or a {@link Failure} for each task, as its cell says; undefined for a task that was taken back. */
    values: unknown[];
    /** How long they took together. */
    busyMs: number;
  }
  | { type: "died"; failure: Failure };

/**
 * Where a task is. The Worker claims a task (`waiting` to `running`) and the pool takes one back (`waiting` to `cancelled`) by
 * compare-and-exchange on the same cell, so one of them wins: what was taken back never runs, and what runs is known to.
 */
export const CELL = { waiting: 0, running: 1, cancelled: 2, succeeded: 3, failed: 4 } as const;

/** How long results may be held back while more are made. */
const FLUSH_AFTER_MS = 1;
/** How much later than the pool a Worker ends a task that takes too long. */
const LATE_MS = 100;

/** What a Worker is started from: it runs the text of its first message. */
export const WORKER_URL = "data:text/javascript,onmessage=({data})=>(0,eval)(data)";

/** How this code is called in a stack. */
const NAME = "conc:pool_worker";

/** The first message to a Worker; the second one is a {@link WorkerStart}. */
export function workerCode(): string {
  const constants = {
    ...{ cell: CELL, flushAfterMs: FLUSH_AFTER_MS, lateMs: LATE_MS, name: NAME },
    threadIdKey: THREAD_ID_KEY,
  };
  return `(${serve})(${JSON.stringify(constants)})\n//# sourceURL=${NAME}`;
}

/**
 * The Worker's code. It must not refer to anything outside of its own text.
 *
 * Invariant: each task of a message is reported once and in order, unless the Worker dies before.
 */
function serve({ cell, flushAfterMs, lateMs, name, threadIdKey }: {
  cell: typeof CELL;
  flushAfterMs: number;
  lateMs: number;
  name: string;
  threadIdKey: string;
}): void {
  const batches: TaskMessage[] = [];
  let start: WorkerStart;
  let fn: (...args: unknown[]) => unknown;
  let isRunning = false;
  let isClosed = false;
  /** Results that were not sent yet: `first` is the number of the first. */
  let first = 0;
  let values: unknown[] = [];
  let moved: Transferable[] = [];
  let busyMs = 0;
  let sentMs = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let script: { runInThisContext(options: { timeout: number }): unknown } | undefined;

  const scope = globalThis as unknown as {
    onmessage: (event: MessageEvent<WorkerStart>) => void;
    process?: {
      getBuiltinModule(name: "node:vm"): { Script: new (code: string) => NonNullable<typeof script> };
    };
    concTask?: () => unknown;
  };
  const send = (message: WorkerMessage, transfer: Transferable[] = []) =>
    start.port.postMessage(message, transfer);

  scope.onmessage = async ({ data }) => {
    scope.onmessage = () => {};
    start = data;
    Object.defineProperty(globalThis, Symbol.for(threadIdKey), { value: start.threadId });
    guard();
    const problem = await load().catch(unloadable);
    if (problem !== undefined) return send({ type: "unusable", problem });
    start.port.onmessage = ({ data }: MessageEvent<TaskMessage>) => {
      batches.push(data);
      if (!isRunning) void run();
    };
    send({ type: "ready", thread: systemId() });
  };

  function systemId(): number | undefined {
    try {
      return Number(Deno.readLinkSync("/proc/thread-self").split("/").at(-1));
    } catch {
      return undefined;
    }
  }

  /** Whatever would end this Worker silently says so first. What is not sent by then is run again. */
  function guard(): void {
    const watch = (owner: object | undefined, method: string, said: [string, string]) => {
      const end = owner?.[method as never] as ((...args: unknown[]) => unknown) | undefined;
      if (owner === undefined || end === undefined) return;
      const value = (...args: unknown[]) => {
        die({ name: "Error", message: `it called ${said.join(".")}()`, stack: "" });
        return end.apply(owner, args);
      };
      Object.defineProperty(owner, method, { value, configurable: true, writable: true });
    };
    watch(scope, "close", ["self", "close"]);
    watch(Deno, "exit", ["Deno", "exit"]);
    watch(scope.process, "reallyExit", ["process", "exit"]);
    globalThis.addEventListener("error", (event) => {
      event.preventDefault();
      die(failureOf(event.error));
    });
    globalThis.addEventListener("unhandledrejection", (event) => {
      event.preventDefault();
      die(failureOf(event.reason));
    });
  }

  function die(failure: Failure): void {
    if (isClosed) return;
    isClosed = true;
    flush();
    post({ type: "died", failure });
  }

  /** Loads the function; returns what is wrong with it. */
  async function load(): Promise<string | undefined> {
    let value: unknown;
    if ("source" in start.fn) {
      // Parsed between other brackets first: what closes ours, and goes on behind them, is no expression, and none of it is to run.
      new Function(`[${start.fn.source}\n]`);
      // The function is written by who calls us, to be run: that is what it is for.
      // deno-lint-ignore no-eval
      value = (0, eval)(`(${start.fn.source}\n)\n//# sourceURL=conc:function`);
    } else {
      const { module, export: exported } = start.fn;
      const exports: Record<string, unknown> = await import(module);
      if (!(exported in exports)) {
        return `it has no export '${exported}', only ${Object.keys(exports).join(", ") || "none at all"}`;
      }
      value = exports[exported];
    }
    if (typeof value !== "function") {
      return `it must be a function: received ${value === null ? value : typeof value}`;
    }
    fn = value as typeof fn;
    return undefined;
  }

  function unloadable(error: unknown): string {
    const isTypeScript = "module" in start.fn && /\.[cm]?tsx?$/.test(start.fn.module);
    const hint = isTypeScript && error instanceof SyntaxError
      ? ": a compiled program runs no TypeScript: give it the JavaScript"
      : "";
    return describe(error).replace(/\s*\n[^]*$/, "") + hint;
  }

  async function run(): Promise<void> {
    isRunning = true;
    const { cells, spread, worker } = start;
    const context = {
      worker,
      transfer: (...objects: Transferable[]) => void moved.push(...objects),
    };
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
      const [number, inputs, limitsMs] = batch;
      // Before a task is claimed: loading it takes a while, and who is cancelled meanwhile is not to run.
      if (limitsMs !== undefined) script ??= limitingScript();
      first = number;
      sentMs = performance.now();
      let startMs = sentMs;
      for (let at = 0; at < inputs.length; at++) {
        const index = (number + at) % cells.length;
        if (Atomics.compareExchange(cells, index, cell.waiting, cell.running) !== cell.waiting) {
          values.push(undefined);
          continue;
        }
        let state: number = cell.succeeded;
        let value: unknown;
        try {
          const args = spread ? inputs[at] as unknown[] : [inputs[at], context];
          const limitMs = limitsMs?.[at] ?? Infinity;
          value = limitMs === Infinity ? fn(...args) : limited(() => fn(...args), limitMs);
          if (isThenable(value)) {
            // While we wait, results that are there are not to wait with us.
            timer ??= setTimeout(flushLater, flushAfterMs);
            value = await value;
          }
        } catch (error) {
          state = cell.failed;
          value = failureOf(error);
        }
        if (isClosed) return;
        Atomics.store(cells, index, state);
        if (moved.length > 0) {
          flush();
          values.push(value);
          flush(moved);
          moved = [];
        } else values.push(value);
        const nowMs = performance.now();
        busyMs += nowMs - startMs;
        startMs = nowMs;
        if (nowMs - sentMs >= flushAfterMs) flush();
      }
      flush();
    }
    isRunning = false;
  }

  /**
   * Runs a function, but not for much longer than the limit: the pool ends this Worker then, which Deno does not do to one that is in
   * a loop that never ends (2.9), or only after two seconds (2.4). This does not concern what is done after an await.
   */
  function limited(run: () => unknown, limitMs: number): unknown {
    scope.concTask = run;
    const startMs = performance.now();
    try {
      return script!.runInThisContext({ timeout: Math.min(Math.ceil(limitMs) + lateMs, 2 ** 31 - 1) });
    } catch (error) {
      // The pool knows, and is told nothing else.
      if (performance.now() - startMs >= limitMs) isClosed = true;
      throw error;
    }
  }

  function limitingScript(): NonNullable<typeof script> {
    const { Script } = scope.process!.getBuiltinModule("node:vm");
    return new Script("concTask()");
  }

  function flushLater(): void {
    timer = undefined;
    if (!isClosed) flush();
  }

  /** Sends the results that are there. */
  function flush(transfer?: Transferable[]): void {
    if (values.length === 0) return;
    const message = { type: "results" as const, first, values, busyMs };
    first += values.length;
    values = [];
    busyMs = 0;
    sentMs = performance.now();
    post(message, transfer);
  }

  /** Sends a message. What cannot be cloned in it fails alone. */
  function post(message: WorkerMessage, transfer?: Transferable[]): void {
    try {
      return send(message, transfer);
    } catch (error) {
      if (message.type === "died") return send({ ...message, failure: plain(message.failure, error) });
      if (message.type !== "results") throw error;
      if (message.values.length === 1) {
        const index = message.first % start.cells.length;
        const wasFailed = Atomics.exchange(start.cells, index, cell.failed) === cell.failed;
        const value = wasFailed ? plain(message.values[0] as Failure, error) : failureOf(error);
        return send({ ...message, values: [value] });
      }
      for (const [at, value] of message.values.entries()) {
        post({
          ...message,
          first: message.first + at,
          values: [value],
          busyMs: at === 0 ? message.busyMs : 0,
        });
      }
    }
  }

  /** What was thrown and cannot be cloned, as text. */
  function plain(failure: Failure, error: unknown): Failure {
    return "thrown" in failure ? { thrown: describe(failure.thrown) } : failureOf(error);
  }

  function isThenable(value: unknown): value is PromiseLike<unknown> {
    return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
  }

  /** An Error of any realm in parts; the frames of this code are left out of its stack. */
  function failureOf(error: unknown): Failure {
    try {
      if (!(error instanceof Error)) return { thrown: error };
      const frames = String(error.stack ?? "").split("\n");
      const ours = frames.findIndex((frame) => frame.includes(name));
      const stack = frames.slice(0, ours < 0 ? undefined : ours).join("\n");
      return { name: String(error.name), message: String(error.message), stack };
    } catch {
      return { name: "Error", message: "what was thrown cannot be read", stack: "" };
    }
  }

  function describe(error: unknown): string {
    try {
      return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    } catch {
      return "what was thrown cannot be read";
    }
  }
}
