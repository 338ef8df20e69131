import { assert, assertEquals } from "@std/assert";
import { CONC, conc, eventually, exists, inDirectory, lives, pidIn, records, start } from "./conc.ts";

const isLinux = Deno.build.os === "linux";

Deno.test({
  name: "SIGTSTP to a job of a shell stops the command and conc, SIGCONT continues both",
  ignore: !isLinux,
  async fn() {
    await inDirectory(async (cwd) => {
      // A shell with job control is there to continue what is stopped: without one the kernel stops nobody.
      const script = 'set -m; "$@" & echo $! > conc; while kill -0 $!; do wait $!; done';
      const shell = new Deno.Command("bash", {
        args: ["-c", script, "bash", ...CONC, "spawn", "sh", "-c", "echo $$ > pid; exec sleep 300"],
        ...{ cwd, stdin: "null", stdout: "null", stderr: "null" },
      }).spawn();
      const pid = await pidIn(cwd);
      const program = Number(await Deno.readTextFile(`${cwd}/conc`));
      Deno.kill(program, "SIGTSTP");
      await eventually("both are stopped", () => stateOf(pid) === "T" && stateOf(program) === "T");
      Deno.kill(program, "SIGCONT");
      await eventually("both go on", () => stateOf(pid) !== "T" && stateOf(program) !== "T");
      Deno.kill(program, "SIGTERM");
      await shell.status;
      assert(!lives(pid));
    });
  },
});

Deno.test({
  name: "SIGTSTP in a session of its own stops neither the command nor conc, as nobody would continue them",
  ignore: !isLinux,
  async fn() {
    await inDirectory(async (cwd) => {
      const script = `trap "" TSTP; trap "echo > heard" USR1; echo $$ > pid; while :; do sleep 0.02; done`;
      const { stdout } = await conc(["spawn", "--detach", "--pidfile", "conc.pid", "sh", "-c", script], {
        cwd,
      });
      const program = Number(stdout);
      const pid = await pidIn(cwd);
      Deno.kill(program, "SIGTSTP");
      // Signals are heard in the order of their numbers, and one that comes later is heard later.
      await eventually("the next signal comes through", () => {
        Deno.kill(program, "SIGUSR1");
        return exists(`${cwd}/heard`);
      });
      assert(stateOf(program) !== "T");
      Deno.kill(program, "SIGTERM");
      await eventually("both are gone", () => !lives(pid) && !exists(`${cwd}/conc.pid`));
    });
  },
});

Deno.test({
  name: "conc runs commands also if whoever started it ignores SIGCHLD",
  ignore: !isLinux || !await ignoresOf("CHLD"),
  async fn() {
    for (
      const [args, code] of [
        [["spawn", "sh", "-c", "exit 4"], 4],
        [["pool", "-j3", "test", "{}", "=", "a", ":::", "a", "a", "a", "a"], 0],
      ] as const
    ) {
      const { code: actual, stderr } = await outputOf(["env", "--ignore-signal=CHLD", ...CONC, ...args]);
      assertEquals({ code: actual, stderr }, { code, stderr: "" });
    }
  },
});

Deno.test({
  name: "SIGHUP ends conc spawn, but not under nohup",
  ignore: !isLinux || !await ignoresOf("HUP"),
  async fn() {
    const words = [...CONC, "spawn", "sh", "-c", "kill -HUP $PPID; read line; exit 6"];
    // The first waits for its input, which does not end before it has heard of the signal.
    const held = new Deno.Command("env", {
      args: ["--default-signal=HUP", ...words],
      ...{ stdin: "piped", stdout: "null", stderr: "null" },
    }).spawn();
    assertEquals((await held.status).code, 129);
    await held.stdin.close().catch(() => {});
    const immune = ["env", "--ignore-signal=HUP", ...words];
    assertEquals(await outputOf(immune), { code: 6, stderr: "" });
  },
});

for (const flags of [[], ["-n", "2"]]) {
  Deno.test({
    name: `conc spawn ${flags.join(" ")} exits 128+N after signal N, also if it had to kill what it runs`,
    ignore: !isLinux,
    async fn() {
      await inDirectory(async (cwd) => {
        const script = 'trap "" TERM; echo $$ > pid.{#}; while :; do sleep 0.02; done';
        const args = ["spawn", ...flags, "-k", "50ms", "--json", "sh", "-c", script];
        const running = start(args, { cwd });
        const pids = flags.length === 0 ? ["pid.{#}"] : ["pid.1", "pid.2"];
        await eventually("all ignore it", () => pids.every((name) => exists(`${cwd}/${name}`)));
        running.kill("SIGTERM");
        const { code, stdout } = await running.result();
        assertEquals(code, 143);
        const ends = records(stdout);
        assertEquals(ends.map(({ exitCode }) => exitCode), ends.map(() => 143));
        const runs = ends.filter(({ type }) => type === "run");
        assertEquals(
          runs.map(({ cause, signal }) => [cause, signal]),
          pids.map(() => ["interrupted", "SIGKILL"]),
        );
      });
    },
  });
}

/** Whether env(1) can set what a signal does to what it starts. */
async function ignoresOf(signal: string): Promise<boolean> {
  try {
    return (await outputOf(["env", `--ignore-signal=${signal}`, "true"])).code === 0;
  } catch {
    return false;
  }
}

async function outputOf(words: readonly string[]): Promise<{ code: number; stderr: string }> {
  const [program, ...args] = words;
  const { code, stderr } = await new Deno.Command(program!, { args, stdin: "null" }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

/** The state of a process, as ps shows it. */
function stateOf(pid: number): string | undefined {
  return Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]![0];
}

Deno.test({
  name: "conc spawn as pid 1 passes signals on, reaps what it adopts, and ends with the command's code",
  ignore: !isLinux || Deno.uid() !== 0 || !exists("/usr/bin/unshare"),
  async fn() {
    await inDirectory(async (cwd) => {
      const script = `for s in USR1 USR2 QUIT ALRM HUP; do trap "echo $s >> got" $s; done
        (sh -c 'sleep 0.05' &) ; (setsid sleep 0.05 &)
        touch ready; until [ -e end ]; do sleep 0.01; done
        n=5; until ! ps -e -o stat= | grep -q Z || [ $n = 0 ]; do n=$((n-1)); sleep 0.5; done; echo "zombies: $(ps -e -o stat= | grep -c Z)"; exit 8`;
      const child = new Deno.Command("unshare", {
        args: ["-pf", "--mount-proc", ...CONC, "spawn", "sh", "-c", script],
        ...{ cwd, stdin: "null", stdout: "piped", stderr: "piped" },
      }).spawn();
      await eventually("it is ready", () => exists(`${cwd}/ready`));
      const first = await eventually("conc is there", () => {
        const text = Deno.readTextFileSync(`/proc/${child.pid}/task/${child.pid}/children`).trim();
        return /^\d+$/.test(text) && Number(text);
      });
      for (const [count, signal] of (["SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGALRM"] as const).entries()) {
        Deno.kill(first, signal);
        await eventually(
          `${signal} came through`,
          () => exists(`${cwd}/got`) && Deno.readTextFileSync(`${cwd}/got`).split("\n").length > count + 1,
        );
      }
      await Deno.writeTextFile(`${cwd}/end`, "");
      const { code, stdout } = await child.output();
      assertEquals([code, new TextDecoder().decode(stdout)], [8, "zombies: 0\n"]);
      assertEquals(await Deno.readTextFile(`${cwd}/got`), "USR1\nUSR2\nQUIT\nALRM\n");
    });
  },
});
