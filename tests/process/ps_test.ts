import { assertEquals } from "@std/assert";
import { parsePs } from "../../lib/process/ps.ts";

Deno.test("parsePs() reads what ps prints on Linux, macOS and FreeBSD", () => {
  const text = [
    "    1     0 Ss   10-02:03:04 systemd",
    "  812     1 Ssl     01:02:03 with blank",
    " 4711  4710 Z+         00:07 sh <defunct>",
    " 4712  4710 Z              - (sh)",
    " 4713   812 Zl         00:01 deno",
    "  100     1 U          00:00 /usr/libexec/a b/diskd",
    "   55     2 I<         00:00 kworker/0:1H-x",
    "no such line",
    "",
  ].join("\n");
  assertEquals(
    parsePs(text).map(({ pid, ppid, state, isThreaded, ageMs, name }) => [
      ...[pid, ppid, state, isThreaded, ageMs, name],
    ]),
    [
      [1, 0, "S", false, (((10 * 24 + 2) * 60 + 3) * 60 + 4) * 1_000, "systemd"],
      [812, 1, "S", true, 3_723_000, "with blank"],
      [4711, 4710, "Z", false, 7_000, "sh"],
      [4712, 4710, "Z", false, undefined, "sh"],
      [4713, 812, "Z", true, 1_000, "deno"],
      [100, 1, "U", false, 0, "diskd"],
      [55, 2, "I", false, 0, "kworker/0:1H-x"],
    ],
  );
});
