import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { UsageError } from "../../lib/errors.ts";
import { parseHalt } from "../../lib/jobs/halt.ts";

const tally = fc.record({
  failed: fc.nat(20),
  succeeded: fc.nat(20),
  total: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined }),
});

Deno.test("parseHalt() stops when the model says so", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("now" as const, "soon" as const),
      fc.constantFrom("fail" as const, "success" as const, "done" as const),
      fc.integer({ min: 1, max: 100 }),
      fc.boolean(),
      tally,
      (when, what, limit, isPercent, { failed, succeeded, total }) => {
        const rule = parseHalt(`${when},${what}=${limit}${isPercent ? "%" : ""}`);
        const ended = failed + succeeded;
        const count = what === "fail" ? failed : what === "success" ? succeeded : ended;
        let expected = count >= limit;
        if (isPercent && what === "done") expected = total !== undefined && count >= total * limit / 100;
        if (isPercent && what !== "done") expected = ended >= 3 && count >= ended * limit / 100;
        assertEquals(rule.reached({ failed, succeeded, total }), expected);
        assertEquals([rule.when, rule.isSuccess], [when, what === "success"]);
      },
    ),
    { numRuns: 1_000 },
  );
});

Deno.test("parseHalt() reads GNU parallel's short forms", () => {
  fc.assert(
    fc.property(tally, (tally) => {
      for (const [short, long] of [["0", "never"], ["1", "soon,fail=1"], ["2", "now,fail=1"]] as const) {
        assertEquals(parseHalt(short).reached(tally), parseHalt(long).reached(tally));
        assertEquals(parseHalt(short).when, parseHalt(long).when);
      }
      assert(!parseHalt("never").reached(tally));
    }),
  );
});

Deno.test("parseHalt() refuses what is no rule", () => {
  const texts = [
    "",
    "now",
    "now,fail",
    "now,fail=",
    "now,fail=0",
    "now,fail=0%",
    "now,fail=1.5",
    "later,fail=1",
  ];
  for (
    const text of [...texts, "now,fails=1", "now,fail=-1", "3", "now,fail=1%%", "NOW,fail=1", "now, fail=1"]
  ) {
    assertThrows(() => parseHalt(text), UsageError, "cannot read a halt rule", text);
  }
  assertEquals(parseHalt("soon,fail=1.5%").reached({ failed: 1, succeeded: 50, total: undefined }), true);
});
