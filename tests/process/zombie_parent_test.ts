import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readProcess } from "../../lib/process/proc.ts";
import { readProcessTable } from "../../lib/process/process_table.ts";
import {
  explainParent,
  type ParentCause,
  type ParentFacts,
  parentFacts,
  parseStatus,
} from "../../lib/process/zombie_parent.ts";
import { eventually } from "../cli/conc.ts";

const FACTS: ParentFacts = {
  pid: 4710,
  ppid: 1,
  state: "S",
  isThreaded: false,
  ageMs: 1_000,
  name: "make",
  command: "make all",
  childSignal: "default",
  isInit: false,
  owner: {},
};

const CASES: [Partial<ParentFacts>, ParentCause, string[]][] = [
  [{}, "default", ["kill 4710"]],
  [{ childSignal: "handled" }, "handled", ["kill -CHLD 4710", "kill 4710"]],
  [{ childSignal: "blocked" }, "blocked", ["kill -CHLD 4710", "kill 4710"]],
  [{ childSignal: "ignored" }, "ignored", ["kill 4710"]],
  [{ state: "T", childSignal: "handled" }, "stopped", ["kill -CONT 4710", "kill 4710"]],
  [{ state: "t", tracerPid: 99 }, "traced", ["kill 99", "kill 4710"]],
  [{ state: "D" }, "hung", ["cat /proc/4710/wchan", "kill 4710"]],
  [{ owner: { service: "a b.service" } }, "default", ["systemctl restart 'a b.service'", "kill 4710"]],
  [{ owner: { service: "x.service", isUserService: true } }, "default", [
    "systemctl --user restart x.service",
    "kill 4710",
  ]],
  [{ isInit: true, owner: { container: "abc", runtime: "podman" } }, "init", [
    "docker run --init …",
    "podman restart abc",
  ]],
  [{ isInit: true, pid: 1, childSignal: "handled" }, "init", ["docker run --init …"]],
  [{ owner: { container: "abc", runtime: "crictl" } }, "default", ["crictl stop abc", "kill 4710"]],
];

for (const [facts, cause, commands] of CASES) {
  Deno.test(`explainParent() of ${JSON.stringify(facts)} is ${cause}`, () => {
    const explanation = explainParent({ ...FACTS, ...facts });
    assertEquals([explanation.cause, explanation.advice.map(({ command }) => command)], [cause, commands]);
    assert(explanation.why.startsWith("it "));
  });
}

Deno.test("explainParent() of what ps knows no more of", () => {
  const { childSignal: _, ...facts } = FACTS;
  assertEquals(explainParent(facts).cause, "unknown");
  assertEquals(explainParent({ ...facts, state: "U" }).cause, "hung");
});

Deno.test("explainParent() names who traces it, whatever else it does", () => {
  assertStringIncludes(explainParent({ ...FACTS, tracerPid: 99 }).why, "(process 99 traces it)");
});

Deno.test("parseStatus() of nothing, as of a process that is gone", () => {
  assertEquals(parseStatus(""), { isInit: false });
});

Deno.test({
  name: "parentFacts() knows how SIGCHLD is taken, from the kernel",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const cases: [string, ParentFacts["childSignal"]][] = [
      ["exec cat", "default"],
      ["exec env --ignore-signal=CHLD cat", "ignored"],
      // bash waits for its children when it is told of them.
      ["exec bash -c 'trap : CHLD; read _'", "handled"],
    ];
    for (const [script, expected] of cases) {
      const child = new Deno.Command("sh", { args: ["-c", script], stdin: "piped", stdout: "null" }).spawn();
      try {
        // Not what it was before it became what it is to be.
        const name = script.includes("bash") ? "bash" : "cat";
        const isThere = () =>
          readProcess(child.pid)?.name === name &&
          parseStatus(statusOf(child.pid)).childSignal === expected;
        await eventually(`${script} is ${expected}`, isThere);
        const row = (await readProcessTable("proc")).find(({ pid }) => pid === child.pid)!;
        const { childSignal, uid, isInit, command } = parentFacts(row);
        assertEquals({ childSignal, uid, isInit }, {
          childSignal: expected,
          uid: Deno.uid()!,
          isInit: false,
        });
        assert(command.length > 0 && readProcess(child.pid)!.name === row.name);
      } finally {
        await child.stdin.close();
        await child.status;
      }
    }
  },
});

function statusOf(pid: number): string {
  return Deno.readTextFileSync(`/proc/${pid}/status`);
}
