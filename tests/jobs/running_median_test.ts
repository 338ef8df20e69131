import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { RunningMedian } from "../../lib/jobs/running_median.ts";

Deno.test("RunningMedian.median is what sorting gives, after each number", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e300, max: 1e300 })),
      (values) => {
        const median = new RunningMedian();
        assertEquals([median.count, median.median], [0, NaN]);
        for (const [index, value] of values.entries()) {
          median.add(value);
          const sorted = values.slice(0, index + 1).sort((a, b) => a - b);
          assertEquals(median.count, index + 1);
          // Not assertEquals: 0 and -0 are one number to a median.
          assertEquals(median.median - sorted[Math.floor(index / 2)]! || 0, 0);
        }
      },
    ),
    { numRuns: 500 },
  );
});
