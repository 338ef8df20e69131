import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { leftText, stepRecords, stepText } from "../../commands/afterlife_text.ts";
import { scanRecords, scanText } from "../../commands/zombie_text.ts";
import type { AfterlifeStep } from "../../lib/demo/afterlife.ts";
import type { ProcessRow } from "../../lib/process/process_table.ts";
import type { ZombieScan } from "../../lib/process/zombies.ts";

const ROW: ProcessRow = { pid: 7, ppid: 4, state: "S", isThreaded: false, ageMs: 61_400, name: "sh" };
const ZOMBIE = { ...ROW, state: "Z" };
const SCAN: ZombieScan = {
  zombies: [{ ...ZOMBIE, seenMs: 100 }, { ...ZOMBIE, pid: 8, ageMs: undefined, seenMs: 2_600 }],
  parents: [{
    ...ROW,
    pid: 4,
    ppid: 1,
    name: "make",
    command: "make\tall",
    isInit: false,
    owner: {},
    zombies: 2,
    cause: "stopped",
    why: "it is stopped",
    advice: [{ command: "kill -CONT 4", does: "lets it go on" }],
  }],
  halfEnded: [],
  processes: 12,
  pids: { used: 40, limit: 32_768 },
  hidden: false,
};
const EMPTY: ZombieScan = { ...SCAN, zombies: [], parents: [] };
const text = (scan: ZombieScan, options: Partial<Parameters<typeof scanText>[1]> = {}) =>
  scanText(scan, { columns: Infinity, isQuiet: false, ...options });

Deno.test("scanText() lists zombies, their parents, and what to do", () => {
  assertEquals(
    text(SCAN),
    `PID  PPID  STATE  STARTED   SEEN       COMMAND
7    4     Z      1m1s ago  100ms ago  sh <defunct>
8    4     Z      - ago     2s ago     sh <defunct>

parent 4 has 2 zombies, started 1m1s ago: make all
  it is stopped
  kill -CONT 4  lets it go on

2 zombies of 1 parent among 12 processes; 40 of 32768 process ids are taken
`.replace("- ago", "-    "),
  );
});

Deno.test("scanText() says that there is none, or with quiet nothing, and counts one as one", () => {
  assertEquals(text(EMPTY), "no zombie among 12 processes; 40 of 32768 process ids are taken\n");
  assertEquals(text(EMPTY, { isQuiet: true }), "");
  const { pids: _, ...rest } = EMPTY;
  assertEquals(text({ ...rest, pids: undefined, processes: 1 }), "no zombie among 1 process\n");
});

Deno.test("scanText() says what cannot be seen, and what only looks like a zombie", () => {
  const odd = { ...EMPTY, zombies: SCAN.zombies, halfEnded: [{ ...ZOMBIE, pid: 9 }], hidden: true };
  assertStringIncludes(text(odd), "the parent of 7, 8 cannot be seen from here");
  assertStringIncludes(text(odd), "9 (sh) shows as Z, but lives");
  assertStringIncludes(text(odd), "(hidepid): scan as root");
});

Deno.test("scanText() is no wider and no longer than it may be", () => {
  const narrow = text(SCAN, { columns: 20, most: 1, at: new Date(0) });
  assert(narrow.split("\n").every((line) => line.length <= 20), narrow);
  assertStringIncludes(narrow, "… and 1 more\n");
});

Deno.test("scanRecords() has null for what is not known", () => {
  const [first, second, parent, scan] = scanRecords(SCAN, new Date(0));
  assertEquals(first, {
    type: "zombie",
    pid: 7,
    ppid: 4,
    state: "Z",
    name: "sh",
    ageMs: 61_400,
    seenMs: 100,
  });
  assertEquals([second!.ageMs, parent!.uid, parent!.service], [null, null, null]);
  assertEquals(scan, {
    type: "scan",
    at: "1970-01-01T00:00:00.000Z",
    zombies: 2,
    parents: 1,
    processes: 12,
    pidsUsed: 40,
    pidsLimit: 32_768,
    hidden: false,
  });
});

Deno.test("stepText() names the adopter by what it is", () => {
  const said = (step: AfterlifeStep) => stepText(step, { holdMs: 0, elapsedMs: 5 });
  const adopted = (name: string, role: "self" | "init" | "subreaper") =>
    said({ step: "adopted", rows: [ROW], ppidBefore: 3, adopter: { pid: 4, name, role } });
  assertEquals(
    adopted("systemd", "subreaper"),
    `    5ms  the parent was ended, its child goes on:
         PID  PPID BEFORE  PPID  STATE  COMMAND
         7    3            4     S      sh
         adopted by systemd (4), a subreaper: init to all below it
`,
  );
  assertStringIncludes(adopted("init", "init"), "adopted by init (4), process 1, so it is init here");
  const ended = said({ step: "parent ended", pid: 4, adopter: undefined });
  assertStringIncludes(ended, "adopted by init, or by a subreaper below it");
});

Deno.test("what cannot be removed is named, and is no record of something removed", () => {
  const step: AfterlifeStep = { step: "gone", removed: [6], left: [ZOMBIE] };
  assertEquals(stepText(step, { holdMs: 0, elapsedMs: 5 }), "");
  assertEquals(leftText([ZOMBIE]), "1 process is left: 7 (Z, child of 4): see conc zombie-demo scan");
  assertEquals(stepRecords(step, 5), [{ type: "removed", pid: 6, elapsedMs: 5 }]);
});
