import { assert, assertEquals } from "@std/assert";
import { CONC, eventually, inDirectory } from "./conc.ts";
import { fixture, killMarked, mark, marked } from "./processes.ts";

/** The programs that do a part of conc spawn's job. */
const PEERS = ["timeout", "tini"] as const;
type Peer = typeof PEERS[number];

/** A command line that several can run. */
interface Case {
  what: string;
  /** The command. */
  words: (token: string) => string[];
  /** A limit in seconds, with a signal, and a second limit until SIGKILL. */
  limit?: { s: number; signal?: string; killAfter?: number };
  /** Sent to the program once the command is ready: once its process shows in /proc. */
  sent?: Deno.Signal;
  exitCode: number;
  /** Of whom something still lives afterwards, or a process of the command does not get what was sent. */
  survivors?: readonly Peer[];
}

const sh = (script: string) => (token: string) => ["sh", "-c", script, "sh", token];
const SLEEP = 'sleep "300.000$1"';

const CASES: readonly Case[] = [
  { what: "a command that works", words: () => ["true"], exitCode: 0 },
  { what: "a command that fails", words: sh("exit 3"), exitCode: 3 },
  { what: "a command that is not there", words: () => ["no-such-command"], exitCode: 127 },
  { what: "a command that cannot be executed", words: () => ["/etc/passwd"], exitCode: 126 },
  { what: "a command that a signal ends", words: sh("kill -USR1 $$"), exitCode: 138 },
  { what: "a command that is killed", words: sh("kill -KILL $$"), exitCode: 137 },
  { what: "a limit that is kept", words: sh("exit 4"), limit: { s: 60 }, exitCode: 4 },
  { what: "a limit of nothing, which is none", words: sh("exit 5"), limit: { s: 0 }, exitCode: 5 },
  { what: "a limit that is not kept", words: sh(`exec ${SLEEP}`), limit: { s: 0.2 }, exitCode: 124 },
  {
    what: "a limit with another signal",
    words: sh(`exec ${SLEEP}`),
    limit: { s: 0.2, signal: "INT" },
    exitCode: 124,
  },
  {
    what: "a limit with a signal by its number",
    words: sh(`exec ${SLEEP}`),
    limit: { s: 0.2, signal: "10" },
    exitCode: 124,
  },
  {
    what: "a limit with SIGKILL",
    words: sh(`exec ${SLEEP}`),
    limit: { s: 0.2, signal: "KILL" },
    exitCode: 137,
  },
  {
    what: "a command that ignores TERM, killed later",
    words: (token) => [fixture("ignores_signals"), token],
    limit: { s: 0.2, killAfter: 0.2 },
    exitCode: 137,
  },
  {
    what: "a command that tidies up at its limit",
    words: sh("trap 'exit 7' TERM; while :; do sleep 0.02; done"),
    limit: { s: 0.2 },
    exitCode: 124,
  },
  { what: "a TERM to the program", words: sh(`exec ${SLEEP}`), sent: "SIGTERM", exitCode: 143 },
  { what: "an INT to the program", words: sh(`exec ${SLEEP}`), sent: "SIGINT", exitCode: 130 },
  { what: "a HUP to the program", words: sh(`exec ${SLEEP}`), sent: "SIGHUP", exitCode: 129 },
  {
    what: "a TERM that the command handles",
    words: sh('trap "exit 9" TERM; : "$1"; while :; do sleep 0.02; done'),
    sent: "SIGTERM",
    exitCode: 9,
  },
  {
    what: "a command that ends and leaves what ignores TERM in a session of its own",
    words: (token) => [fixture("new_session"), token],
    exitCode: 5,
    survivors: ["timeout", "tini"],
  },
  {
    what: "a command that ends and leaves what has another environment",
    words: (token) => [fixture("without_environment"), token],
    exitCode: 4,
    survivors: ["timeout", "tini"],
  },
  {
    what: "a limit, and a session of its own that ignores TERM",
    words: sh(`setsid sh -c 'trap "" TERM; ${SLEEP}' sh "$1" & ${SLEEP}`),
    limit: { s: 0.3 },
    exitCode: 124,
    survivors: ["timeout"],
  },
  {
    what: "a TERM, and a session of its own",
    words: sh(`setsid sh -c '${SLEEP}' sh "$1" & exec ${SLEEP}`),
    sent: "SIGTERM",
    exitCode: 143,
    survivors: ["timeout", "tini"],
  },
];

async function isInstalled(peer: Peer): Promise<boolean> {
  try {
    const { success, stdout } = await new Deno.Command(peer, { args: ["--version"], stderr: "null" })
      .output();
    return success && /coreutils|tini/.test(new TextDecoder().decode(stdout));
  } catch {
    return false;
  }
}

