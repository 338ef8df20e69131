import { assert, assertEquals, assertThrows } from "@std/assert";
import { after, at } from "../../lib/time/once.ts";
import { collect } from "./collect.ts";
import { FakeClock } from "./fake_clock.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

Deno.test("after() ticks once, after the delay and not before, whatever becomes of the wall clock", async () => {
  const clock = new FakeClock(0);
  const { ticks, ended } = collect(after(3_000, { clock }));
  await clock.advance(1_000);
  clock.setWall(-DAY_MS);
  await clock.advance(1_999);
  assertEquals(ticks, []);
  await clock.advance(1);
  const wallMs = 3_000 - DAY_MS;
  assertEquals(ticks, [{ number: 1, scheduledMs: wallMs, actualMs: wallMs, driftMs: 0, missed: 0 }]);
  assertEquals([await ended, clock.pending], [undefined, 0]);
});

Deno.test("after() counts from the call, and says how late it came", async () => {
  const clock = new FakeClock(0);
  const source = after(1_000, { clock });
  clock.stall(1_250);
  const { ticks } = collect(source);
  await clock.advance(0);
  assertEquals(ticks.map(({ scheduledMs, driftMs }) => [scheduledMs, driftMs]), [[1_000, 250]]);
});

Deno.test("after() with jitter is late by a part of the delay", async () => {
  const clock = new FakeClock(0);
  const { ticks } = collect(after(1_000, { clock, jitterPercent: 50, random: () => 0.5 }));
  await clock.advance(DAY_MS);
  assertEquals(ticks.map(({ actualMs, driftMs }) => [actualMs, driftMs]), [[1_250, 0]]);
});

Deno.test("after() refuses a delay or a jitter that is none", () => {
  for (const delayMs of [-1, NaN, Infinity]) assertThrows(() => after(delayMs), RangeError);
  assertThrows(() => after(1, { jitterPercent: 101 }), RangeError);
});

Deno.test("at() ticks when the wall clock shows the moment, and not before", async () => {
  const clock = new FakeClock(0);
  const { ticks, ended } = collect(at(DAY_MS, { clock }));
  await clock.advance(DAY_MS - 1);
  assertEquals(ticks, []);
  await clock.advance(1);
  assertEquals(ticks, [{ number: 1, scheduledMs: DAY_MS, actualMs: DAY_MS, driftMs: 0, missed: 0 }]);
  assertEquals(await ended, undefined);
});

Deno.test("at() waits longer for a clock that is set back", async () => {
  const clock = new FakeClock(0);
  const { ticks } = collect(at(2 * HOUR_MS, { clock }));
  await clock.advance(HOUR_MS);
  clock.setWall(-HOUR_MS);
  await clock.advance(2 * HOUR_MS - 1);
  assertEquals(ticks, []);
  await clock.advance(1);
  assertEquals([ticks.length, clock.monotonic()], [1, 3 * HOUR_MS]);
});

Deno.test("at() ticks within a second, late, when the clock is put forward over the moment", async () => {
  const clock = new FakeClock(0);
  const { ticks } = collect(at(2 * HOUR_MS, { clock }));
  await clock.advance(HOUR_MS + 1);
  clock.setWall(DAY_MS);
  await clock.advance(1_000);
  assertEquals(ticks.length, 1);
  assert(ticks[0]!.driftMs >= DAY_MS - HOUR_MS);
});

Deno.test("after() and at() end with the reason of their signal, and leave no timer", async () => {
  for (const tick of [after, at]) {
    const clock = new FakeClock(0);
    const controller = new AbortController();
    const { ticks, ended } = collect(tick(1_000, { clock, signal: controller.signal }));
    await clock.advance(500);
    const reason = new Error("enough");
    controller.abort(reason);
    assertEquals([await ended, ticks.length, clock.pending], [reason, 0, 0]);
  }
});
