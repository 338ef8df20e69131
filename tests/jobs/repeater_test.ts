import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { InterruptedError, SpawnError } from "../../lib/errors.ts";
import {
  type Overlap,
  Repeater,
  type RepeaterOptions,
  type Run,
  type RunEnd,
} from "../../lib/jobs/repeater.ts";
import { adoptsOrphans } from "../../lib/process/descendants.ts";
import type { ChildStatus } from "../../lib/process/spawn.ts";
import type { EndOptions } from "../../lib/process/terminate.ts";
import { every } from "../../lib/time/every.ts";
import { FakeClock } from "../time/fake_clock.ts";

// Opens the C library here, as it stays open until the process ends.
adoptsOrphans();

/** How a fake run goes. */
interface Plan {
  durationMs: number;
  exitCode?: number;
  /** How long it takes to end when it is asked to. */
  endingMs?: number;
}

/** A run that ends by itself on a fake clock, or when it is told. */
class FakeRun implements Run {
  readonly #ended = Promise.withResolvers<ChildStatus>();
  readonly #clock: FakeClock;
  readonly #plan: Plan;
  readonly #cancel: () => void;
  readonly finished: Promise<ChildStatus> = this.#ended.promise;
  cause: string | undefined;
  options: EndOptions | undefined;

  constructor(clock: FakeClock, plan: Plan) {
    this.#clock = clock;
    this.#plan = plan;
    const { durationMs, exitCode = 0 } = plan;
    this.#cancel = durationMs === Infinity ? () => {} : clock.setTimeout(
      () => this.#ended.resolve({ exitCode, signal: undefined, cause: this.cause }),
      durationMs,
    );
  }

  async end(cause: string, options: EndOptions): Promise<void> {
    if (this.cause !== undefined) return void await this.finished;
    this.cause = cause;
    this.options = options;
    this.#cancel();
    this.#clock.setTimeout(
      () => this.#ended.resolve({ exitCode: 143, signal: "SIGTERM", cause }),
      this.#plan.endingMs ?? 0,
    );
    await this.finished;
  }

  fail(error: Error): void {
    this.#ended.reject(error);
  }
}

/** What happened, as `3 at 300`, and `3 replaced at 350`. */
class World {
  readonly clock = new FakeClock(0);
  readonly started: string[] = [];
  readonly ended: string[] = [];
  readonly ends: RunEnd[] = [];
  readonly skipped: number[] = [];
  readonly runs: FakeRun[] = [];
  readonly #plans: readonly Plan[];
  readonly #intervalMs: number;

  /** @param plans How the runs go; the last one again and again. */
  constructor(plans: readonly Plan[], { intervalMs = 100 }: { intervalMs?: number } = {}) {
    this.#plans = plans;
    this.#intervalMs = intervalMs;
  }