/** How each is called. tini knows no limits. */
function callOf(program: Peer | "conc", { limit, survivors }: Case): string[] | undefined {
  const { s, signal, killAfter } = limit ?? {};
  if (program === "tini") return limit === undefined ? ["tini", "-s", "-g", "--"] : undefined;
  const flags = [
    ...(signal === undefined ? [] : ["-s", signal]),
    ...(killAfter === undefined ? [] : ["-k", String(killAfter)]),
  ];
  if (program === "timeout") return ["timeout", ...flags, String(s ?? 0)];
  // What ends when it is asked has time for that, however busy the machine is.
  const grace = killAfter === undefined ? ["-k", survivors === undefined ? "10" : "0.3"] : [];
  return [...CONC, "spawn", ...flags, ...grace, ...(s === undefined ? [] : ["--timeout", String(s)])];
}

/**
 * Runs a case; says how it ended, and what of it lived then.
 *
 * @param options `leaves`: whether something is expected to live, which is waited for. What a peer leaves may just be executing its program,
 * which has no command line then, and what it killed as it went ends in a moment. Without it what lives is told at once.
 */
async function run(
  call: readonly string[],
  { words, sent }: Case,
  { cwd, leaves }: { cwd: string; leaves?: boolean },
): Promise<{ code: number; survivors: number }> {
  const token = mark();
  const [program, ...args] = [...call, ...words(token)];
  const child = new Deno.Command(program!, {
    ...{ args, cwd },
    ...{ stdin: "null", stdout: "null", stderr: "null" },
  }).spawn();
  try {
    if (sent !== undefined) {
      // The words of a shell that waits are its command line: all of the command runs once each of its processes shows.
      const processes = words(token).join(" ").includes("setsid") ? 3 : 1;
      await eventually("the command runs", () => settled(token, processes));
      // Until then it is still in the group that the peers end.
      if (processes > 1) {
        await eventually("one has a session of its own", () => marked(token).some(leadsSession));
      }
      // Before it knows the number of what it has started, timeout ends and leaves it.
      await eventually("its parent waits", () => sleeps(child.pid));
      child.kill(sent);
    }
    const { code } = await child.status;
    let survivors = marked(token).length;
    if (leaves !== undefined) {
      const what = leaves ? "something of it lives" : "nothing of it lives";
      await eventually(what, () => (survivors = marked(token).length) > 0 === leaves);
    }
    return { code, survivors };
  } finally {
    killMarked(token);
  }
}

/** Whether a command has started so many processes: its traps are set by then, as a loop or a sleep runs behind them. */
function settled(token: string, processes: number): boolean {
  const found = marked(token);
  const isAsleep = found.some(({ command }) => command.startsWith("sleep ") || command.includes("/sleep "));
  return found.length >= Math.min(processes, 2) && isAsleep || found.some(({ pid }) => hasChild(pid));
}

/** Whether a process leads a session: the fourth field behind its name in /proc/PID/stat. */
function leadsSession({ pid }: { pid: number }): boolean {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ").at(-1)!.split(" ")[3] === String(pid);
  } catch {
    return false;
  }
}

function sleeps(pid: number): boolean {
  return Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ").at(-1)!.startsWith("S");
}

function hasChild(pid: number): boolean {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`) !== "";
  } catch {
    return false;
  }
}

for (const each of CASES) {
  for (const peer of PEERS) {
    const here = await isInstalled(peer);
    const isDefined = callOf(peer, each) !== undefined;
    if (!isDefined) continue;
    Deno.test({
      name: `conc spawn exits as ${peer} does, and leaves nothing: ${each.what}${
        here ? "" : ` (${peer} is missing)`
      }`,
      ignore: Deno.build.os !== "linux" || !here,
      async fn() {
        await inDirectory(async (cwd) => {
          const leaves = each.survivors?.includes(peer) ?? false;
          const theirs = await run(callOf(peer, each)!, each, { cwd, leaves });
          const ours = await run(callOf("conc", each)!, each, { cwd });
          assertEquals({ peer: theirs.code, conc: ours.code }, { peer: each.exitCode, conc: each.exitCode });
          assertEquals(ours.survivors, 0);
          assertEquals(theirs.survivors > 0, leaves);
        });
      },
    });
  }
}

Deno.test("conc spawn has a case for every exit code that timeout defines", () => {
  const codes = new Set(CASES.map(({ exitCode }) => exitCode));
  for (const code of [0, 124, 126, 127, 137]) assert(codes.has(code));
});
