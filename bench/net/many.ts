/**
 * Many connections: what ten thousand cost that are silent, and whether a thousand that are busy get all their replies when the server is
 * told to end.
 *
 * @module
 */

import { type Absent, describe, printTable, runProgram } from "../measure.ts";
import { type Candidate, concServer } from "./candidates.ts";
import { describeFaults, figures, loadWords, type Programs, readReport, runLoad } from "./load.ts";
import { startServer, withOpenFiles } from "./servers.ts";

const IDLE_CLIENTS = 10_000;
const IDLE_LIMIT_MIB = 150;
const BUSY_CLIENTS = 1_000;
const BUSY_SECONDS = 3;
const TERM_AFTER_MS = 1_500;

/**
 * What the connections cost that are open and silent, as the kernel tells it (proc(5), VmRSS), where one process serves all. The target
 * is for conc as it is called by default.
 */
export async function measureIdle(
  candidates: readonly (Candidate | Absent)[],
  programs: Programs,
): Promise<void> {
  const title = `net: tcp, ${IDLE_CLIENTS} idle connections`;
  if (Deno.build.os !== "linux") {
    return console.log(`\n${title}\n  skipped: there is no /proc/PID/status here`);
  }
  const limit = Number(new TextDecoder().decode(await runProgram(withOpenFiles(["sh", "-c", "ulimit -n"]))));
  if (limit < IDLE_CLIENTS + 100) {
    return console.log(`\n${title}\n  skipped: ulimit -Hn is ${limit}, too few`);
  }
  const rows = [["", "before", "with them", "for each", "target (MiB)"]];
  for (const candidate of candidates) {
    if ("missing" in candidate || candidate.forks) continue;
    const isConc = candidate.name.startsWith("conc");
    const options = isConc ? ["--max-conns", String(2 * IDLE_CLIENTS)] : [];
    const words = (port: number) => [...candidate.words(port), ...options];
    const server = await startServer({ name: candidate.name, words }, "tcp");
    try {
      const before = residentMib(server.pid);
      const load = await startIdle(programs.tcp_load, server.port);
      const after = residentMib(server.pid);
      await load.end();
      rows.push([
        candidate.name,
        `${before.toFixed(0)} MiB`,
        `${after.toFixed(0)} MiB`,
        `${((after - before) * 1_024 / IDLE_CLIENTS).toFixed(1)} KiB`,
        candidate === candidates[0] ? describe({ atMost: IDLE_LIMIT_MIB }, after) : "",
      ]);
    } finally {
      await server.stop();
    }
  }
  printTable(title, rows);
}

/** Resolves once all are connected, and each has had one echo. */
async function startIdle(program: string, port: number): Promise<{ end(): Promise<void> }> {
  const words = [program, "-i", "-c", String(IDLE_CLIENTS), "-d", "0", String(port)];
  const [shell, ...args] = withOpenFiles(words);
  const child = new Deno.Command(shell!, { args, stdin: "null", stdout: "piped" }).spawn();
  let printed = "";
  const { promise: idle, resolve } = Promise.withResolvers<void>();
  const read = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      printed += text;
      if (printed.includes("idle")) resolve();
    }
    resolve();
  })();
  await idle;
  return {
    async end() {
      // It may have ended by itself, when none could connect.
      if (printed.includes("idle")) child.kill("SIGTERM");
      await read;
      await child.status;
      const { faults } = readReport(printed);
      if (Object.keys(faults).length === 0) return;
      throw new Error(`not all of ${IDLE_CLIENTS} connections stayed open: ${describeFaults(faults)}`);
    },
  };
}

/** Whoever is connected when SIGTERM comes, and ends within the time to drain, gets all replies. */
export async function measureDrain(conc: string, programs: Programs): Promise<void> {
  const rows = [["", "messages/s", "p50", "p99", "faults", "exit code", "target"]];
  for (const threads of [[], ["--threads", "2"]]) {
    const server = await startServer(concServer(conc, "tcp-echo", ["--drain", "10s", ...threads]), "tcp");
    const options = { clients: BUSY_CLIENTS, sizeBytes: 64, seconds: BUSY_SECONDS, warmUpSeconds: 0 };
    const load = runLoad(withOpenFiles(loadWords(programs.tcp_load, server.port, options)));
    const [report, exitCode] = await Promise.all([load, pause(TERM_AFTER_MS).then(() => server.stop())]);
    rows.push([
      ...[server.name, ...figures([report]), String(exitCode)],
      `none: ${Object.keys(report.faults).length === 0 ? "ok" : "missed"}`,
    ]);
  }
  printTable(`net: tcp, ${BUSY_CLIENTS} clients at once, SIGTERM to the server while they run`, rows);
}

function residentMib(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)![1]) / 1_024;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
