import { assertEquals } from "@std/assert";
import { shorten, table } from "../../lib/report/table.ts";

Deno.test("table() makes columns as wide as their widest cells, and cuts lines that are too long", () => {
  const rows = [["NAME", "PID", "COMMAND"], ["a", "4711", "sleep 300"], ["long name", "1", "x"]];
  assertEquals(table(rows), "NAME       PID   COMMAND\na          4711  sleep 300\nlong name  1     x\n");
  assertEquals(table(rows, { columns: 20 }).split("\n")[1], "a          4711  sl…");
  assertEquals(table([]), "");
});

Deno.test("shorten() keeps to one line, and to so many characters", () => {
  assertEquals(shorten("sleep 1\n\tsleep 2\x1b[31m", 80), "sleep 1 sleep 2 [31m");
  assertEquals(shorten("sleep 300", 9), "sleep 300");
  assertEquals(shorten("sleep 3000", 9), "sleep 30…");
});
