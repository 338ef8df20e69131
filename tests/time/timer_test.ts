import { assert, assertEquals, assertThrows } from "@std/assert";
import { Timer } from "../../lib/time/timer.ts";
import { FakeClock } from "./fake_clock.ts";

const DAY_MS = 86_400_000;

function counted(delayMs: number, { clock, signal }: { clock: FakeClock; signal?: AbortSignal }) {
  const firedAtMs: number[] = [];
  const timer = new Timer(delayMs, () => firedAtMs.push(clock.monotonic()), {
    clock,
    ...(signal && { signal }),
  });
  return { timer, firedAtMs };
}

Deno.test("Timer runs its function once, after the delay and not before", async () => {
  const clock = new FakeClock();
  const { timer, firedAtMs } = counted(3_000, { clock });
  await clock.advance(2_999);
  assertEquals([timer.state, timer.remainingMs, firedAtMs], ["waiting", 1, []]);
  await clock.advance(10_000);
  assertEquals([timer.state, timer.remainingMs, firedAtMs], ["fired", 0, [3_000]]);
  assertEquals(clock.pending, 0);
});

Deno.test("Timer waits longer than 2^31 ms, in timeouts that do not overflow", async () => {
  const clock = new FakeClock();
  const { firedAtMs } = counted(100 * DAY_MS, { clock });
  await clock.advance(100 * DAY_MS - 1);
  assertEquals(firedAtMs, []);
  await clock.advance(1);
  assertEquals(firedAtMs, [100 * DAY_MS]);
  assert(clock.longestTimeoutMs < 2 ** 31);
});

Deno.test("Timer.cancel() keeps the function from running, and says whether it was in time", async () => {
  const clock = new FakeClock();
  const { timer, firedAtMs } = counted(10, { clock });
  assertEquals([timer.cancel(), timer.cancel(), timer.state, clock.pending], [true, false, "cancelled", 0]);
  await clock.advance(100);
  assertEquals(firedAtMs, []);
  const other = counted(10, { clock });
  await clock.advance(10);
  assertEquals([other.timer.cancel(), other.timer.state], [false, "fired"]);
});

Deno.test("Timer.restart() counts from now, while it waits, after it fired, and after it was cancelled", async () => {
  const clock = new FakeClock();
  const { timer, firedAtMs } = counted(10, { clock });
  await clock.advance(9);
  timer.restart();
  await clock.advance(9);
  assertEquals(firedAtMs, []);
  await clock.advance(1);
  assertEquals(firedAtMs, [19]);
  timer.restart(5);
  await clock.advance(5);
  timer.restart();
  timer.cancel();
  timer.restart();
  await clock.advance(100);
  assertEquals(firedAtMs, [19, 24, 29]);
});

Deno.test("Timer may be restarted by its own function", async () => {
  const clock = new FakeClock();
  let runs = 0;
  const timer: Timer = new Timer(10, () => ++runs < 3 && timer.restart(), { clock });
  await clock.advance(1_000);
  assertEquals([runs, timer.state], [3, "fired"]);
});

Deno.test("Timer is cancelled by its signal, and by leaving the scope of using", async () => {
  const clock = new FakeClock();
  const controller = new AbortController();
  const { timer, firedAtMs } = counted(10, { clock, signal: controller.signal });
  controller.abort();
  assertEquals([timer.state, clock.pending], ["cancelled", 0]);
  timer.restart();
  assertEquals([timer.state, clock.pending], ["cancelled", 0]);
  {
    using _timer = new Timer(10, () => firedAtMs.push(0), { clock });
  }
  await clock.advance(100);
  assertEquals(firedAtMs, []);
});

Deno.test("Timer leaves no listener on its signal", async () => {
  const clock = new FakeClock();
  const controller = new AbortController();
  let listeners = 0;
  const { signal } = controller;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove(...args));
  const { timer } = counted(10, { clock, signal });
  timer.restart();
  timer.restart();
  assertEquals(listeners, 1);
  await clock.advance(10);
  assertEquals(listeners, 0);
});

Deno.test("Timer refuses a delay that is none", () => {
  for (const delayMs of [-1, NaN, Infinity]) {
    assertThrows(() => new Timer(delayMs, () => {}), RangeError, `received ${delayMs}`);
  }
});

Deno.test("Timer on the clock of this machine is not early", async () => {
  const startedMs = performance.now();
  const { promise, resolve } = Promise.withResolvers<void>();
  new Timer(7.3, resolve);
  await promise;
  assert(performance.now() - startedMs >= 7.3);
});
