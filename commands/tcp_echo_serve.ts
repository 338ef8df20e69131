/**
 * `conc tcp-echo serve`: send back what clients send.
 *
 * @module
 */

import { EitherSignal } from "../lib/abort.ts";
import { reason, UsageError } from "../lib/errors.ts";
import { type Endpoint, parseEndpoint } from "../lib/net/address.ts";
import { MOST_THREADS, serveTcpEcho, type TcpEchoStatistics, type TlsIdentity } from "../lib/net/tcp_echo.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { formatDuration, parseDuration } from "../lib/time/duration.ts";
import { parseByteRate, parseCount } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { exitCodeOf } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";
import { Announcement, SERVE_ALIASES, SERVE_FLAGS, type ServeFlags } from "./serve_flags.ts";

type TcpServeFlags = ServeFlags & {
  line: boolean;
  threads: number;
  maxConns: number;
  idleTimeout: number;
  noDelay: boolean;
  drain: number;
  delay: number;
  limitRate?: number;
  tlsCert?: string;
  tlsKey?: string;
};

export default command<TcpServeFlags>({
  brief: "Send back what clients send, all of them at once",
  description: `The echo of RFC 862; the bytes come back as they were, or as -t says. upper and
lower change ASCII letters, and no other byte. reverse turns each line around,
character by character, and implies --line: a line is sent back when it is
complete, the last one also without a line feed, when the client half-closes. A
line of more than 1 MiB is an error, and ends the connection.

A client that does not read its echo is not read from: it takes up one buffer of
at most 64 KiB, with --delay or --limit-rate 1 MiB. Who comes while --max-conns
are open waits in the system's backlog, and so do all while conc is short of
file descriptors.

--host unix:PATH listens at a Unix socket: that of a server that is gone is
replaced, and it is removed at the end. With --tls-cert and --tls-key, two PEM
files, the server speaks TLS.

The first SIGINT, SIGTERM or SIGHUP stops new clients. Those that are there may
go on for --drain; then each gets the echo of all that it had sent, and is
closed. The second signal ends at once. Exit code: 128+N after signal N; 125 if
it cannot listen.

--json prints a record of type listening: address, host, port (or path), pid,
at; one of type notice for each thing that it cannot do at the moment: message,
at; and in the end one of type summary: connections, open, bytesIn, bytesOut,
errors, signal, durationMs.`,
  examples: [
    {
      line: "timeout 1 conc tcp-echo serve -t upper --port-file port; test $? = 124",
      does: "At a port that is free, which is in a file, too",
    },
    {
      line: "timeout 1 conc tcp-echo serve --host unix:echo.sock --line; test $? = 124",
      does: "At a Unix socket, line by line",
    },
    {
      line: "conc tcp-echo serve --event up & conc event wait up --timeout 9s; kill $!",
      does: "Let a script wait for it",
    },
    {
      line: "timeout 1 conc tcp-echo serve --delay 200ms --limit-rate 64k/s; test $? = 124",
      does: "Like a long, slow line",
    },
  ],
  words: { usage: "", minimum: 0, maximum: 0 },
  flags: {
    ...SERVE_FLAGS,
    line: {
      kind: "boolean",
      default: false,
      withNegated: false,
      brief: "Send a line back when it is complete",
    },
    threads: {
      kind: "parsed",
      parse: parseThreads,
      default: "1",
      placeholder: "N",
      brief: "Serve from N threads; the system spreads the clients over them",
    },
    maxConns: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      default: "1024",
      placeholder: "N",
      brief: "At most N connections at a time; others wait",
    },
    idleTimeout: {
      kind: "parsed",
      parse: parseDuration,
      default: "5m",
      placeholder: "D",
      brief: "Close a client that sends nothing for D; 0 is never",
    },
    noDelay: { kind: "boolean", default: true, brief: "Send small echoes at once (TCP_NODELAY)" },
    drain: {
      kind: "parsed",
      parse: parseDuration,
      default: "5s",
      placeholder: "D",
      brief: "At the end let those that are there go on for D",
    },
    delay: {
      kind: "parsed",
      parse: parseDuration,
      default: "0s",
      placeholder: "D",
      brief: "Send everything back D later, in its order",
    },
    limitRate: {
      kind: "parsed",
      parse: parseByteRate,
      optional: true,
      placeholder: "SIZE/s",
      brief: "Send back no more than this on each connection",
    },
    tlsCert: {
      kind: "parsed",
      parse: String,
      optional: true,
      placeholder: "FILE",
      brief: "Speak TLS with this chain of certificates",
    },
    tlsKey: {
      kind: "parsed",
      parse: String,
      optional: true,
      placeholder: "FILE",
      brief: "The private key of the certificate",
    },
  },
  aliases: SERVE_ALIASES,
  run: runServe,
});

