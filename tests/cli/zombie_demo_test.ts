import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { adoptsOrphans, reapAdopted } from "../../lib/process/descendants.ts";
import { listProcesses, readProcess } from "../../lib/process/proc.ts";
import { withFamily } from "../demo/families.ts";
import { CONC, conc, eventually, inDirectory, records, type Running, shell, start } from "./conc.ts";

adoptsOrphans();

const ignore = Deno.build.os !== "linux";

/** Whether this user may make a pid namespace of its own, in which no other test has zombies. */
const hasNamespaces = !ignore && await succeeds(["unshare", "-pf", "--mount-proc", "true"]);

async function succeeds(words: readonly string[]): Promise<boolean> {
  try {
    const [program, ...args] = words;
    return (await new Deno.Command(program!, { args, stdout: "null", stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

async function runPs(...args: string[]): Promise<string[]> {
  const { stdout } = await new Deno.Command("ps", { args, stderr: "inherit" }).output();
  return new TextDecoder().decode(stdout).trimEnd().split("\n");
}

/** The children of a conc that runs, of that name, as soon as there are so many. */
function childrenOf(demo: Running, name: string, count: number): Promise<number[]> {
  return eventually(`it has ${count} children called ${name}`, () => {
    const all = listProcesses().filter((entry) => entry.ppid === demo.pid && entry.name === name);
    return all.length === count && all.map(({ pid }) => pid);
  });
}

/** The parent, which does not wait. */
async function parentOf(demo: Running): Promise<number> {
  return (await childrenOf(demo, "cat", 1))[0]!;
}

/** The zombies of a parent, as soon as there are so many. */
function zombiesOf(parent: number, count: number): Promise<number[]> {
  return eventually(`it has ${count} zombies`, () => {
    const all = listProcesses().filter(({ ppid, state }) => ppid === parent && state === "Z");
    return all.length === count && all.map(({ pid }) => pid).sort((a, b) => a - b);
  });
}

/** Waits until nothing is left of some processes, which this process adopts if their own parents have ended. */
async function areGone(pids: readonly number[]): Promise<void> {
  await eventually("nothing is left", () => {
    reapAdopted();
    return pids.every((pid) => readProcess(pid) === undefined);
  });
}

Deno.test({
  name: "zombie-demo shows three zombies that ps sees too, and then none",
  ignore,
  async fn() {
    const demo = start(["zombie-demo", "--count", "3", "--hold", "1h"]);
    const parent = await parentOf(demo);
    const zombies = await zombiesOf(parent, 3);
    const lines = await runPs("-o", "pid=,ppid=,stat=,args=", "--ppid", String(parent));
    assertEquals(lines.length, 3);
    for (const [index, line] of lines.entries()) {
      assertMatch(line, new RegExp(`^ *${zombies[index]} +${parent} +Z\\S* +\\[sh\\] <defunct>$`));
    }
    // Ending the parent from elsewhere ends the hold.
    Deno.kill(parent, "SIGTERM");
    const { code, stdout, stderr } = await demo.result();
    assertEquals([code, stderr], [0, ""]);
    for (const pid of zombies) {
      assertMatch(stdout, new RegExp(`^ +${pid} +${parent} +Z +sh <defunct>$`, "m"));
    }
    assertStringIncludes(stdout, `adopted by conc (${demo.pid})`);
    assertMatch(stdout, /gone: none of the 3 is left\n$/);
    assertEquals([parent, ...zombies].map(readProcess), [undefined, undefined, undefined, undefined]);
  },
});

Deno.test({
  name: "zombie-demo --json tells what was seen, and removes it",
  ignore,
  async fn() {
    const { code, stdout, stderr } = await conc(["zombie-demo", "--count", "2", "--hold", "0", "--json"]);
    assertEquals([code, stderr], [0, ""]);
    const all = records(stdout);
    assertEquals(all.map(({ type }) => type), [
      "parent",
      "zombie",
      "zombie",
      "removed",
      "removed",
      "summary",
    ]);
    const [parent, first, second] = all;
    assertEquals([first!.ppid, first!.state, second!.ppid], [parent!.pid, "Z", parent!.pid]);
    assertEquals(all.slice(3, 5).map(({ pid }) => pid), [first!.pid, second!.pid]);
    const { children, removed, left, exitCode } = all.at(-1)!;
    assertEquals({ children, removed, left, exitCode }, { children: 2, removed: 2, left: 0, exitCode: 0 });
    assertEquals(Object.keys(all.at(-1)!), [
      ...["type", "children", "removed", "left", "adopterPid", "exitCode", "durationMs"],
    ]);
  },
});

Deno.test({
  name: "zombie-demo --orphan shows the parent of a child before and after, and who adopts it",
  ignore,
  async fn() {
    const demo = start(["zombie-demo", "--orphan", "--hold", "0", "--json"]);
    const { code, stdout } = await demo.result();
    assertEquals(code, 0);
    const [parent, orphan, adopted, removed, summary] = records(stdout);
    assertEquals(orphan!.ppid, parent!.pid);
    const { type, pid, ppidBefore, ppid, adopter, role } = adopted!;
    assertEquals({ type, pid, ppidBefore, ppid, adopter, role }, {
      type: "adopted",
      pid: orphan!.pid,
      ppidBefore: parent!.pid,
      ppid: demo.pid,
      adopter: "conc",
      role: "self",
    });
    assertEquals([removed!.pid, summary!.adopterPid], [orphan!.pid, demo.pid]);
    assertEquals([parent!.pid, orphan!.pid].map((pid) => readProcess(Number(pid))), [undefined, undefined]);
  },
});

for (
  const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129], ["SIGKILL", 137]] as const
) {
  for (const mode of [[], ["--orphan"]]) {
    Deno.test({
      name: `${["zombie-demo", ...mode].join(" ")} leaves nothing when ${signal} ends it`,
      ignore,
      async fn() {
        const demo = start(["zombie-demo", "--count", "2", "--hold", "1h", ...mode]);
        // The parent of orphans is gone soon; two shells are conc's children only once it has adopted them.
        const family = mode.length > 0
          ? await childrenOf(demo, "sh", 2)
          : await parentOf(demo).then(async (parent) => [parent, ...await zombiesOf(parent, 2)]);
        demo.kill(signal);
        assertEquals((await demo.result()).code, code);
        await areGone(family);
      },
    });
  }
}

Deno.test({
  name: "zombie-demo ends when nobody reads any more, also while it holds",
  ignore,
  async fn() {
    await inDirectory(async (cwd) => {
      for (const mode of ["", "--orphan"]) {
        const script = `conc zombie-demo ${mode} --hold 1h | head -1; echo "\${PIPESTATUS[0]}"`;
        const { stdout, stderr } = await shell(script, { cwd });
        assertEquals(stderr, "");
        assertMatch(stdout, /^ +\S+ {2}parent \d+ \(cat\) has 1 child\n141\n$/);
      }
    });
  },
});

Deno.test("zombie-demo says what makes no sense, and makes nothing", async () => {
  for (
    const [args, said] of [
      [["--count", "0"], "--count: cannot read a count as it must be a whole number from 1: received '0'"],
      [["--count", "100000"], "at most 1000: received '100000'"],
      [["--hold", "soon"], "--hold: cannot read a duration"],
      [["scan", "--watch", "0"], "the interval must be 100ms or more: received '0'"],
      [["scan", "pid"], "unexpected word 'pid'"],
      [["scna"], "unexpected word 'scna'"],
    ] as const
  ) {
    const { code, stdout, stderr } = await conc(["zombie-demo", ...args]);
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, said);
    assertEquals(stderr.split("\n").length, 2);
  }
});

Deno.test({
  name: "zombie-demo that cannot start its children says why in one line",
  ignore,
  async fn() {
    await inDirectory(async (cwd) => {
      for (
        const [status, why] of [
          ["exit 2", "the system has no room for so many processes: ask for fewer, or see ulimit -u"],
          ["exit 127", "there is no cat: check PATH"],
          ["kill -9 $$", "SIGKILL ended their parent: try again"],
        ]
      ) {
        // A shell that fails as a real one does when it can start no more.
        const script =
          `printf '#!/bin/bash\\n${status}\\n' > sh; chmod +x sh; PATH=$PWD:$PATH conc zombie-demo`;
        const { code, stdout, stderr } = await shell(script, { cwd });
        assertEquals([code, stdout, stderr], [125, "", `conc: cannot start 1 child: ${why}\n`]);
      }
    });
  },
});

Deno.test({
  name: "zombie-demo scan --fail exits 1 while there is a zombie, and names it, its parent and what to do",
  ignore,
  async fn() {
    await withFamily(2, async (family) => {
      await family.endChildren();
      const { code, stdout, stderr } = await conc(["zombie-demo", "scan", "--fail"]);
      assertEquals([code, stderr], [1, ""]);
      for (const pid of family.children) {
        assertMatch(stdout, new RegExp(`^${pid} +${family.pid} +Z +\\S+ ago +\\S+ ago +sh <defunct>$`, "m"));
      }
      assertMatch(stdout, new RegExp(`^parent ${family.pid} has 2 zombies, started \\S+ ago: cat$`, "m"));
      assertMatch(stdout, new RegExp(`^ +kill ${family.pid} +ends it`, "m"));
      const json = records((await conc(["zombie-demo", "scan", "--json"])).stdout);
      const zombies = json.filter(({ type, ppid }) => type === "zombie" && ppid === family.pid);
      assertEquals(zombies.map(({ pid }) => pid), [...family.children]);
      assertEquals(Object.keys(zombies[0]!), ["type", "pid", "ppid", "state", "name", "ageMs", "seenMs"]);
      const parent = json.find(({ type, pid }) => type === "parent" && pid === family.pid)!;
      assertEquals([parent.zombies, parent.cause, parent.command], [2, "default", "cat"]);
      assertEquals(json.at(-1)!.type, "scan");
    });
  },
});

Deno.test({
  name: `zombie-demo scan --fail exits 0 once the zombie is gone${hasNamespaces ? "" : " (needs unshare)"}`,
  ignore: !hasNamespaces,
  async fn() {
    await inNamespace(
      `conc zombie-demo --hold 1h --json > demo & demo=$!
      until grep -q '"zombie"' demo; do sleep 0.01; done
      conc zombie-demo scan --fail > scan; echo "exit $?"
      kill $demo; wait $demo; echo "demo $?"
      conc zombie-demo scan --fail -q; echo "exit $?"
      conc zombie-demo scan | cut -d ' ' -f 1-3`,
      "exit 1\ndemo 143\nexit 0\nno zombie among\n",
    );
  },
});

Deno.test({
  name: `zombie-demo --orphan as process 1 is what init is${hasNamespaces ? "" : " (needs unshare)"}`,
  ignore: !hasNamespaces,
  async fn() {
    await inNamespace(
      `exec conc zombie-demo --orphan --hold 0 --json`,
      /"ppidBefore":\d+,"ppid":1,"adopter":"conc","role":"init".*\n.*"removed".*\n.*"adopterPid":1,"exitCode":0/,
    );
  },
});

Deno.test({
  name: `zombie-demo scan says of zombies of process 1 that it lacks an init${
    hasNamespaces ? "" : " (needs unshare)"
  }`,
  ignore: !hasNamespaces,
  async fn() {
    // Process 1 becomes a cat, which adopts an orphan and waits for nobody.
    await inNamespace(
      `mkfifo end
      (
        exec 4> end
        until [ "$(cat /proc/1/comm)" = cat ]; do sleep 0.01; done
        (true &)
        until ps -A -o ppid= -o stat= | grep -q '^ *1 *Z'; do sleep 0.01; done
        conc zombie-demo scan
      ) &
      exec cat end`,
      /^parent 1 has 1 zombie, started \S+ ago: cat end\n {2}it is process 1, .*\n {2}docker run --init … .*\n\n1 zombie of 1 parent/m,
    );
  },
});

Deno.test({
  name: "zombie-demo scan --watch scans again and again, and remembers since when it has seen a zombie",
  ignore,
  async fn() {
    await withFamily(1, async (family) => {
      await family.endChildren();
      const [program, ...args] = CONC;
      const child = new Deno.Command(program!, {
        args: [...args, "zombie-demo", "scan", "--watch", "0.1s", "--json"],
        stdout: "piped",
      }).spawn();
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      const seen = () => {
        const all = records(text.slice(0, text.lastIndexOf("\n")) || "{}");
        return all.filter(({ pid }) => pid === family.children[0]).map(({ seenMs }) => Number(seenMs));
      };
      while (seen().length < 3) text += (await reader.read()).value ?? "";
      const [first, second, third] = seen();
      assert(first! < second! && second! < third!, text);
      child.kill("SIGTERM");
      while (!(await reader.read()).done);
      assertEquals((await child.status).code, 143);
    });
  },
});

Deno.test({
  name: "zombie-demo scan --watch ends with its reader, long before the next scan, and --fail at a zombie",
  ignore,
  async fn() {
    await inDirectory(async (cwd) => {
      for (const flag of ["", "--json"]) {
        const script = `conc zombie-demo scan --watch 1h ${flag} | head -1 | wc -l; echo "\${PIPESTATUS[0]}"`;
        const { stdout, stderr } = await shell(script, { cwd });
        assertEquals([stdout, stderr], ["1\n141\n", ""]);
      }
    });
    await withFamily(1, async (family) => {
      await family.endChildren();
      const { code } = await conc(["zombie-demo", "scan", "--watch", "1h", "--fail"]);
      assertEquals(code, 1);
    });
  },
});

/** Runs a script as process 1 of a pid namespace of its own; it prints this. */
async function inNamespace(script: string, expected: string | RegExp): Promise<void> {
  await inDirectory(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/script`, script);
    const { stdout, stderr } = await shell("unshare -pf --mount-proc bash script", { cwd });
    if (typeof expected === "string") assertEquals(stdout, expected, stderr);
    else assertMatch(stdout, expected, stderr);
  });
}
