/**
 * `conc tcp-echo` and `conc udp-echo` beside a server in C, Node, the tutorial's servers in Python, socat and ncat, all under the same
 * load, which is made in C and checks every byte; and `conc … bench` beside that load.
 *
 * The servers take turns round by round, so that what else the machine does hits them all alike. The load shares the processors with
 * them: figures are those of both together, and say little but for their ratios. `CONC_BIN` names another conc.
 *
 * @module
 */

import { concExecutable } from "./executable.ts";
import { type Absent, describe, printTable } from "./measure.ts";
import { type Candidate, findCandidates } from "./net/candidates.ts";
import {
  compile,
  figures,
  type LoadOptions,
  loadWords,
  type Programs,
  type Protocol,
  ratioOf,
  type Report,
  runLoad,
} from "./net/load.ts";
import { compareTimes, raceLoads } from "./net/loads.ts";
import { measureDrain, measureIdle } from "./net/many.ts";
import { endServersOnSignals, type Server, startServer } from "./net/servers.ts";

/** What is measured: which targets count, and under which load. */
interface Race {
  name: string;
  protocol: Protocol;
  load: LoadOptions;
}

const ROUNDS = 9;
const RACES: readonly Race[] = [
  { name: "small", protocol: "tcp", load: { clients: 64, sizeBytes: 64, seconds: 0.6 } },
  { name: "large", protocol: "tcp", load: { clients: 64, sizeBytes: 16_384, seconds: 0.6 } },
  { name: "small", protocol: "udp", load: { clients: 32, sizeBytes: 64, seconds: 0.6 } },
];

export default async function net(): Promise<void> {
  const conc = Deno.env.get("CONC_BIN") ?? concExecutable();
  using _servers = endServersOnSignals();
  const directory = await Deno.makeTempDir({ prefix: "conc-bench-" });
  try {
    const programs = await compile(directory);
    if (programs === undefined) {
      return console.log("  skipped: the load is made in C, and cc is not installed");
    }
    for (const race of RACES) {
      await raceServers(await findCandidates(race.protocol, { conc, programs }), race, programs);
    }
    await measureIdle(await findCandidates("tcp", { conc, programs }), programs);
    await measureDrain(conc, programs);
    for (const race of RACES) await raceLoads(conc, programs, race);
    await compareTimes(conc, programs, "tcp");
    await compareTimes(conc, programs, "udp");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function raceServers(
  candidates: readonly (Candidate | Absent)[],
  race: Race,
  programs: Programs,
): Promise<void> {
  const present = candidates.filter((candidate) => "words" in candidate);
  const servers: Server[] = [];
  const reports = present.map((): Report[] => []);
  try {
    for (const candidate of present) servers.push(await startServer(candidate, race.protocol));
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, { port }] of servers.entries()) {
        reports[index]!.push(await runLoad(loadWords(programs[`${race.protocol}_load`], port, race.load)));
      }
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
  const rows = present.map(({ name, targets }, index) => {
    const ratio = ratioOf(reports[0]!, reports[index]!);
    const target = targets?.[race.name];
    return [
      ...[name, ...figures(reports[index]!)],
      index === 0 ? "" : ratio.toFixed(2),
      target === undefined ? "" : describe(target, ratio),
    ];
  });
  const { clients, sizeBytes } = race.load;
  printTable(`net: ${race.protocol}, ${clients} clients, ${sizeBytes} bytes, median of ${ROUNDS} rounds`, [
    ["", "messages/s", "p50", "p99", "faults", "conc's rate to it", "target"],
    ...rows,
  ]);
  printSkipped(candidates);
}

function printSkipped(candidates: readonly (Candidate | Absent)[]): void {
  for (const candidate of candidates) {
    if ("missing" in candidate) {
      console.log(`  skipped: ${candidate.name}: ${candidate.missing} is not installed`);
    }
  }
}
