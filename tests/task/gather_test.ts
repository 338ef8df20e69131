import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { TimeoutError, UsageError } from "../../lib/errors.ts";
import { gather, type GatherMode } from "../../lib/task/gather.ts";
import { countingSignal, follow, pause, settled } from "../conformance/support.ts";

/** A task that ends when its signal is aborted, and says when it has. */
function heeding(): {
  task: (signal: AbortSignal) => Promise<never>;
  reasons: unknown[];
  started: () => boolean;
} {
  const reasons: unknown[] = [];
  let isStarted = false;
  const task = async (signal: AbortSignal) => {
    isStarted = true;
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    await pause();
    reasons.push(signal.reason);
    throw signal.reason;
  };
  return { task, reasons, started: () => isStarted };
}

const returning = (value: string, turns = 1) => async () => {
  for (let turn = 0; turn < turns; turn++) await pause();
  return value;
};
const failing = (message: string, turns = 1) => async () => {
  for (let turn = 0; turn < turns; turn++) await pause();
  throw new Error(message);
};

Deno.test("gather() gives every outcome, in the order of the tasks", async () => {
  const outcomes = await gather([returning("slow", 5), failing("no"), () => "plain", returning("fast")]);
  assertEquals(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled", "fulfilled"]);
  const values = outcomes.map((outcome) =>
    outcome.status === "fulfilled" ? outcome.value : outcome.reason.message
  );
  assertEquals(values, ["slow", "no", "plain", "fast"]);
});

Deno.test("gather() runs all tasks at the same time", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const outcomes = await gather([() => promise, () => {
    resolve("from the second");
    return "the second";
  }], { mode: "all" });
  assertEquals(outcomes, ["from the second", "the second"]);
});

Deno.test("gather() in mode all gives the values in order", async () => {
  assertEquals(await gather([returning("a", 4), returning("b", 1)], { mode: "all" }), ["a", "b"]);
});

Deno.test("gather() in mode all rejects with the first failure, after the others were cancelled and have ended", async () => {
  const other = heeding();
  await assertRejects(
    () => gather([other.task, failing("first"), failing("later", 9)], { mode: "all" }),
    Error,
    "first",
  );
  assertEquals(other.reasons.length, 1);
});

Deno.test("gather() in mode any gives the first success, after the others were cancelled and have ended", async () => {
  const other = heeding();
  const value = await gather([other.task, failing("no"), returning("yes", 3)], { mode: "any" });
  assertEquals([value, other.reasons.length], ["yes", 1]);
});

Deno.test("gather() in mode any rejects with all failures when there is no success", async () => {
  for (const names of [[], ["a", "b"]]) {
    const error = await assertRejects(
      () => gather(names.map((name) => failing(name)), { mode: "any" }),
      AggregateError,
    );
    assertEquals(error.errors.map(({ message }) => message), names);
  }
});

Deno.test("gather() in mode race ends with the first end, be it a success or a failure", async () => {
  for (
    const { first, end } of [{ first: returning("won"), end: "won" }, {
      first: failing("lost"),
      end: "Error: lost",
    }]
  ) {
    const other = heeding();
    const race = follow(gather([other.task, first], { mode: "race" }));
    await settled([race]);
    assertEquals(race.value ?? String(race.reason), end);
    assertEquals(other.reasons.length, 1);
  }
});

Deno.test("gather() of no task gives nothing, and cannot be a race", async () => {
  assertEquals(await gather([]), []);
  assertEquals(await gather([], { mode: "all" }), []);
  await assertRejects(() => gather([], { mode: "race" }), UsageError, "tasks");
});

Deno.test("gather() takes a failure with undefined for a failure", async () => {
  const nothing = () => Promise.reject(undefined);
  const race = follow(gather([nothing], { mode: "all" }));
  await settled([race]);
  assertEquals([race.state, race.reason], ["rejected", undefined]);
});

Deno.test("gather() runs no more than limit tasks at once, and none after it was decided", async () => {
  let running = 0;
  let most = 0;
  const task = async () => {
    running += 1;
    most = Math.max(most, running);
    await pause();
    running -= 1;
  };
  await gather(Array.from({ length: 20 }, () => task), { limit: 3 });
  assertEquals(most, 3);
  const late = heeding();
  await assertRejects(() => gather([failing("no"), late.task], { mode: "all", limit: 1 }), Error, "no");
  assertEquals(late.started(), false);
});

for (const mode of ["settled", "all", "any", "race"] as GatherMode[]) {
  Deno.test(`gather() in mode ${mode} is cancelled by its signal, and awaits its tasks`, async () => {
    const controller = new AbortController();
    const tasks = [heeding(), heeding()];
    const reason = new Error("enough");
    const run = follow(
      gather(tasks.map(({ task }) => task), { mode: mode as "race", signal: controller.signal }),
    );
    await pause();
    controller.abort(reason);
    await settled([run]);
    assertStrictEquals(run.reason, reason);
    assertEquals(tasks.map(({ reasons }) => reasons), [[reason], [reason]]);
  });

  Deno.test(`gather() in mode ${mode} times out, and awaits its tasks`, async () => {
    const hanging = heeding();
    await assertRejects(
      async () => await gather([hanging.task], { mode: mode as "race", timeoutMs: 5 }),
      TimeoutError,
      "5 ms",
    );
    assert(hanging.reasons[0] instanceof TimeoutError);
  });
}

Deno.test("gather() starts nothing if its signal is aborted, or its options make no sense", async () => {
  const task = heeding();
  const aborted = follow(gather([task.task], { signal: AbortSignal.abort("enough") }));
  await settled([aborted]);
  assertEquals(aborted.reason, "enough");
  await assertRejects(() => gather([task.task], { limit: 0 }), RangeError, "limit");
  await assertRejects(() => gather([task.task], { timeoutMs: NaN }), RangeError, "timeoutMs");
  assertEquals(task.started(), false);
});

Deno.test("gather() leaves neither listener nor timer behind", async () => {
  const { signal, listeners } = countingSignal();
  await gather([returning("a")], { signal, timeoutMs: 1_000_000 });
  await gather([failing("a")], { mode: "all", signal, timeoutMs: 1_000_000 }).catch(() => {});
  assertEquals(listeners(), 0);
});

Deno.test("gather() gives what Promise gives, whatever the tasks do", async () => {
  const plans = fc.array(fc.boolean(), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(plans, fc.integer({ min: 1, max: 9 }), async (plan, limit) => {
      const make = () =>
        plan.map((fails, index) => fails ? failing(String(index), index) : returning(String(index), index));
      const promises = make().map((task) => task());
      await Promise.allSettled(promises);
      assertEquals(
        await text(gather(make(), { limit })),
        await text(Promise.allSettled(promises)),
      );
      assertEquals(
        await text(gather(make(), { mode: "all", limit })),
        await text(Promise.all(promises)),
      );
      assertEquals(
        await text(gather(make(), { mode: "any", limit })),
        await text(Promise.any(promises)),
      );
    }),
    { numRuns: 30 },
  );
});

/** What became of a promise, to compare; an AggregateError by the errors it holds. */
function text(promise: Promise<unknown>): Promise<string> {
  const show = (_: string, value: unknown) => value instanceof Error ? value.message : value;
  return promise.then(
    (value) => JSON.stringify(value, show),
    (error) => JSON.stringify(error instanceof AggregateError ? error.errors : [error], show),
  );
}