  repeater(options: Partial<RepeaterOptions>): Repeater {
    return new Repeater({
      ticks: (signal) => every(this.#intervalMs, { signal, clock: this.clock }),
      start: ({ number }) => {
        this.started.push(`${number} at ${this.clock.monotonic()}`);
        const run = new FakeRun(this.clock, this.#plans[this.runs.length] ?? this.#plans.at(-1)!);
        this.runs.push(run);
        return run;
      },
      ended: (end) => {
        this.ends.push(end);
        const { tick, status } = end;
        this.ended.push(`${tick.number} ${status.cause ?? status.exitCode} at ${this.clock.monotonic()}`);
        return Promise.resolve();
      },
      skipped: ({ number }) => Promise.resolve(void this.skipped.push(number)),
      clock: this.clock,
      ...options,
    });
  }
}

const LONG: readonly Plan[] = [{ durationMs: 250 }];
const COUNTS = { runs: 3, succeeded: 3, failed: 0, replaced: 0, cancelled: 0, skipped: 0 };

Deno.test("Repeater runs at each tick, as often as it was told", async () => {
  const world = new World([{ durationMs: 10 }]);
  const run = world.repeater({ count: 3 }).run();
  await world.clock.advance(1_000);
  assertEquals(await run, COUNTS);
  assertEquals(world.started, ["1 at 100", "2 at 200", "3 at 300"]);
  assertEquals(world.ends.map(({ startedAtMs, durationMs }) => [startedAtMs, durationMs]), [
    [100, 10],
    [200, 10],
    [300, 10],
  ]);
  assertEquals(world.clock.pending, 0);
});

Deno.test("Repeater skips ticks that come while a run is not over", async () => {
  const world = new World(LONG);
  const run = world.repeater({ count: 3 }).run();
  await world.clock.advance(2_000);
  assertEquals(world.started, ["1 at 100", "4 at 400", "7 at 700"]);
  assertEquals(world.skipped, [2, 3, 5, 6]);
  assertEquals(await run, { ...COUNTS, skipped: 4 });
});

Deno.test("Repeater queues ticks, and leaves out none", async () => {
  const world = new World(LONG);
  const run = world.repeater({ count: 3, overlap: "queue" }).run();
  await world.clock.advance(2_000);
  assertEquals(world.started, ["1 at 100", "2 at 350", "3 at 600"]);
  assertEquals(await run, COUNTS);
});

Deno.test("Repeater runs in parallel, and waits for all in the end", async () => {
  const world = new World(LONG);
  const run = world.repeater({ count: 3, overlap: "parallel" }).run();
  await world.clock.advance(2_000);
  assertEquals(world.started, ["1 at 100", "2 at 200", "3 at 300"]);
  assertEquals(world.ended, ["1 0 at 350", "2 0 at 450", "3 0 at 550"]);
  assertEquals(await run, COUNTS);
});

Deno.test("Repeater kills a run for the next one, waits until it is gone, and counts it apart", async () => {
  const world = new World([{ durationMs: 250, endingMs: 30 }]);
  const run = world.repeater({ count: 3, overlap: "kill" }).run();
  await world.clock.advance(2_000);
  assertEquals(world.started, ["1 at 100", "2 at 230", "3 at 330"]);
  assertEquals(world.ended, ["1 replaced at 230", "2 replaced at 330", "3 0 at 580"]);
  assertEquals(await run, { ...COUNTS, succeeded: 1, replaced: 2 });
});

Deno.test("Repeater gives the place of a run that is slow to die to the latest tick", async () => {
  const world = new World([{ durationMs: 1_000, endingMs: 250 }, { durationMs: 10 }]);
  const run = world.repeater({ count: 2, overlap: "kill" }).run();
  await world.clock.advance(2_000);
  // The second tick is the last that was asked for: it waits for its turn and nothing takes its place.
  assertEquals(world.started, ["1 at 100", "2 at 450"]);
  assertEquals(await run, { ...COUNTS, runs: 2, succeeded: 1, replaced: 1 });
  const other = new World([{ durationMs: 1_000, endingMs: 250 }, { durationMs: 10 }]);
  const running = other.repeater({ count: 3, overlap: "kill" }).run();
  await other.clock.advance(2_000);
  assertEquals([other.started, other.skipped], [["1 at 100", "4 at 450", "5 at 500"], [2, 3]]);
  assertEquals(await running, { ...COUNTS, succeeded: 2, replaced: 1, skipped: 2 });
});

Deno.test("Repeater ends a run that takes too long, with exit code 124", async () => {
  const world = new World([{ durationMs: Infinity, endingMs: 5 }, { durationMs: 49 }]);
  const run = world.repeater({ count: 2, timeoutMs: 50, killAfterMs: 70 }).run();
  await world.clock.advance(2_000);
  assertEquals(world.ended, ["1 timeout at 155", "2 0 at 249"]);
  assertEquals(world.ends[0]!.status, { exitCode: 124, signal: "SIGTERM", cause: "timeout" });
  assertEquals(world.runs[0]!.options?.graceMs, 70);
  assertEquals(await run, { ...COUNTS, runs: 2, succeeded: 1, failed: 1 });
  assertEquals(world.clock.pending, 0);
});

Deno.test("Repeater stops at the first success if it is told to, and ends what runs beside it", async () => {
  const plans = [{ durationMs: Infinity }, { durationMs: 10, exitCode: 7 }, { durationMs: 20 }];
  const world = new World(plans);
  const run = world.repeater({ untilSuccess: true, overlap: "parallel" }).run();
  await world.clock.advance(2_000);
  assertEquals(world.ended, ["2 7 at 210", "3 0 at 320", "1 cancelled at 320"]);
  assertEquals(await run, { ...COUNTS, succeeded: 1, failed: 1, cancelled: 1 });
  assertEquals(world.clock.pending, 0);
});

Deno.test("Repeater passes the signal that interrupts it on, drops what waits, and resolves with what was done", async () => {
  const world = new World([{ durationMs: 10 }, { durationMs: Infinity, endingMs: 40 }]);
  const interruption = new AbortController();
  const escalate = new AbortController().signal;
  const run = world.repeater({ overlap: "queue", signal: interruption.signal, escalate }).run();
  await world.clock.advance(450);
  interruption.abort(new InterruptedError("SIGINT"));
  await world.clock.advance(2_000);
  assertEquals(world.ended, ["1 0 at 110", "2 interrupted at 490"]);
  assertEquals(await run, { ...COUNTS, runs: 2, succeeded: 1, cancelled: 1 });
  const { signal, escalate: passed } = world.runs[1]!.options!;
  assertEquals([signal, passed], ["SIGINT", escalate]);
  assertEquals(world.clock.pending, 0);
});

Deno.test("Repeater that is aborted before it begins runs nothing", async () => {
  const world = new World(LONG);
  const signal = AbortSignal.abort(new InterruptedError("SIGTERM"));
  assertEquals((await world.repeater({ signal }).run()).runs, 0);
  assertEquals([world.started, world.clock.pending], [[], 0]);
});

Deno.test("Repeater throws what keeps the first run from starting; a later one has failed", async () => {
  const error = new SpawnError("cannot run 'x'", { exitCode: 127, cause: undefined });
  const world = new World([{ durationMs: 10 }]);
  const refuse = () => {
    throw error;
  };
  const rejected = assertRejects(() => world.repeater({ start: refuse }).run(), SpawnError);
  await world.clock.advance(500);
  await rejected;
  const runs: Run[] = [];
  const later = world.repeater({
    count: 3,
    start() {
      if (runs.length === 1) {
        runs.push(new FakeRun(world.clock, { durationMs: 1 }));
        throw error;
      }
      const run = new FakeRun(world.clock, { durationMs: 10 });
      runs.push(run);
      return run;
    },
  }).run();
  await world.clock.advance(1_000);
  assertEquals(await later, { ...COUNTS, succeeded: 2, failed: 1 });
  assertEquals(world.ends.map(({ error }) => error), [undefined, error, undefined]);
});

Deno.test("Repeater ends what runs when anything throws: the ticks, a run, a callback", async () => {
  const defect = new RangeError("broken");
  const throwing = {
    async *ticks() {
      yield { number: 1, scheduledMs: 0, actualMs: 0, driftMs: 0, missed: 0 };
      await null;
      throw defect;
    },
  };
  const reported = { ended: () => Promise.reject(defect), overlap: "parallel" } as const;
  const cases: [Partial<RepeaterOptions>, readonly Plan[]][] = [
    [throwing, [{ durationMs: Infinity }]],
    [{ skipped: () => Promise.reject(defect) }, [{ durationMs: Infinity }]],
    [reported, [{ durationMs: Infinity }, { durationMs: 10 }]],
  ];
  for (const [options, plans] of cases) {
    const world = new World(plans);
    const rejected = assertRejects(() => world.repeater(options).run(), RangeError, "broken");
    await world.clock.advance(500);
    await rejected;
    assertEquals(world.runs[0]!.cause, "cancelled");
    assertEquals(world.clock.pending, 0);
  }
  const world = new World([{ durationMs: Infinity }]);
  const rejected = assertRejects(() => world.repeater({}).run(), RangeError, "broken");
  await world.clock.advance(150);
  world.runs[0]!.fail(defect);
  await world.clock.advance(0);
  await rejected;
  assertEquals(world.clock.pending, 0);
});

/** When runs start, and which ticks come to nothing, worked out without promises. */
function model(
  overlap: Overlap,
  { durations, count }: { durations: readonly number[]; count: number },
): { started: string[]; skipped: number[] } {
  const started: string[] = [];
  const skipped: number[] = [];
  let freeMs = 0;
  for (let number = 1; started.length < count; number++) {
    const tickMs = number * 100;
    if (overlap === "skip" && tickMs < freeMs) {
      skipped.push(number);
      continue;
    }
    const startMs = overlap === "queue" ? Math.max(tickMs, freeMs) : tickMs;
    freeMs = startMs + durations[started.length % durations.length]!;
    started.push(`${number} at ${startMs}`);
  }
  return { started, skipped };
}

Deno.test("Repeater agrees with a model, whatever overlaps", async () => {
  // No sum of three or fewer is a whole number, so that no run ends just as a tick comes.
  const duration = fc.integer({ min: 0, max: 80 }).map((n) => n * 7 + 3.25);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<Overlap>("skip", "queue", "parallel", "kill"),
      fc.array(duration, { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 3 }),
      async (overlap, durations, count) => {
        const plans = Array.from(
          { length: count },
          (_, i) => ({ durationMs: durations[i % durations.length]! }),
        );
        const world = new World(plans);
        const run = world.repeater({ overlap, count }).run();
        await world.clock.advance(5_000);
        const expected = model(overlap, { durations, count });
        assertEquals({ started: world.started, skipped: world.skipped }, expected);
        const summary = await run;
        assertEquals(summary.runs, count);
        assertEquals(summary.succeeded + summary.replaced, count);
        assert(overlap === "kill" || summary.replaced === 0);
        assertEquals(world.clock.pending, 0);
      },
    ),
    { numRuns: 100 },
  );
});
