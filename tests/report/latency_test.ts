import { assertEquals } from "@std/assert";
import { drawHistogram } from "../../lib/report/latency.ts";

function shares(...counts: number[]): string[] {
  const text = drawHistogram(counts.map((count, index) => [10 ** index, count]), { columns: 80 });
  return text.trimEnd().split("\n").flatMap((line) => /(\S+%)/.exec(line)?.[1] ?? []).filter((share) =>
    share !== "0%"
  );
}

Deno.test("drawHistogram() gives shares with two digits, and all of it as 100%", () => {
  assertEquals(shares(1), ["100%"]);
  assertEquals(shares(997, 3), ["100%", "0.30%"]);
  assertEquals(shares(99, 1), ["99%", "1%"]);
  assertEquals(shares(2, 1), ["67%", "33%"]);
});
