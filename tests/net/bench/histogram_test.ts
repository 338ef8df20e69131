import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Histogram, percentileMs } from "../../../lib/net/bench/histogram.ts";

const make = await Histogram.load();

Deno.test("Histogram: any percentile is within a thousandth of that of the times themselves", () => {
  const times = fc.array(fc.double({ min: 1e-5, max: 60_000, noNaN: true }), {
    minLength: 1,
    maxLength: 200,
  });
  fc.assert(fc.property(times, fc.double({ min: 0, max: 100, noNaN: true }), (times, percent) => {
    const histogram = make();
    for (const ms of times) histogram.record(ms);
    const distribution = histogram.distribution();
    const sorted = times.toSorted((a, b) => a - b);
    const rank = Math.max(1, Math.ceil(times.length * percent / 100 - 1e-9));
    const exact = sorted[rank - 1]!;
    const found = percentileMs(distribution, percent);
    assert(Math.abs(found - exact) <= exact / 1_000 + 1e-6, `${found} is not ${exact}`);
    assertEquals([distribution.minMs, distribution.maxMs], [sorted[0]!, sorted.at(-1)!]);
    assertEquals(distribution.steps.reduce((sum, [, count]) => sum + count, 0), times.length);
  }));
});

Deno.test("Histogram: nothing has no times, and reset() forgets", () => {
  const histogram = make();
  histogram.record(5);
  histogram.record(1e9);
  assertEquals([histogram.count, percentileMs(histogram.distribution(), 100) >= 3_599_000], [2, true]);
  histogram.reset();
  const nothing = { count: 0, minMs: 0, meanMs: 0, maxMs: 0, steps: [] };
  assertEquals([histogram.distribution(), percentileMs(histogram.distribution(), 50)], [nothing, 0]);
});
