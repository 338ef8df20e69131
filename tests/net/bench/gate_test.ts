import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../../lib/errors.ts";
import type { BenchSummary } from "../../../lib/net/bench.ts";
import { parseGates } from "../../../lib/net/bench/gate.ts";

const SUMMARY: BenchSummary = {
  ...{ messages: 98, corrupt: 1, lost: 1, errors: 2, duplicated: 3, reordered: 4, late: 0 },
  ...{ requests: 100, unsent: 0, reasons: {}, durationMs: 1_000, messagesPerSecond: 98, bytesPerSecond: 980 },
  rtt: { count: 98, minMs: 0.5, meanMs: 1, maxMs: 10, steps: [[1, 90], [4, 7], [10, 1]] },
};

function holding(text: string, summary = SUMMARY): string[] {
  return parseGates(text).filter((gate) => gate.holds(summary)).map((gate) => gate.text);
}

Deno.test("parseGates() compares times, counts, percentages and the rate", () => {
  const held =
    "p50>=1ms,p99>3999us,p100>9.9ms,max>=10ms,min<0.6ms,mean<=1s,loss>=1%,loss>0,errors>=2%,corrupt>0.5%";
  assertEquals(holding(held), held.split(","));
  assertEquals(
    holding("duplicated>2, reordered>=4 ,rate<98.5/s,rate>=98"),
    parseGates(
      "duplicated>2,reordered>=4,rate<98.5/s,rate>=98",
    ).map(({ text }) => text),
  );
  assertEquals(holding("p50>1ms,p99.9>10ms,loss>1%,loss>1,late>0,unsent>0,rate<98,mean>1000000ns"), []);
});

Deno.test("parseGates(): where no reply came every condition on a time holds", () => {
  const rtt = { count: 0, minMs: 0, meanMs: 0, maxMs: 0, steps: [] };
  const silent = { ...SUMMARY, messages: 0, requests: 0, lost: 0, rtt };
  assertEquals(holding("p99>5ms,p50<1s,loss>1%", silent), ["p99>5ms", "p50<1s"]);
});

Deno.test("parseGates() refuses what it cannot read, and says what would do", () => {
  const names = "pN, min, mean, max, loss, corrupt, errors, unsent, duplicated, reordered, late, rate";
  const cases: [string, string][] = [
    ["", "cannot read the condition '': it must be METRIC>VALUE or METRIC<VALUE, such as p99>5ms or loss>1%"],
    ["p99>5ms,", "cannot read the condition '': it must be METRIC"],
    ["p99=5ms", "cannot read the condition 'p99=5ms': it must be METRIC"],
    ["p99>5", "cannot read the condition 'p99>5': a time must have ns, us, ms or s, such as 5ms"],
    ["p101>5ms", `cannot read the condition 'p101>5ms': 'p101' is none of ${names}`],
    ["speed>5", `cannot read the condition 'speed>5': 'speed' is none of ${names}`],
    ["constructor>5", `'constructor' is none of ${names}`],
    ["loss>5ms", "the value must be a count, or a percentage of the requests"],
    ["rate>5%", "a rate must be a number per second, such as 1000/s"],
  ];
  for (const [text, message] of cases) assertThrows(() => parseGates(text), UsageError, message);
  const ofStreams = `'late' is none of ${names.replace(" duplicated, reordered, late,", "")}`;
  assertThrows(() => parseGates("late>0", { isStream: true }), UsageError, ofStreams);
});
