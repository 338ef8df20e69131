import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Timeline } from "../../lib/report/timeline.ts";

Deno.test("Timeline draws lanes in the order in which their first spans began, not ended", () => {
  const timeline = new Timeline(0);
  timeline.add({ lane: "slot 2", label: "2", startMs: 1, endMs: 500, failed: false });
  timeline.add({ lane: "slot 1", label: "1", startMs: 0, endMs: 1_000, failed: false });
  const rows = timeline.draw({ columns: 40 }).split("\n").map((row) => row.slice(0, 6));
  assertEquals(rows.slice(0, 2), ["slot 1", "slot 2"]);
});

Deno.test("Timeline draws nothing for no span", () => {
  assertEquals(new Timeline(0).draw({ columns: 80 }), "");
});

Deno.test("Timeline keeps to its columns, draws what failed, and draws no lane twice", () => {
  const spans = fc.array(
    fc.record({
      lane: fc.integer({ min: 1, max: 5 }),
      gapMs: fc.integer({ min: 0, max: 200 }),
      durationMs: fc.integer({ min: 0, max: 2_000 }),
      failed: fc.boolean(),
    }),
    { minLength: 1, maxLength: 50 },
  );
  fc.assert(fc.property(spans, fc.integer({ min: 20, max: 120 }), (spans, columns) => {
    const timeline = new Timeline(0);
    const ends = new Map<number, number>();
    for (const [index, { lane, gapMs, durationMs, failed }] of spans.entries()) {
      const startMs = (ends.get(lane) ?? 0) + gapMs;
      ends.set(lane, startMs + durationMs);
      timeline.add({
        lane: `slot ${lane}`,
        label: String(index),
        startMs,
        endMs: startMs + durationMs,
        failed,
      });
    }
    const lines = timeline.draw({ columns }).split("\n");
    assertEquals(lines.length, ends.size + 2);
    for (const line of lines) assert(line.length <= columns, `${line.length} columns of ${columns}: ${line}`);
    assertEquals(new Set(lines.slice(0, -2).map((line) => line.slice(0, 6))).size, ends.size);
    for (const line of lines.slice(0, -2)) assert(/[[\]|!#-]/.test(line.slice(7)), line);
  }));
});

Deno.test("Timeline takes a million spans in little memory, and shows where they were", () => {
  const timeline = new Timeline(0);
  for (let at = 0; at < 200_000; at++) {
    timeline.add({ lane: "slot 1", label: String(at), startMs: at, endMs: at + 1, failed: false });
  }
  const [row = ""] = timeline.draw({ columns: 60 }).split("\n");
  assertEquals(row, `slot 1 ${"#".repeat(53)}`);
});
