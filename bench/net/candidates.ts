/**
 * The servers that are compared: how each is called, and what conc must reach beside it.
 *
 * @module
 */

import { findProgram } from "../executable.ts";
import type { Absent, Target } from "../measure.ts";
import type { Programs, Protocol } from "./load.ts";

/** A server that can be started on a port of 127.0.0.1. */
export interface Candidate {
  name: string;
  words(port: number): string[];
  /** What conc must reach beside it, by the name of the race. */
  targets?: Readonly<Record<string, Target>>;
  /** It has a process or a thread for each client. */
  forks?: boolean;
}

/** A peer of conc, and the program that it needs; undefined if that is not installed. */
interface Peer extends Pick<Candidate, "name" | "targets" | "forks"> {
  program: string | undefined;
  needs: string;
  args(port: string): string[];
}

const PYTHON_SERVERS = `${import.meta.dirname}/python_servers.py`;
const NODE_SERVERS = `${import.meta.dirname}/node_servers.mjs`;

/** The servers of a protocol on this machine, conc first. */
export async function findCandidates(
  protocol: Protocol,
  { conc, programs }: { conc: string; programs: Programs },
): Promise<(Candidate | Absent)[]> {
  const own = protocol === "tcp"
    ? [concServer(conc, "tcp-echo"), concServer(conc, "tcp-echo", ["--threads", "2"])]
    : [concServer(conc, "udp-echo")];
  const peers = protocol === "tcp" ? await tcpPeers(programs) : await udpPeers(programs);
  return [
    ...own,
    ...peers.map(({ program, needs, args, ...rest }) =>
      program === undefined
        ? { name: rest.name, missing: needs }
        : { ...rest, words: (port: number) => [program, ...args(String(port))] }
    ),
  ];
}

/** `conc tcp-echo serve` or `conc udp-echo serve` with these options. */
export function concServer(
  conc: string,
  command: "tcp-echo" | "udp-echo",
  options: readonly string[] = [],
): Candidate {
  return {
    name: ["conc", command, "serve", ...options].join(" "),
    words: (port) => [conc, command, "serve", "-p", String(port), ...options],
  };
}

async function tcpPeers(programs: Programs): Promise<Peer[]> {
  const gevent = await findGevent();
  const large = { atLeast: 1 };
  return [
    {
      name: "epoll server in C",
      program: programs.tcp_server,
      needs: "cc",
      args: (port) => [port],
      targets: { small: { atLeast: 0.7 }, large },
    },
    {
      name: "Node's net",
      program: await findNode(),
      needs: "node",
      args: (port) => [NODE_SERVERS, "net", port],
      targets: { small: { atLeast: 1.1 }, large },
    },
    {
      name: "gevent, as in the tutorial",
      program: gevent,
      needs: "gevent (Debian: python3-gevent)",
      args: (port) => [PYTHON_SERVERS, "gevent", port],
      targets: { small: { atLeast: 1.3 }, large },
    },
    {
      name: "Python, a thread for each",
      program: gevent ?? findProgram("python3"),
      needs: "python3",
      args: (port) => [PYTHON_SERVERS, "threads", port],
      targets: { large },
      forks: true,
    },
    {
      name: "socat, fork",
      program: findProgram("socat"),
      needs: "socat",
      args: (port) => [`TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork,backlog=1024,nodelay`, "PIPE"],
      targets: { large },
      forks: true,
    },
    {
      name: "ncat -k -e cat",
      program: findProgram("ncat"),
      needs: "ncat",
      args: (port) => ["-l", "-k", "-m", "1024", "-e", "/bin/cat", "127.0.0.1", port],
      targets: { large },
      forks: true,
    },
  ];
}

async function udpPeers(programs: Programs): Promise<Peer[]> {
  const targets = { small: { atLeast: 1 } };
  return [
    {
      name: "recvfrom/sendto loop in C",
      program: programs.udp_server,
      needs: "cc",
      args: (port) => [port],
    },
    {
      name: "Python, as in the tutorial",
      program: await findGevent() ?? findProgram("python3"),
      needs: "python3",
      args: (port) => [PYTHON_SERVERS, "udp", port],
      targets,
    },
    {
      name: "Node's dgram",
      program: await findNode(),
      needs: "node",
      args: (port) => [NODE_SERVERS, "dgram", port],
      targets,
    },
    {
      name: "socat, fork",
      program: findProgram("socat"),
      needs: "socat",
      args: (port) => [`UDP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork`, "PIPE"],
      forks: true,
    },
    {
      name: "ncat -k -e cat",
      program: findProgram("ncat"),
      needs: "ncat",
      args: (port) => ["-u", "-l", "-k", "-e", "/bin/cat", "127.0.0.1", port],
      forks: true,
    },
  ];
}

/** A Python that has gevent: the one on the PATH may be another than Debian's. */
function findGevent(): Promise<string | undefined> {
  return findWorking([findProgram("python3"), "/usr/bin/python3"], ["-c", "import gevent"]);
}

/** Node itself: where there is none, Deno goes by its name on the PATH. */
function findNode(): Promise<string | undefined> {
  return findWorking([findProgram("node")], ["-e", "process.exit(process.versions.deno ? 1 : 0)"]);
}

/** The first of some programs that is there and succeeds. */
async function findWorking(
  programs: readonly (string | undefined)[],
  args: string[],
): Promise<string | undefined> {
  for (const program of programs) {
    if (program === undefined) continue;
    try {
      if ((await new Deno.Command(program, { args }).output()).success) return program;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}
