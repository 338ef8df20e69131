import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { InterruptedError, SpawnError } from "../../lib/errors.ts";
import {
  type RestartPolicy,
  type SupervisedEnd,
  type SupervisedRun,
  Supervisor,
  type SupervisorOptions,
} from "../../lib/jobs/supervisor.ts";
import { adoptsOrphans } from "../../lib/process/descendants.ts";
import type { ChildStatus } from "../../lib/process/spawn.ts";
import type { EndOptions } from "../../lib/process/terminate.ts";
import { FakeClock } from "../time/fake_clock.ts";

// Opens the C library here, as it stays open until the process ends.
adoptsOrphans();

/** How a fake run goes: it takes so long and exits so, or cannot be started. */
type Plan = { durationMs: number; exitCode: number } | "missing";

/** A run that ends by itself on a fake clock, or when it is told. */
class FakeRun implements SupervisedRun {
  readonly #ended = Promise.withResolvers<ChildStatus>();
  readonly finished: Promise<ChildStatus> = this.#ended.promise;
  readonly #cancel: () => void;
  cause: string | undefined;
  options: EndOptions | undefined;

  constructor(clock: FakeClock, { durationMs, exitCode }: Exclude<Plan, "missing">) {
    const end = () => this.#ended.resolve({ exitCode, signal: undefined, cause: undefined });
    this.#cancel = durationMs === Infinity ? () => {} : clock.setTimeout(end, durationMs);
  }

  async end(cause: string, options: EndOptions): Promise<void> {
    this.cause ??= cause;
    this.options ??= options;
    this.#cancel();
    const { signal = "SIGTERM" } = options;
    this.#ended.resolve({ exitCode: signal === "SIGKILL" ? 137 : 143, signal, cause });
    await this.finished;
  }

  fail(error: Error): void {
    this.#ended.reject(error);
  }
}

/** A supervisor of fake runs, and what it did. */
function supervise(
  plans: (attempt: number) => Plan,
  options: Partial<SupervisorOptions<FakeRun>> & { clock: FakeClock },
) {
  const starts: number[] = [];
  const runs: FakeRun[] = [];
  const ends: SupervisedEnd<FakeRun>[] = [];
  const result = new Supervisor<FakeRun>({
    start(attempt) {
      starts.push(options.clock.monotonic());
      const plan = plans(attempt);
      if (plan === "missing") throw new SpawnError("not there", { exitCode: 127, cause: undefined });
      const run = new FakeRun(options.clock, plan);
      runs.push(run);
      return run;
    },
    ended: (end) => Promise.resolve(void ends.push(end)),
    ...options,
  }).run();
  result.catch(() => {});
  return { result, starts, runs, ends };
}

const QUICK = { durationMs: 10, exitCode: 1 };

Deno.test("Supervisor.run() runs once by default, and says how it ended", async () => {
  const clock = new FakeClock();
  const { result, ends } = supervise(() => ({ durationMs: 10, exitCode: 3 }), { clock });
  await clock.advance(10);
  assertEquals(await result, { exitCode: 3, signal: undefined, cause: undefined });
  assertEquals(ends.map(({ attempt, durationMs, restartMs }) => ({ attempt, durationMs, restartMs })), [
    { attempt: 1, durationMs: 10, restartMs: undefined },
  ]);
  assertEquals(clock.pending, 0);
});

Deno.test("Supervisor.run() waits twice as long before each restart, up to the longest", async () => {
  const clock = new FakeClock();
  const { result, ends } = supervise(() => QUICK, {
    ...{ clock, restart: "on-failure", maxRestarts: 6, backoff: { minMs: 100, maxMs: 500 } },
  });
  await clock.advance(10_000);
  assertEquals((await result).exitCode, 1);
  assertEquals(ends.map(({ restartMs }) => restartMs), [100, 200, 400, 500, 500, 500, undefined]);
});

Deno.test("Supervisor.run() begins anew with the back-off after a run longer than its maximum", async () => {
  const clock = new FakeClock();
  const plans: Plan[] = [QUICK, QUICK, { durationMs: 501, exitCode: 1 }, QUICK, {
    durationMs: 500,
    exitCode: 1,
  }, QUICK];
  const { result, ends } = supervise((attempt) => plans[attempt - 1]!, {
    ...{ clock, restart: "always", maxRestarts: 5, backoff: { minMs: 100, maxMs: 500 } },
  });
  await clock.advance(10_000);
  await result;
  assertEquals(ends.map(({ restartMs }) => restartMs), [100, 200, 100, 200, 400, undefined]);
});

Deno.test("Supervisor.run() restarts as the policy says", async () => {
  const cases: [RestartPolicy, Plan[], number][] = [
    ["never", [QUICK], 1],
    ["on-failure", [QUICK, { durationMs: 1, exitCode: 0 }], 0],
    ["always", [{ durationMs: 1, exitCode: 0 }, QUICK, { durationMs: 1, exitCode: 0 }], 0],
  ];
  for (const [restart, plans, exitCode] of cases) {
    const clock = new FakeClock();
    const maxRestarts = plans.length - 1;
    const { result, starts } = supervise((attempt) => plans[attempt - 1]!, { clock, restart, maxRestarts });
    await clock.advance(1_000_000);
    assertEquals([(await result).exitCode, starts.length], [exitCode, plans.length], restart);
  }
});

