/**
 * `conc tcp-echo bench` and `conc udp-echo bench` beside the load in C, on the same servers.
 *
 * @module
 */

import { describe, median, printTable } from "../measure.ts";
import {
  figures,
  type LoadOptions,
  loadWords,
  type Programs,
  type Protocol,
  ratioOf,
  type Report,
  runLoad,
  WARM_UP_SECONDS,
} from "./load.ts";
import { type Server, startServer } from "./servers.ts";

const ROUNDS = 9;
const LOAD_TARGET = { atLeast: 0.6 };
/** Enough times that the p99 of two runs is within a few percent by itself. */
const AGREEMENT_LOAD: LoadOptions = { clients: 16, sizeBytes: 64, seconds: 8 };
const AGREEMENT_ROUNDS = 3;
const AGREEMENT_LIMIT_PERCENT = 15;

/** `conc … bench` and the load in C take turns on the server in C. */
export async function raceLoads(
  conc: string,
  programs: Programs,
  { protocol, load }: { protocol: Protocol; load: LoadOptions },
): Promise<void> {
  const server = await startServer({
    name: "server in C",
    words: (port) => [programs[`${protocol}_server`], String(port)],
  }, protocol);
  const [own, other] = await takeTurns(conc, programs, { server, protocol, load, rounds: ROUNDS });
  const ratio = ratioOf(own, other);
  printTable(
    `net: as a load on the ${protocol} server in C, ${load.clients} clients, ${load.sizeBytes} bytes`,
    [
      ["", "messages/s", "p50", "p99", "faults", "conc's rate to it", "target"],
      [`conc ${protocol}-echo bench`, ...figures(own), "", ""],
      ["load in C", ...figures(other), ratio.toFixed(2), describe(LOAD_TARGET, ratio)],
    ],
  );
}

/**
 * The two must see the same percentiles. A load that keeps a server busy sees how fast the load is, for who asks less often waits for
 * less; so here the server takes its time.
 */
export async function compareTimes(conc: string, programs: Programs, protocol: Protocol): Promise<void> {
  const server = await startServer({
    name: "slow server in C",
    words: (port) => [programs.delay_server, protocol, String(port)],
  }, protocol);
  const load = AGREEMENT_LOAD;
  const [own, other] = await takeTurns(conc, programs, { server, protocol, load, rounds: AGREEMENT_ROUNDS });
  const rows = (["p50Ms", "p90Ms", "p99Ms"] as const).map((key) => {
    const [mine, theirs] = [own, other].map((reports) => median(reports.map((report) => report[key])));
    const apart = 100 * Math.abs(mine! / theirs! - 1);
    return [
      key.replace("Ms", ""),
      `${mine!.toFixed(2)} ms`,
      `${theirs!.toFixed(2)} ms`,
      `${apart.toFixed(1)} %`,
      describe({ atMost: AGREEMENT_LIMIT_PERCENT }, apart),
    ];
  });
  printTable(
    `net: the same round trips, ${protocol}, ${load.clients} clients, a server that takes 4 ms in the mean`,
    [
      ["", `conc ${protocol}-echo bench`, "load in C", "apart", "target (%)"],
      ...rows,
    ],
  );
}

async function takeTurns(
  conc: string,
  programs: Programs,
  options: { server: Server; protocol: Protocol; load: LoadOptions; rounds: number },
): Promise<[Report[], Report[]]> {
  const { server, protocol, load, rounds } = options;
  const words = [
    conc,
    `${protocol}-echo`,
    "bench",
    `127.0.0.1:${server.port}`,
    "--json",
    ...concOptions(load),
  ];
  // One datagram at a time at each socket, as the load in C does it.
  if (protocol === "udp") words.push("--window", "1");
  const [own, other]: [Report[], Report[]] = [[], []];
  try {
    for (let round = 0; round < rounds; round++) {
      own.push(await runLoad(words));
      other.push(await runLoad(loadWords(programs[`${protocol}_load`], server.port, load)));
    }
  } finally {
    await server.stop();
  }
  return [own, other];
}

/** The same load for `conc … bench`. */
function concOptions(
  { clients, sizeBytes, seconds, warmUpSeconds = WARM_UP_SECONDS }: LoadOptions,
): string[] {
  return ["-c", clients, "-s", sizeBytes, "-d", `${seconds}s`, "--warmup", `${warmUpSeconds}s`].map(String);
}
