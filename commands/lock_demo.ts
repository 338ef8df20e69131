/**
 * `conc lock-demo`: what locks are for, what goes wrong without them, and what goes wrong with them.
 *
 * @module
 */

import { UsageError } from "../lib/errors.ts";
import type { LockKind, Stage, StageOptions } from "../lib/demo/stage.ts";
import type { DemoStep } from "../lib/demo/tell.ts";
import { planTickets } from "../lib/demo/tickets.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import {
  type DurationRange,
  formatDuration,
  parseDuration,
  parseDurationRange,
} from "../lib/time/duration.ts";
import { parseCount } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { FAILURE, SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";
import { brokerUrl, STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

/** How each reach gets its stage. */
const STAGES = {
  task: async (_place: Place): Promise<Stage> => (await import("../lib/demo/task_stage.ts")).taskStage,
  thread: async (_place: Place): Promise<Stage> => (await import("../lib/demo/thread_stage.ts")).threadStage,
  host: async (_place: Place): Promise<Stage> => (await import("../lib/demo/host_stage.ts")).hostStage,
  cluster: async (place: Place): Promise<Stage> => {
    const url = brokerUrl(...place);
    if (url === undefined) {
      throw new UsageError("the cluster reach needs a broker: name it with --store amqp://… or CONC_STORE");
    }
    return (await import("../lib/demo/cluster_stage.ts")).clusterStage(url);
  },
};

/** What says where the store is. */
type Place = Parameters<typeof brokerUrl>;

type Reach = keyof typeof STAGES;
type Scenario = "tickets" | "deadlock" | "reentrant";

type LockDemoFlags = StoreFlags & {
  scenario: Scenario;
  reach: Reach;
  lock?: LockKind;
  buyers: number;
  tickets: number;
  delay: DurationRange;
  seed?: number;
  timeout: number;
  actor: boolean;
};

/** What a scenario came to. */
interface Outcome {
  worked: boolean;
  /** For people. */
  text: string;
  /** For programs. */
  details: Record<string, unknown>;
}

export default command<LockDemoFlags>({
  brief: "What locks are for, without one and with one",
  description: `tickets    Buyers look at one stock together, and buy one at a time. Without a
           lock each update is lost in the next one's, and a ticket is sold
           many times. At the host reach the stock is a JSON file, and each
           buyer a process; at the cluster reach the lock is at a broker.
deadlock   Two holders take two locks in opposite order and wait for each other;
           the circle is found, named and broken.
reentrant  An owner takes its lock three times; another waits for the third
           release. With a plain lock the owner waits for itself.

Exit code: 0, or 1 if an invariant broke: oversold, or not reentrant.`,
  examples: [
    { line: "conc lock-demo --buyers 8 --tickets 3", does: "Three tickets, eight buyers, one lock" },
    { line: "conc lock-demo --lock none --seed 1", does: "The same without a lock: oversold", exitCode: 1 },
    { line: "conc lock-demo --scenario deadlock", does: "Two holders wait for each other" },
  ],
  words: { usage: "", minimum: 0, maximum: 0 },
  flags: {
    scenario: {
      kind: "enum",
      values: ["tickets", "deadlock", "reentrant"],
      default: "tickets",
      brief: "What is played",
    },
    reach: {
      kind: "enum",
      values: Object.keys(STAGES) as Reach[],
      default: "task",
      brief:
        "Who plays: async tasks of one event loop, Workers, processes, or processes with their locks at a broker",
    },
    lock: {
      kind: "enum",
      values: ["none", "lock", "rlock"],
      optional: true,
      brief: "What keeps them apart (lock; in the scenario reentrant rlock)",
    },
    buyers: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      default: "10",
      placeholder: "N",
      brief: "How many want a ticket",
    },
    tickets: {
      kind: "parsed",
      parse: (text: string) => parseCount(text),
      default: "3",
      placeholder: "N",
      brief: "How many tickets there are",
    },
    delay: {
      kind: "parsed",
      parse: parseDurationRange,
      default: "20ms..100ms",
      placeholder: "D[..D]",
      brief: "How long buying takes each of them",
    },
    seed: {
      kind: "parsed",
      parse: (text: string) => parseCount(text),
      optional: true,
      placeholder: "N",
      brief: "Draw the same delays again",
    },
    timeout: {
      kind: "parsed",
      parse: parseDuration,
      default: "2s",
      placeholder: "D",
      brief: "How long a wait lasts that should not end",
    },
    ...STORE_FLAGS,
    actor: {
      kind: "boolean",
      default: false,
      withNegated: false,
      hidden: true,
      brief: "Play the part that is read from stdin",
    },
  },
  run: runLockDemo,
});

async function runLockDemo(context: Context, flags: LockDemoFlags & CommonFlags): Promise<number> {
  const { scenario, reach, json, timeout: timeoutMs } = flags;
  if (flags.actor) return await playPart(context);
  const lock = flags.lock ?? (scenario === "reentrant" ? "rlock" : "lock");
  if (lock === "none" && scenario !== "tickets") {
    throw new UsageError(`scenario ${scenario} is about locks: --lock lock or rlock`);
  }
  if (flags.store !== undefined && reach !== "cluster") {
    throw new UsageError("--store is for the cluster reach: --reach cluster, or leave it out");
  }
  const stage = await STAGES[reach]([context, flags]);
  const startedMs = context.monotonic();
  const elapsedMs = () => Math.round(context.monotonic() - startedMs);
  const tell = (step: DemoStep) =>
    context.stdout.write(
      json ? ndjson({ type: "step", ...step, elapsedMs: elapsedMs() }) : line(step, elapsedMs()),
    );
  using interrupts = new Interrupts();
  const options = { lock, tell, timeoutMs, signal: interrupts.first };
  const { worked, text, details } = await play(stage, { flags, options }).catch((error) => {
    throw interrupts.first.aborted ? interrupts.first.reason : error;
  });
  const exitCode = worked ? SUCCESS : FAILURE;
  if (json) {
    await context.stdout.write(
      ndjson({ type: "summary", scenario, reach, lock, ...details, exitCode, durationMs: elapsedMs() }),
    );
  }
  if (!worked) await say(context, text);
  else if (!json && !flags.quiet) {
    await context.stdout.write(`${formatDuration(elapsedMs()).padStart(7)}  ${text}\n`);
  }
  return exitCode;
}

/** One of the processes of the host reach, which the first one starts; see `host_stage.ts`. */
async function playPart({ stdin, stdout }: Context): Promise<number> {
  const { playHostPart } = await import("../lib/demo/host_actor.ts");
  await playHostPart(stdin, (line) => stdout.write(line));
  return SUCCESS;
}

async function play(
  stage: Stage,
  { flags, options }: { flags: LockDemoFlags; options: StageOptions },
): Promise<Outcome> {
  if (flags.scenario === "tickets") return await playTickets(stage, { flags, options });
  if (flags.scenario === "deadlock") {
    const [circle] = await stage.deadlock(options);
    const deadlock = circle ?? null;
    return { worked: true, text: "found, named and broken; both held both locks", details: { deadlock } };
  }
  const worked = await stage.reentrant(options);
  const text = worked
    ? "the owner took it three times"
    : "the lock is not reentrant: its owner waited for itself";
  return { worked, text, details: { reentrant: worked } };
}

async function playTickets(
  stage: Stage,
  { flags, options }: { flags: LockDemoFlags; options: StageOptions },
): Promise<Outcome> {
  const { buyers, tickets, delay: delayRange } = flags;
  const seed = flags.seed ?? Math.floor(Math.random() * 2 ** 32);
  const plan = planTickets({ buyers, tickets, delayRange, seed });
  const { sold, left } = await stage.sellTickets(plan, options);
  const worked = sold === Math.min(buyers, tickets) && left === tickets - sold;
  const text = worked
    ? `${sold} of ${tickets} tickets sold to ${buyers} buyers, ${left} left`
    : `oversold: ${buyers} buyers got ${sold} tickets, there were ${tickets}, and the stock says that ${left} are left`;
  return { worked, text, details: { buyers, tickets, sold, left, seed } };
}

function line({ who, step, left, lock, depth, detail }: DemoStep, elapsedMs: number): string {
  const words = [
    ...[who, step],
    ...(lock === undefined ? [] : [lock]),
    ...(left === undefined ? [] : [`(${left} left)`]),
    ...(depth === undefined ? [] : [`(depth ${depth})`]),
  ];
  const text = words.join(" ") + (detail === undefined ? "" : `: ${detail}`);
  return `${formatDuration(elapsedMs).padStart(7)}  ${text}\n`;
}