Deno.test("Supervisor.run() says what cannot be started at all once; later it is a run that failed", async () => {
  const clock = new FakeClock();
  const never = supervise(() => "missing", { clock, restart: "always" });
  await assertRejects(() => never.result, SpawnError, "not there");
  assertEquals(never.ends.map(({ status, run }) => [status.exitCode, run]), [[127, undefined]]);
  const later = supervise((attempt) => attempt === 2 ? "missing" : QUICK, {
    ...{ clock, restart: "on-failure", maxRestarts: 2 },
  });
  await clock.advance(1_000_000);
  await later.result;
  assertEquals(later.ends.map(({ error }) => error?.message), [undefined, "not there", undefined]);
});

Deno.test("Supervisor.run() ends a run whose time runs out: 124, or 137 if it had to be killed", async () => {
  for (const [timeoutSignal, exitCode] of [["SIGTERM", 124], ["SIGKILL", 137]] as const) {
    const clock = new FakeClock();
    const { result, runs } = supervise(() => ({ durationMs: Infinity, exitCode: 0 }), {
      ...{ clock, timeoutMs: 1_000, timeoutSignal, killAfterMs: 7 },
    });
    await clock.advance(999);
    assertEquals(runs[0]!.cause, undefined);
    await clock.advance(1);
    assertEquals([(await result).exitCode, (await result).cause], [exitCode, "timeout"]);
    assertEquals([runs[0]!.options?.signal, runs[0]!.options?.graceMs], [timeoutSignal, 7]);
  }
});

Deno.test("Supervisor.run() passes the signal that stops it to the run, and starts no other", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const { result, starts, runs } = supervise(() => ({ durationMs: Infinity, exitCode: 0 }), {
    ...{ clock, restart: "always", signal: stop.signal },
  });
  await clock.advance(5);
  stop.abort(new InterruptedError("SIGHUP"));
  assertEquals((await result).cause, "interrupted");
  assertEquals([starts.length, runs[0]!.options?.signal], [1, "SIGHUP"]);
});

Deno.test("Supervisor.run() that is stopped between two runs rejects with the reason, and leaves no timer", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const { result, starts } = supervise(() => QUICK, { clock, restart: "always", signal: stop.signal });
  await clock.advance(20);
  stop.abort(new InterruptedError("SIGINT"));
  await assertRejects(() => result, InterruptedError);
  assertEquals([starts.length, clock.pending], [1, 0]);
  const aborted = supervise(() => QUICK, { clock, signal: stop.signal });
  await assertRejects(() => aborted.result, InterruptedError);
  assertEquals(aborted.starts, []);
});

Deno.test("Supervisor.run() ends a run whose output cannot be taken, and rejects with what was wrong", async () => {
  const clock = new FakeClock();
  const { result, runs, ends } = supervise(() => ({ durationMs: Infinity, exitCode: 0 }), {
    ...{ clock, restart: "always" },
  });
  await clock.advance(1);
  runs[0]!.fail(new RangeError("gone"));
  await assertRejects(() => result, RangeError, "gone");
  assertEquals([runs[0]!.cause, ends], ["cancelled", []]);
});

Deno.test("Supervisor.run() waits as its rule says, whatever the runs are like", async () => {
  const plan = fc.record({ durationMs: fc.integer({ min: 0, max: 400 }), exitCode: fc.constantFrom(0, 1) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(plan, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 0, max: 300 }),
      fc.constantFrom<RestartPolicy>("never", "on-failure", "always"),
      async (plans, minMs, extraMs, restart) => {
        const clock = new FakeClock();
        const backoff = { minMs, maxMs: minMs + extraMs };
        const maxRestarts = plans.length - 1;
        const { result, ends, starts } = supervise((attempt) => plans[attempt - 1]!, {
          ...{ clock, restart, maxRestarts, backoff },
        });
        await clock.advance(1_000_000);
        const status = await result;
        // The model: one run after the other, with its own account of the delays.
        const expected: number[] = [];
        let atMs = 0;
        let quick = 0;
        let last = plans[0]!;
        for (const plan of plans) {
          last = plan;
          expected.push(atMs);
          if (restart === "never" || restart === "on-failure" && plan.exitCode === 0) break;
          quick = plan.durationMs > backoff.maxMs ? 0 : quick + (expected.length > 1 ? 1 : 0);
          atMs += plan.durationMs + Math.min(minMs * 2 ** quick, backoff.maxMs);
        }
        assertEquals(starts, expected);
        assertEquals(status.exitCode, last.exitCode);
        assert(ends.every(({ attempt }, at) => attempt === at + 1));
      },
    ),
    { numRuns: 200 },
  );
});
