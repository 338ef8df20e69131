/**
 * `conc sem demo`: the tutorial's five keys at the door of a room that twenty want to enter.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { ndjson } from "../lib/report/ndjson.ts";
import { seededRandom } from "../lib/random.ts";
import { gather } from "../lib/task/gather.ts";
import { TaskSemaphore } from "../lib/task/semaphore.ts";
import { type DurationRange, formatDuration, parseDurationRange } from "../lib/time/duration.ts";
import { parseCount } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { FAILURE, SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";

type SemDemoFlags = { tasks: number; permits: number; hold: DurationRange; seed?: number };

/** How far a task is: it waits, holds a permit, or is done. */
type State = "." | "#" | "o";

export default command<SemDemoFlags>({
  brief: "Twenty tasks, five permits, drawn live",
  description: `One character for each task: . waits, # holds a permit, o is done. Waiters are
served first come first served. Where stdout is no terminal each step is a line.`,
  examples: [
    { line: "conc sem demo --hold 20ms..60ms", does: "Twenty tasks, five at a time" },
    { line: "conc sem demo --tasks 6 --permits 2 --hold 10ms --json", does: "For programs" },
  ],
  words: { usage: "", minimum: 0, maximum: 0 },
  flags: {
    tasks: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      default: "20",
      placeholder: "N",
      brief: "How many tasks there are",
    },
    permits: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      default: "5",
      placeholder: "N",
      brief: "How many permits there are",
    },
    hold: {
      kind: "parsed",
      parse: parseDurationRange,
      default: "1s..3s",
      placeholder: "D[..D]",
      brief: "How long each task holds its permit",
    },
    seed: {
      kind: "parsed",
      parse: (text: string) => parseCount(text),
      optional: true,
      placeholder: "N",
      brief: "Draw the same times again",
    },
  },
  run: runDemo,
});

async function runDemo(context: Context, flags: SemDemoFlags & CommonFlags): Promise<number> {
  const { tasks, permits, hold, seed, json } = flags;
  const random = seededRandom(seed ?? Math.floor(Math.random() * 2 ** 32));
  const semaphore = new TaskSemaphore(permits);
  const states = new Array<State>(tasks).fill(".");
  const startedMs = context.monotonic();
  const elapsedMs = () => Math.round(context.monotonic() - startedMs);
  let most = 0;
  const show = async (index: number, state: State) => {
    states[index] = state;
    const holding = states.filter((each) => each === "#").length;
    const waiting = states.filter((each) => each === ".").length;
    most = Math.max(most, holding);
    const step = state === "#" ? "acquires" : "releases";
    if (json) {
      const counts = { holding, waiting };
      await context.stdout.write(
        ndjson({ type: "step", task: index + 1, step, ...counts, elapsedMs: elapsedMs() }),
      );
    } else if (context.stdout.isTerminal) {
      const line = `${states.join("")}  ${holding} of ${permits} permits held, ${waiting} waiting`;
      await context.stdout.write(`\r\x1b[K${line.slice(0, context.columns() - 1)}`);
    } else {
      const line = `task ${index + 1} ${step}: ${holding} of ${permits} permits held, ${waiting} waiting`;
      await context.stdout.write(`${formatDuration(elapsedMs()).padStart(7)}  ${line}\n`);
    }
  };
  using interrupts = new Interrupts();
  const runs = states.map((_, index) => async (signal: AbortSignal) => {
    using _permit = await semaphore.acquire({ signal });
    await show(index, "#");
    await delay(hold.minMs + random() * (hold.maxMs - hold.minMs), { signal });
    await show(index, "o");
  });
  try {
    await gather(runs, { mode: "all", signal: interrupts.first });
  } finally {
    if (context.stdout.isTerminal && !json) await context.stdout.write("\n");
  }
  const durationMs = elapsedMs();
  if (json) await context.stdout.write(ndjson({ type: "summary", tasks, permits, most, durationMs }));
  else {await context.stdout.write(
      `${tasks} tasks, at most ${most} at a time, in ${formatDuration(durationMs)}\n`,
    );}
  if (most <= permits) return SUCCESS;
  await say(context, `${most} tasks held ${permits} permits`);
  return FAILURE;
}
