import { assert, assertEquals, assertThrows } from "@std/assert";
import { Cron } from "../../lib/time/cron.ts";
import type { Tick } from "../../lib/time/every.ts";
import { schedule } from "../../lib/time/schedule.ts";
import { collect } from "./collect.ts";
import { FakeClock } from "./fake_clock.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

function times(ticks: readonly Tick[]): string[] {
  return ticks.map(({ scheduledMs }) => new Date(scheduledMs).toISOString().slice(5, 16));
}

function utc(line: string): Cron {
  return new Cron(line, { zone: "UTC" });
}

Deno.test("schedule() ticks when the wall clock shows the times of the line", async () => {
  const clock = new FakeClock("2026-03-28T23:30:30Z");
  const { ticks } = collect(schedule(new Cron("30 2 * * *", { zone: "Europe/Berlin" }), { clock }));
  await clock.advance(36 * HOUR_MS);
  assertEquals(times(ticks), ["03-29T01:00", "03-30T00:30"]);
  assertEquals(ticks.map(({ number, driftMs, missed }) => [number, driftMs, missed]), [[1, 0, 0], [2, 0, 0]]);
});

Deno.test("schedule() looks at the wall clock every second", async () => {
  const clock = new FakeClock();
  const { ticks } = collect(schedule(utc("0 12 * * *"), { clock }));
  await clock.advance(HOUR_MS);
  assert(clock.longestTimeoutMs <= 1_000);
  clock.setWall(11 * HOUR_MS - 500);
  await clock.advance(1_000);
  assertEquals(ticks.length, 1);
});

Deno.test("schedule() gives one late tick when the clock was put forward over several", async () => {
  const clock = new FakeClock();
  const { ticks } = collect(schedule(utc("0 * * * *"), { clock }));
  await clock.advance(HOUR_MS + 1);
  clock.setWall(3.5 * HOUR_MS);
  await clock.advance(1_000);
  await clock.advance(HOUR_MS);
  assertEquals(times(ticks), ["01-01T01:00", "01-01T02:00", "01-01T05:00"]);
  assertEquals(ticks.map(({ missed }) => missed), [0, 2, 0]);
  assert(ticks[1]!.driftMs >= 2.5 * HOUR_MS);
});

Deno.test("schedule() repeats nothing when the clock is set back a little", async () => {
  const clock = new FakeClock();
  const { ticks } = collect(schedule(utc("0 * * * *"), { clock }));
  await clock.advance(2 * HOUR_MS + MINUTE_MS);
  clock.setWall(-1.5 * HOUR_MS);
  await clock.advance(2.5 * HOUR_MS);
  assertEquals(times(ticks), ["01-01T01:00", "01-01T02:00", "01-01T03:00"]);
});

Deno.test("schedule() starts from the new time when the clock is set back a lot", async () => {
  const clock = new FakeClock("2038-01-01T00:30:00Z");
  const { ticks } = collect(schedule(utc("0 * * * *"), { clock }));
  await clock.advance(HOUR_MS);
  clock.setWall(Date.parse("2026-01-01T00:10:00Z") - clock.now());
  await clock.advance(HOUR_MS);
  assertEquals(ticks.map(({ scheduledMs }) => new Date(scheduledMs).toISOString()), [
    "2038-01-01T01:00:00.000Z",
    "2026-01-01T01:00:00.000Z",
  ]);
});

Deno.test("schedule() never ticks while the clock shows an earlier time", async () => {
  const clock = new FakeClock("2026-01-01T00:00:30Z");
  const { ticks } = collect(schedule(utc("* * * * *"), { clock }));
  for (let i = 0; i < 200; i++) {
    clock.setWall(i % 3 === 0 ? 400 : -200);
    await clock.advance(1_700);
  }
  assert(ticks.length > 3);
  for (const { actualMs, scheduledMs } of ticks) assert(actualMs >= scheduledMs);
  const scheduled = ticks.map(({ scheduledMs }) => scheduledMs);
  assertEquals([...new Set(scheduled)].sort((a, b) => a - b), scheduled);
});

Deno.test("schedule() with immediate ticks at once, then as the line says", async () => {
  const clock = new FakeClock("2026-01-01T00:30:00Z");
  const { ticks } = collect(schedule(utc("0 * * * *"), { clock, immediate: true }));
  await clock.advance(HOUR_MS);
  assertEquals(times(ticks), ["01-01T00:30", "01-01T01:00"]);
  assertEquals(ticks.map(({ number }) => number), [1, 2]);
});

Deno.test("schedule() with jitter is late by a part of the time to the next tick, and leaves out none", async () => {
  const clock = new FakeClock();
  const numbers = [0.5, 0.999, 0];
  const options = { clock, jitterPercent: 100, random: () => numbers.shift() ?? 0 };
  const { ticks } = collect(schedule(utc("0 * * * *"), options));
  await clock.advance(4 * HOUR_MS);
  assertEquals(times(ticks), ["01-01T01:30", "01-01T02:59", "01-01T03:00", "01-01T04:00"]);
  assertEquals(ticks.map(({ missed }) => missed), [0, 0, 0, 0]);
  assertThrows(() => schedule(utc("@daily"), { jitterPercent: 101 }), RangeError);
});

Deno.test("schedule() is over when the line is never due again, and when its signal is aborted", async () => {
  const clock = new FakeClock();
  assertEquals(await collect(schedule(utc("0 0 30 2 *"), { clock })).ended, undefined);
  const controller = new AbortController();
  const { ended } = collect(schedule(utc("@hourly"), { clock, signal: controller.signal }));
  await clock.advance(1_500);
  const reason = new Error("enough");
  controller.abort(reason);
  assertEquals([await ended, clock.pending], [reason, 0]);
});
