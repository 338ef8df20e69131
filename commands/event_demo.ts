/**
 * `conc event demo`: the tutorial's database. One task checks that it is there, three wait to connect to it.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { EitherSignal } from "../lib/abort.ts";
import { TimeoutError } from "../lib/errors.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { TaskEvent } from "../lib/task/event.ts";
import { gather } from "../lib/task/gather.ts";
import { formatDuration, parseDuration } from "../lib/time/duration.ts";
import { parseCount } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { FAILURE, SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";

type EventDemoFlags = { check: number; wait: number; tries: number; connectors: number };

/** What one of them does. */
type Step =
  | { who: string; step: "begins" | "stops" | "times out" }
  | { who: string; step: "sets" | "connects"; data: string | undefined }
  | { who: string; step: "waits"; attempt: number };

/** What the event brings: where the database is. */
const ADDRESS = "db:5432";

export default command<EventDemoFlags>({
  brief: "One task checks the database, three wait to connect",
  description: `The checker sets the event once it is done, and one set wakes all who wait.
Who waited in vain tries again; after its last try its connection has timed out.
When nobody waits any more, the checker stops.

Exit code: 0, or 1 if a connection timed out.`,
  examples: [
    { line: "conc event demo --check 0.5s --wait 0.2s", does: "All connect in the third wait" },
    {
      line: "conc event demo --check 1s --wait 0.1s",
      does: "The check takes longer than they wait",
      exitCode: 1,
    },
    { line: "conc event demo --check 50ms --wait 20ms --json", does: "For programs" },
  ],
  words: { usage: "", minimum: 0, maximum: 0 },
  flags: {
    check: {
      kind: "parsed",
      parse: parseDuration,
      default: "5s",
      placeholder: "D",
      brief: "How long the check takes",
    },
    wait: {
      kind: "parsed",
      parse: parseDuration,
      default: "2s",
      placeholder: "D",
      brief: "How long a connector waits at a time",
    },
    tries: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      default: "3",
      placeholder: "N",
      brief: "How many times it waits at most",
    },
    connectors: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      default: "3",
      placeholder: "N",
      brief: "How many want to connect",
    },
  },
  run: runDemo,
});

async function runDemo(context: Context, flags: EventDemoFlags & CommonFlags): Promise<number> {
  const { check, wait, tries, connectors, json, quiet } = flags;
  const startedMs = context.monotonic();
  const elapsedMs = () => Math.round(context.monotonic() - startedMs);
  const tell = (step: Step) =>
    context.stdout.write(
      json
        ? ndjson({ type: "step", ...step, elapsedMs: elapsedMs() })
        : `${column(elapsedMs())}  ${describe(step, { check, tries })}\n`,
    );
  const ready = new TaskEvent();
  const nobodyWaits = new AbortController();
  const checker = async (signal: AbortSignal) => {
    await tell({ who: "checker", step: "begins" });
    try {
      using either = new EitherSignal(signal, nobodyWaits.signal);
      await delay(check, { signal: either.signal });
    } catch (error) {
      if (!nobodyWaits.signal.aborted) throw error;
      return await tell({ who: "checker", step: "stops" });
    }
    ready.set(ADDRESS);
    await tell({ who: "checker", step: "sets", data: ADDRESS });
  };
  let connected = 0;
  const connect = async (who: string, signal: AbortSignal) => {
    for (let attempt = 1; attempt <= tries; attempt++) {
      await tell({ who, step: "waits", attempt });
      const occurrence = await ready.wait({ signal, timeoutMs: wait }).catch(unlessTimeout);
      if (occurrence === undefined) continue;
      connected += 1;
      return await tell({ who, step: "connects", data: occurrence.data });
    }
    await tell({ who, step: "times out" });
  };
  const connectAll = async (signal: AbortSignal) => {
    const names = Array.from({ length: connectors }, (_, index) => `connector ${index + 1}`);
    await gather(names.map((who) => (signal) => connect(who, signal)), { mode: "all", signal });
    nobodyWaits.abort();
  };
  using interrupts = new Interrupts();
  await gather([checker, connectAll], { mode: "all", signal: interrupts.first });
  const timedOut = connectors - connected;
  const exitCode = timedOut === 0 ? SUCCESS : FAILURE;
  if (json) {
    const counts = { connectors, connected, timedOut };
    await context.stdout.write(ndjson({ type: "summary", ...counts, exitCode, durationMs: elapsedMs() }));
  } else if (!quiet) {
    await context.stdout.write(`${column(elapsedMs())}  ${connected} of ${connectors} connected\n`);
  }
  if (timedOut > 0) {
    const waits = `${tries} ${tries === 1 ? "wait" : "waits"} of ${formatDuration(wait)}`;
    await say(
      context,
      `connection timed out for ${timedOut} of ${connectors} connectors after ${waits}: allow more --tries, or a longer --wait`,
    );
  }
  return exitCode;
}

function unlessTimeout(error: unknown): undefined {
  if (!(error instanceof TimeoutError)) throw error;
}

function describe(step: Step, { check, tries }: { check: number; tries: number }): string {
  switch (step.step) {
    case "begins":
      return `${step.who} begins: it takes ${formatDuration(check)}`;
    case "waits":
      return `${step.who} waits: try ${step.attempt} of ${tries}`;
    case "sets":
      return `${step.who} sets the event: ${step.data}`;
    case "connects":
      return `${step.who} connects to ${step.data}`;
    case "times out":
      return `${step.who}: connection timed out`;
    case "stops":
      return `${step.who} stops: nobody waits any more`;
  }
}

function column(ms: number): string {
  return formatDuration(ms).padStart(7);
}