async function runServe(context: Context, flags: TcpServeFlags & CommonFlags): Promise<number> {
  const endpoint = endpointOf(flags);
  const tls = await readIdentity(flags);
  const { idleTimeout, drain: drainMs } = flags;
  await using announcement = await Announcement.open(context, flags);
  using interrupts = new Interrupts();
  const failure = new AbortController();
  using kill = new EitherSignal(interrupts.second, failure.signal);
  const startMs = context.monotonic();
  const server = await serveTcpEcho(endpoint, {
    ...{ transform: flags.transform, line: flags.line, noDelay: flags.noDelay, drainMs, tls },
    ...{ threads: flags.threads, maximumConnections: flags.maxConns, delayMs: flags.delay },
    idleTimeoutMs: idleTimeout === 0 ? Infinity : idleTimeout,
    bytesPerSecond: flags.limitRate ?? Infinity,
    signal: interrupts.first,
    killSignal: kill.signal,
    notice: (text) => void notify(context, flags, text).catch((error) => failure.abort(error)),
  });
  interrupts.first.addEventListener("abort", () => {
    const { open } = server.statistics();
    if (open === 0 || flags.quiet || flags.json) return;
    const whom = `${open} ${open === 1 ? "client" : "clients"}`;
    void say(
      context,
      `letting ${whom} finish within ${formatDuration(drainMs)}: a second signal ends at once`,
    )
      .catch(() => {});
  }, { once: true });
  try {
    await announcement.make(server.endpoint);
    await server.ended;
    failure.signal.throwIfAborted();
  } finally {
    // A server of which nothing can be said is not to go on.
    failure.abort();
    await server.ended;
  }
  const durationMs = context.monotonic() - startMs;
  await summarize(context, { flags, statistics: server.statistics(), interrupts, durationMs });
  return exitCodeOf(interrupts.first.reason);
}

function parseThreads(text: string): number {
  const threads = parseCount(text, 1);
  if (threads <= MOST_THREADS) return threads;
  throw new UsageError(
    `cannot serve from so many threads as there may be ${MOST_THREADS}: received '${text}'`,
  );
}

function endpointOf({ host, port }: TcpServeFlags): Endpoint {
  if (!/^unix:/i.test(host)) return { hostname: host, port };
  if (port !== 0) throw new UsageError("a Unix socket has no port: leave out --port");
  return parseEndpoint(host);
}

async function readIdentity({ tlsCert, tlsKey }: TcpServeFlags): Promise<TlsIdentity | undefined> {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    const missing = tlsCert === undefined ? "--tls-cert" : "--tls-key";
    throw new UsageError(`TLS takes a certificate and its key: ${missing} is missing`);
  }
  return { cert: await readPem(tlsCert, "certificate"), key: await readPem(tlsKey, "key") };
}

async function readPem(path: string, what: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new UsageError(`cannot read the ${what} '${path}': ${reason(error)}: name a PEM file`, {
      cause: error,
    });
  }
}

async function notify(context: Context, { json, quiet }: CommonFlags, message: string): Promise<void> {
  const at = new Date(context.now()).toISOString();
  if (json) await context.stdout.write(ndjson({ type: "notice", message, at }));
  else if (!quiet) await say(context, message);
}

async function summarize(
  context: Context,
  { flags: { json, quiet }, statistics, interrupts, durationMs }: {
    flags: CommonFlags;
    statistics: TcpEchoStatistics;
    interrupts: Interrupts;
    durationMs: number;
  },
): Promise<void> {
  if (json) {
    const { signal } = interrupts.first.reason;
    const duration = Math.round(durationMs * 1_000) / 1_000;
    await context.stdout.write(ndjson({ type: "summary", ...statistics, signal, durationMs: duration }));
  } else if (!quiet) {
    const { connections, bytesIn, bytesOut, errors } = statistics;
    await say(
      context,
      `${connections} ${
        connections === 1 ? "connection" : "connections"
      }, ${bytesIn} bytes in, ${bytesOut} bytes out, ${errors} ${errors === 1 ? "error" : "errors"}`,
    );
  }
}
