/**
 * `conc queue demo`: the tutorial's three queues.
 *
 * @module
 */

import { TimeoutError } from "../lib/errors.ts";
import type { QueueKind } from "../lib/primitives.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { TaskQueue } from "../lib/task/queue.ts";
import { formatDuration, parseDuration } from "../lib/time/duration.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";

type QueueDemoFlags = { timeout: number };

/** What is done with a queue: an item is put, or one is gotten. */
type Operation = { put: string; priority?: number } | "get";

const FIFO: Operation[] = [
  { put: "1" },
  { put: "2" },
  { put: "3" },
  { put: "4" },
  "get",
  { put: "4" },
  "get",
  "get",
  "get",
];
const LIFO: Operation[] = [{ put: "1" }, { put: "2" }, { put: "3" }, "get", "get", "get"];
const PRIORITY: Operation[] = [
  { put: "a", priority: 10 },
  { put: "b", priority: -3 },
  { put: "c", priority: 100 },
  "get",
  "get",
  "get",
];

export default command<QueueDemoFlags>({
  brief: "Three queues: fifo of size 3, lifo, and by priority",
  description: `The first is full after three items, so that a fourth waits until its time runs
out; after a get there is room for it. The second is a stack. From the third the
smallest number comes first.`,
  examples: [
    { line: "conc queue demo --timeout 0.2s", does: "Three queues, item by item" },
    { line: "conc queue demo --timeout 50ms --json", does: "For programs" },
  ],
  words: { usage: "", minimum: 0, maximum: 0 },
  flags: {
    timeout: {
      kind: "parsed",
      parse: parseDuration,
      default: "3s",
      placeholder: "D",
      brief: "How long a put waits while the queue is full",
    },
  },
  run: runDemo,
});

async function runDemo(context: Context, flags: QueueDemoFlags & CommonFlags): Promise<number> {
  using interrupts = new Interrupts();
  const signal = interrupts.first;
  await play(context, { kind: "fifo", maxSize: 3, operations: FIFO, flags, signal });
  await play(context, { kind: "lifo", operations: LIFO, flags, signal });
  await play(context, { kind: "priority", operations: PRIORITY, flags, signal });
  return SUCCESS;
}

async function play(
  context: Context,
  { kind, maxSize = Infinity, operations, flags, signal }: {
    kind: QueueKind;
    maxSize?: number;
    operations: readonly Operation[];
    flags: QueueDemoFlags & CommonFlags;
    signal: AbortSignal;
  },
): Promise<void> {
  const queue = new TaskQueue<string>({ kind, maxSize });
  for (const operation of operations) {
    const startedMs = context.monotonic();
    const { item, state } = await apply(queue, operation, { timeoutMs: flags.timeout, signal });
    const step = operation === "get" ? "get" : "put";
    const priority = operation === "get" ? undefined : operation.priority;
    const { size } = queue.statistics();
    const waitedMs = Math.round(context.monotonic() - startedMs);
    await context.stdout.write(
      flags.json
        ? ndjson({ type: "step", queue: kind, step, item, priority, state, size, waitedMs })
        : `${kind.padEnd(8)}  ${describe(operation, item)}  ${outcome(state, { waitedMs, size })}\n`,
    );
  }
}

async function apply(
  queue: TaskQueue<string>,
  operation: Operation,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<{ item: string; state: "ok" | "timeout" }> {
  if (operation === "get") return { item: await queue.get(options), state: "ok" };
  const { put: item, priority = 0 } = operation;
  try {
    await queue.put(item, { priority, ...options });
    return { item, state: "ok" };
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    return { item, state: "timeout" };
  }
}

function describe(operation: Operation, item: string): string {
  if (operation === "get") return `get -> ${item}`.padEnd(24);
  const { priority } = operation;
  return `put ${item}${priority === undefined ? "" : ` with priority ${priority}`}`.padEnd(24);
}

function outcome(state: "ok" | "timeout", { waitedMs, size }: { waitedMs: number; size: number }): string {
  return state === "ok" ? `${size} inside` : `full: gave up after ${formatDuration(waitedMs)}`;
}
