import { assert, assertEquals } from "@std/assert";
import { signalNumber } from "../../lib/process/exit_status.ts";
import { seededRandom } from "../../lib/random.ts";
import { inDirectory, records, start } from "./conc.ts";
import { fixture, killMarked, mark, marked } from "./processes.ts";

/** What misbehaves, and what it exits with if nothing ends it before. */
const PROGRAMS: readonly [name: string, exitCodes: readonly number[]][] = [
  ["ignores_signals", []],
  ["stops_itself", [6]],
  ["double_forks", []],
  ["new_session", [5]],
  ["without_environment", [4]],
  ["closes_stdio", []],
  ["floods", []],
  ["forks", []],
  ["respawns", [0]],
  ["handles_term", [7]],
  ["kills_itself", [137]],
  ["fails", [3]],
];
const SIGNALS = [
  "SIGUSR1",
  "SIGUSR2",
  "SIGWINCH",
  "SIGQUIT",
  "SIGINT",
  "SIGHUP",
  "SIGTERM",
  "SIGTSTP",
] as const;
const RUNS = 100;
const AT_ONCE = 8;
const SEED = Number(Deno.env.get("CONC_SEED") ?? 20_261_125);

/** One run: what is started how, and which signals conc gets when. */
interface Plan {
  program: string;
  exitCodes: readonly number[];
  flags: string[];
  signals: { afterMs: number; signal: Deno.Signal }[];
}

function makePlan(random: () => number): Plan {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const [program, exitCodes] = pick(PROGRAMS);
  const flags = ["-k", pick(["0", "50ms", "200ms"])];
  if (random() < 0.3) flags.push("--timeout", pick(["50ms", "300ms"]));
  if (random() < 0.2) flags.push("-s", pick(["INT", "KILL", "STOP"]));
  if (random() < 0.2) flags.push("--prefix");
  if (random() < 0.1) flags.push("--daemon");
  const count = Math.floor(random() * 4);
  const signals = Array.from({ length: count }, () => ({ afterMs: random() * 150, signal: pick(SIGNALS) }));
  return { program, exitCodes, flags, signals };
}

/** Every exit code that the help allows for a plan. */
function documented({ exitCodes, flags, signals }: Plan): number[] {
  const sent = ["SIGTERM", ...signals.map(({ signal }) => signal)].map((name) => 128 + signalNumber(name));
  const timeout = flags.includes("--timeout") ? [124, 137] : [];
  return [...exitCodes, ...sent, ...timeout];
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

Deno.test({
  name:
    `${RUNS} random runs of what misbehaves, under random signals, leave nothing and exit as documented (seed ${SEED})`,
  ignore: Deno.build.os !== "linux",
  async fn() {
    const random = seededRandom(SEED);
    const plans = Array.from({ length: RUNS }, () => makePlan(random));
    await inDirectory(async (directory) => {
      await Promise.all(Array.from({ length: AT_ONCE }, async () => {
        for (let plan = plans.shift(); plan !== undefined; plan = plans.shift()) {
          await runOne(plan, directory);
        }
      }));
    });
  },
});

async function runOne(plan: Plan, directory: string): Promise<void> {
  const token = mark();
  const report = `${directory}/${token}.json`;
  const args = ["spawn", ...plan.flags, "--report", report, fixture(plan.program), token];
  const running = start(args, { drained: plan.program === "floods" });
  try {
    for (const { afterMs, signal } of plan.signals) {
      await pause(afterMs);
      send(running, signal);
    }
    // Whatever came before: this ends it, and what it stopped goes on to hear of it.
    for (const signal of ["SIGCONT", "SIGTERM", "SIGCONT", "SIGTERM"] as const) {
      await pause(60);
      send(running, signal);
    }
    const stopped = setInterval(() => send(running, "SIGCONT"), 200);
    const { code, stderr } = await running.result().finally(() => clearInterval(stopped));
    const what = `${JSON.stringify({ ...plan, seed: SEED })} exited with ${code}: ${stderr}`;
    assertEquals(marked(token), [], what);
    assert(documented(plan).includes(code), what);
    // A signal may have come before there was anything to report of.
    const text = await Deno.readTextFile(report).catch(() => "");
    if (text !== "") assertEquals(records(text)[0]!.exitCode, code, what);
  } finally {
    killMarked(token);
  }
}

function send(running: { kill(signal: Deno.Signal): void }, signal: Deno.Signal): void {
  try {
    running.kill(signal);
  } catch {
    // It has ended.
  }
}
