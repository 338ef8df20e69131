import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { every } from "../../lib/time/every.ts";
import { collect } from "./collect.ts";
import { FakeClock } from "./fake_clock.ts";

const DAY_MS = 86_400_000;

Deno.test("every() ticks at start + N x interval", async () => {
  const clock = new FakeClock();
  const { ticks } = collect(every(200, { clock }));
  await clock.advance(1_000);
  assertEquals(ticks.map(({ number, driftMs, missed }) => [number, driftMs, missed]), [
    ...[[1, 0, 0], [2, 0, 0], [3, 0, 0], [4, 0, 0], [5, 0, 0]],
  ]);
  assertEquals(ticks.map(({ actualMs }) => actualMs - ticks[0]!.actualMs), [0, 200, 400, 600, 800]);
});

Deno.test("every() counts from the call, not from when the first tick is asked for", async () => {
  const clock = new FakeClock(0);
  const source = every(100, { clock });
  clock.stall(50);
  const { ticks } = collect(source);
  await clock.advance(50);
  assertEquals(ticks.map(({ actualMs }) => actualMs), [100]);
});

Deno.test("every() with immediate ticks at once", async () => {
  const clock = new FakeClock(0);
  const { ticks } = collect(every(100, { clock, immediate: true }));
  await clock.advance(250);
  assertEquals(ticks.map(({ number, actualMs }) => [number, actualMs]), [[1, 0], [2, 100], [3, 200]]);
});

Deno.test("every() does not drift, however late ticks come", async () => {
  await fc.assert(fc.asyncProperty(
    fc.double({ min: 0.5, max: 1e5, noNaN: true }),
    fc.array(fc.double({ min: 0, max: 3, noNaN: true }), { minLength: 1, maxLength: 20 }),
    fc.constantFrom("skip" as const, "burst" as const),
    async (intervalMs, delays, missedTicks) => {
      const clock = new FakeClock(0);
      const places: number[] = [];
      const ticks = every(intervalMs, { clock, missedTicks });
      for (const delay of delays) {
        const next = ticks.next();
        await clock.advance(intervalMs * 1.001);
        const { value: tick } = await next;
        const place = tick.scheduledMs / intervalMs;
        assert(
          Math.abs(place - Math.round(place)) < 1e-3,
          `${tick.scheduledMs} is on the grid of ${intervalMs}`,
        );
        places.push(Math.round(place));
        if (missedTicks === "skip") {
          assert(tick.driftMs < intervalMs);
          assertEquals(places.at(-1)! - (places.at(-2) ?? 0) - 1, tick.missed);
        } else {
          assertEquals([places.at(-1), tick.missed], [tick.number, 0]);
        }
        clock.stall(intervalMs * delay);
      }
      assertEquals([...new Set(places)].sort((a, b) => a - b), places);
    },
  ));
});

Deno.test("every() skips what it missed, or gives all of it in a burst", async () => {
  for (const missedTicks of ["skip", "burst"] as const) {
    const clock = new FakeClock(0);
    const { ticks } = collect(every(100, { clock, missedTicks }));
    await clock.advance(100);
    clock.stall(350);
    await clock.advance(0);
    await clock.advance(50);
    const seen = ticks.map(({ scheduledMs, driftMs, missed }) => [scheduledMs, driftMs, missed]);
    assertEquals(
      seen,
      missedTicks === "skip"
        ? [[100, 0, 0], [400, 50, 2], [500, 0, 0]]
        : [[100, 0, 0], [200, 250, 0], [300, 150, 0], [400, 50, 0], [500, 0, 0]],
    );
  }
});

Deno.test("every() takes no notice of a wall clock that is set", async () => {
  const clock = new FakeClock(0);
  const { ticks } = collect(every(100, { clock }));
  await clock.advance(100);
  clock.setWall(-DAY_MS);
  await clock.advance(100);
  clock.setWall(2 * DAY_MS);
  await clock.advance(100);
  assertEquals(ticks.map(({ number, driftMs }) => [number, driftMs]), [[1, 0], [2, 0], [3, 0]]);
});

Deno.test("every() schedules on a grid of the wall clock, which moves only if that is set", async () => {
  const clock = new FakeClock(0);
  // The wall clock of a machine shows whole milliseconds.
  const rounded = {
    now: () => Math.floor(clock.now()),
    monotonic: () => clock.monotonic(),
    setTimeout: (callback: () => void, ms: number) => clock.setTimeout(callback, ms + 0.7),
  };
  const { ticks } = collect(every(100, { clock: rounded }));
  await clock.advance(350);
  clock.setWall(5_000);
  await clock.advance(200);
  const scheduled = ticks.map(({ scheduledMs }) => scheduledMs);
  assertEquals(scheduled.slice(0, 3), [100, 200, 300]);
  assert(Math.abs(scheduled[3]! - 5_400) <= 1);
  assertEquals(scheduled[4]! - scheduled[3]!, 100);
});

Deno.test("every() ticks at intervals longer than 2^31 ms", async () => {
  const clock = new FakeClock(0);
  const { ticks } = collect(every(30 * DAY_MS, { clock }));
  await clock.advance(89 * DAY_MS);
  assertEquals(ticks.map(({ actualMs }) => actualMs / DAY_MS), [30, 60]);
  assert(clock.longestTimeoutMs < 2 ** 31);
});

Deno.test("every() with jitter is late by a part of the interval, and does not drift for it", async () => {
  const clock = new FakeClock(0);
  const numbers = [0.5, 0, 0.999, 0.25];
  const { ticks } = collect(every(100, { clock, jitterPercent: 100, random: () => numbers.shift() ?? 0 }));
  await clock.advance(500);
  assertEquals(ticks.map(({ actualMs }) => actualMs), [150, 200, 399.9, 425, 500]);
  assertEquals(ticks.map(({ driftMs, missed }) => [Math.round(driftMs), missed]), Array(5).fill([0, 0]));
});

Deno.test("every() ends with the reason of its signal, and leaves no timer", async () => {
  const clock = new FakeClock();
  const controller = new AbortController();
  const { ticks, ended } = collect(every(100, { clock, signal: controller.signal }));
  await clock.advance(150);
  const reason = new Error("enough");
  controller.abort(reason);
  assertEquals(await ended, reason);
  assertEquals([ticks.length, clock.pending], [1, 0]);
  const aborted = every(100, { clock, signal: AbortSignal.abort(reason) });
  assertEquals(await aborted.next().catch((error) => error), reason);
});

Deno.test("every() refuses an interval or a jitter that is none", () => {
  for (const intervalMs of [0, -1, NaN, Infinity]) assertThrows(() => every(intervalMs), RangeError);
  for (const jitterPercent of [-1, 101, NaN]) assertThrows(() => every(1, { jitterPercent }), RangeError);
});
