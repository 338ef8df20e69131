/**
 * `conc gather demo`: the tutorial's coroutines. Eat and play take three seconds each, and both are done in three.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { ndjson } from "../lib/report/ndjson.ts";
import { gather } from "../lib/task/gather.ts";
import { formatDuration, parseDuration } from "../lib/time/duration.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";

type DemoFlags = { each: number };

export default command<DemoFlags>({
  brief: "Eat and play at once: two tasks of 3s, done in 3s",
  description: `Two async tasks in one thread. Each gives way while it waits, so that the other
goes on; neither needs a thread or a process of its own.`,
  examples: [
    { line: "conc gather demo --each 0.2s", does: "The same, faster" },
    { line: "conc gather demo --each 100ms --json", does: "For programs" },
  ],
  words: { usage: "", minimum: 0, maximum: 0 },
  flags: {
    each: {
      kind: "parsed",
      parse: parseDuration,
      default: "3s",
      placeholder: "D",
      brief: "How long each task takes",
    },
  },
  run: runDemo,
});

async function runDemo(context: Context, { each, json }: DemoFlags & CommonFlags): Promise<number> {
  const startedMs = context.monotonic();
  const elapsedMs = () => Math.round(context.monotonic() - startedMs);
  const tell = (name: string, step: "begins" | "ends") =>
    context.stdout.write(
      json
        ? ndjson({ type: "step", name, step, elapsedMs: elapsedMs() })
        : `${column(elapsedMs())}  ${name} ${step}\n`,
    );
  const task = (name: string) => async (signal: AbortSignal) => {
    await tell(name, "begins");
    await delay(each, { signal });
    await tell(name, "ends");
  };
  using interrupts = new Interrupts();
  await gather([task("eat"), task("play")], { mode: "all", signal: interrupts.first });
  const took = elapsedMs();
  await context.stdout.write(
    json
      ? ndjson({ type: "summary", tasks: 2, eachMs: each, durationMs: took })
      : `${column(took)}  2 tasks of ${formatDuration(each)} each, done in one thread\n`,
  );
  return SUCCESS;
}

function column(ms: number): string {
  return formatDuration(ms).padStart(7);
}
