import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Pace } from "../../../lib/net/bench/pace.ts";

Deno.test("Pace without a rate lets go as much as goes, until time or count is up", () => {
  const timed = new Pace(100, { durationMs: 50, count: Infinity, ratePerSecond: undefined });
  assertEquals([timed.take(100), timed.take(149), timed.take(150)], [100, 149, undefined]);
  const counted = new Pace(100, { durationMs: Infinity, count: 2, ratePerSecond: undefined });
  assertEquals([counted.take(100), counted.take(100), counted.take(100)], [100, 100, undefined]);
  assert(counted.isOver(100));
});

Deno.test("Pace keeps to its schedule however late it is asked: each message is due at the start plus N intervals", () => {
  fc.assert(fc.property(
    fc.array(fc.double({ min: 0, max: 50, noNaN: true }), { maxLength: 50 }),
    fc.integer({ min: 1, max: 100_000 }),
    (pauses, ratePerSecond) => {
      const pace = new Pace(1_000, { durationMs: 200, count: 500, ratePerSecond });
      const taken: number[] = [];
      let nowMs = 1_000;
      for (const pauseMs of pauses) {
        nowMs += pauseMs;
        for (let dueMs; (dueMs = pace.take(nowMs)) !== undefined;) {
          assert(dueMs <= nowMs);
          taken.push(dueMs);
        }
      }
      assertEquals(taken, taken.map((_, index) => 1_000 + index * (1_000 / ratePerSecond)));
      const due = Math.min(500, Math.ceil((Math.min(nowMs, 1_200) - 1_000) / (1_000 / ratePerSecond) - 1e-6));
      assertEquals(pace.unsent(nowMs), Math.max(0, due - taken.length));
    },
  ));
});

Deno.test("Pace does not count what would be due at the very end as unsent", () => {
  for (const startMs of [0, 1_234.567_891, 987_654.321_098]) {
    const pace = new Pace(startMs, { durationMs: 300, count: Infinity, ratePerSecond: 200 });
    assertEquals(pace.unsent(startMs + 1_000), 60);
  }
});
