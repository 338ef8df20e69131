/**
 * How a server is started and ended, and how one knows that it is there.
 *
 * @module
 */

import type { Candidate } from "./candidates.ts";
import type { Protocol } from "./load.ts";

/** A server that runs. */
export interface Server {
  name: string;
  port: number;
  pid: number;
  /** Sends SIGTERM, and SIGKILL to all that it started. Resolves with its exit code. */
  stop(): Promise<number>;
}

const READY_MS = 10_000;
const STOP_MS = 10_000;
const POLL_MS = 20;

/** The servers that run. Each has a session of its own: a Ctrl-C at the terminal does not reach it. */
const running = new Set<number>();

/** Words that run others with as many open files as this machine allows. */
export function withOpenFiles(words: readonly string[]): string[] {
  return ["sh", "-c", 'ulimit -n "$(ulimit -Hn)"; exec "$@"', "sh", ...words];
}

/** Ends all servers, and the bench, at SIGINT and SIGTERM, until it is disposed. */
export function endServersOnSignals(): Disposable {
  const end = () => {
    for (const pid of running) killGroup(pid);
    Deno.exit(130);
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, end);
  return {
    [Symbol.dispose]() {
      for (const signal of signals) Deno.removeSignalListener(signal, end);
    },
  };
}

/**
 * Starts a server on a free port and waits until it echoes.
 *
 * @throws {Error} If it does not echo within ten seconds.
 */
export async function startServer(candidate: Candidate, protocol: Protocol): Promise<Server> {
  const port = freePort(protocol);
  const [program, ...args] = withOpenFiles(candidate.words(port));
  const child = new Deno.Command(program!, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    detached: true,
  }).spawn();
  const said = new Response(child.stderr).text();
  running.add(child.pid);
  let exitCode: number | undefined;
  const ended = child.status.then(({ code }) => exitCode = code);
  const server: Server = {
    name: candidate.name,
    port,
    pid: child.pid,
    async stop() {
      if (exitCode === undefined) child.kill("SIGTERM");
      const deadline = setTimeout(() => killGroup(child.pid), STOP_MS);
      const code = await ended;
      clearTimeout(deadline);
      killGroup(child.pid);
      running.delete(child.pid);
      return code;
    },
  };
  for (const deadlineMs = performance.now() + READY_MS; !await echoes(protocol, port); await pause(POLL_MS)) {
    if (exitCode === undefined && performance.now() < deadlineMs) continue;
    await server.stop();
    throw new Error(`${candidate.name} does not echo: ${(await said).trim()}`);
  }
  return server;
}

/** All that a server started is in its process group: socat and ncat have a process for each client. */
function killGroup(pid: number): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function freePort(protocol: Protocol): number {
  const options = { port: 0, hostname: "127.0.0.1" };
  using socket = protocol === "tcp" ? Deno.listen(options) : undefined;
  if (socket !== undefined) return socket.addr.port;
  const datagrams = Deno.listenDatagram({ ...options, transport: "udp" });
  const { port } = datagrams.addr as Deno.NetAddr;
  datagrams.close();
  return port;
}

function echoes(protocol: Protocol, port: number): Promise<boolean> {
  return protocol === "tcp" ? echoesTcp(port) : echoesUdp(port);
}

async function echoesTcp(port: number): Promise<boolean> {
  try {
    using connection = await Deno.connect({ port, hostname: "127.0.0.1" });
    await connection.write(new Uint8Array([1]));
    const reply = connection.read(new Uint8Array(1)).then((length) => length === 1, () => false);
    return await Promise.race([reply, pause(1_000).then(() => false)]);
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}

async function echoesUdp(port: number): Promise<boolean> {
  const socket = Deno.listenDatagram({ port: 0, hostname: "127.0.0.1", transport: "udp" });
  const reply = socket.receive().then(() => true, () => false);
  await socket.send(new Uint8Array([1]), { transport: "udp", hostname: "127.0.0.1", port });
  const answered = await Promise.race([reply, pause(10 * POLL_MS).then(() => false)]);
  socket.close();
  await reply;
  return answered;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
