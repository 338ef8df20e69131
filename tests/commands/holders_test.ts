import { assertEquals } from "@std/assert";
import { describeHolders, recordsOf, showSituations, type Situation } from "../../commands/holders.ts";
import { fakeContext } from "./helpers.ts";

const since = new Date(2026, 10, 24, 22, 50, 5);
const holder = {
  ...{ pid: 1, jobPid: 2, command: "./backup.sh", since, token: "0123456789abcdef" },
};
const waiter = { pid: 3, command: "true", since };
const situation: Situation = {
  isSilent: false,
  ...{ name: "a", text: "held, 1 waiting", record: { type: "lock", name: "a" } },
  ...{ holders: [holder], waiters: [waiter] },
};

Deno.test("describeHolders() names the process of the command, the command, and since when", () => {
  assertEquals(describeHolders(situation), "is held by process 2 (./backup.sh) since 2026-11-24 22:50:05");
  const own = { ...holder, jobPid: undefined, command: undefined };
  assertEquals(
    describeHolders({ holders: [own, holder], waiters: [], isSilent: false }),
    "is held by 2, the longest by process 1 since 2026-11-24 22:50:05",
  );
  const timed = { ...own, pid: undefined, command: "for 1h\nor so" };
  assertEquals(
    describeHolders({ holders: [timed], waiters: [], isSilent: false }),
    "is held by a token (for 1h or so) since 2026-11-24 22:50:05",
  );
  assertEquals(
    describeHolders({ holders: [], waiters: [waiter], isSilent: false }),
    "has a line of 1, at its head process 3 (true)",
  );
  assertEquals(describeHolders({ holders: [], waiters: [], isSilent: false }), "is free by now");
  assertEquals(
    describeHolders({ holders: [], waiters: [waiter], isSilent: true }),
    "is held by somebody who does not answer: its process is stopped, or its machine is cut off",
  );
});

Deno.test("recordsOf() is a record of each, with null for what is not known", () => {
  const [first] = recordsOf({ ...situation, holders: [{ ...holder, jobPid: undefined }], waiters: [] });
  assertEquals([first!.jobPid, first!.since], [null, since.toISOString()]);
  assertEquals(recordsOf(situation).map(({ type, place }) => [type, place]), [
    ["holder", undefined],
    ["waiter", 1],
  ]);
});

Deno.test("showSituations() cuts commands off on a terminal only", async () => {
  const long = { ...situation, holders: [{ ...holder, command: "x".repeat(200) }] };
  const flags = { json: false, quiet: false, color: "auto" } as const;
  for (const terminal of [true, false]) {
    const { context, out } = fakeContext({}, { terminal });
    await showSituations(context, { situations: [long], flags, none: "" });
    const longest = Math.max(...out.text.split("\n").map((line) => line.length));
    assertEquals(longest > 80, !terminal);
  }
});
