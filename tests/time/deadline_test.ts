import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { TimeoutError } from "../../lib/errors.ts";
import { deadline } from "../../lib/time/deadline.ts";
import { FakeClock } from "./fake_clock.ts";

const DAY_MS = 86_400_000;

Deno.test("deadline() gives what the work gives, and leaves no timer", async () => {
  const clock = new FakeClock();
  assertEquals(await deadline(() => Promise.resolve(7), 10, { clock }), 7);
  await assertRejects(
    () => deadline(() => Promise.reject(new Error("broken")), 10, { clock }),
    Error,
    "broken",
  );
  assertEquals(clock.pending, 0);
});

Deno.test("deadline() rejects when the time is over, and tells the work", async () => {
  const clock = new FakeClock();
  let told: AbortSignal | undefined;
  const work = deadline((signal) => new Promise(() => told = signal), 10, { clock });
  const rejected = assertRejects(() => work, TimeoutError, "took longer than 10ms");
  await clock.advance(9);
  assert(!told!.aborted);
  await clock.advance(1);
  await rejected;
  assert(told!.reason instanceof TimeoutError);
});

Deno.test("deadline() is not over early for a limit of more than 2^31 ms", async () => {
  const clock = new FakeClock();
  let signal: AbortSignal | undefined;
  const work = deadline((given) => new Promise(() => signal = given), 40 * DAY_MS, { clock });
  const rejected = assertRejects(() => work, TimeoutError);
  await clock.advance(39 * DAY_MS);
  assert(!signal!.aborted);
  await clock.advance(DAY_MS);
  await rejected;
});

Deno.test("deadline() rejects with the reason of its signal, before it looks at the work", async () => {
  const reason = new Error("enough");
  let called = false;
  const work = () => {
    called = true;
    return Promise.resolve();
  };
  assertStrictEquals(
    await assertRejects(() => deadline(work, 10, { signal: AbortSignal.abort(reason) })),
    reason,
  );
  assertEquals(called, false);
  const controller = new AbortController();
  const waiting = deadline(() => new Promise(() => {}), Infinity, { signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
});

Deno.test("deadline() refuses a limit that is none", async () => {
  for (const limitMs of [-1, NaN]) {
    await assertRejects(() => deadline(() => Promise.resolve(), limitMs), RangeError);
  }
});
