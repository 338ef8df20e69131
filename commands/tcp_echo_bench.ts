/**
 * `conc tcp-echo bench`: measure a TCP echo server.
 *
 * @module
 */

import { parseEndpoint } from "../lib/net/address.ts";
import { benchTcp } from "../lib/net/bench.ts";
import { parseGates } from "../lib/net/bench/gate.ts";
import { BENCH_ALIASES, BENCH_FLAGS, BENCH_GATES, type BenchFlags, FAIL_IF } from "./bench_flags.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { runBench } from "./echo_bench.ts";
import { parseLimit } from "./echo_send.ts";
import { TLS_FLAGS, type TlsFlags, tlsOptions } from "./tls_flags.ts";

type TcpBenchFlags = BenchFlags & TlsFlags;

export default command<TcpBenchFlags>({
  brief: "Measure an echo server: speed, round trips, what is wrong",
  description: `Works against any TCP echo server, at HOST:PORT or unix:PATH. Each connection
sends a message, waits for the reply, checks every byte of it, and sends the
next. Each message has its number and that of its connection in it, as far as
there is room, and ends with a line feed.

  messages  replies with every byte right
  corrupt   replies with a wrong byte, or more bytes than were sent
  lost      messages without a whole reply in --timeout
  errors    connections that could not be made, or broke

A connection that breaks, or is out of step, is made anew after a pause, which
grows from 10ms to a second. With --rate message N is due at the start plus N
intervals; where all connections wait the message goes later, and its time still
counts from when it was due.

${BENCH_GATES}

--json prints a record of type interval every second: elapsedMs, messages,
messagesPerSecond, bytesPerSecond, p50Ms, p99Ms, maxMs, corrupt, lost, errors;
and a summary: address, connections, sizeBytes, transform, ratePerSecond,
durationMs, requests, messages, messagesPerSecond, bytesPerSecond, minMs,
meanMs, p50Ms, p90Ms, p99Ms, p999Ms, maxMs, corrupt, lost, errors, reasons (how
often each error), unsent (due by --rate, and not sent), failed (conditions),
outcome (passed, failed, interrupted), exitCode.`,
  examples: [
    { line: "conc tcp-echo bench 127.0.0.1:1 -c 64 -d 5s", does: "Nobody listens there", exitCode: 1 },
    {
      line: "conc tcp-echo bench unix:echo.sock --rate 1000/s --fail-if 'p99>5ms,errors>0'",
      does: "A gate for a script",
      exitCode: 1,
    },
  ],
  words: { usage: "HOST:PORT", minimum: 1, maximum: 1 },
  flags: {
    ...BENCH_FLAGS,
    failIf: { ...FAIL_IF, parse: (text: string) => parseGates(text, { isStream: true }) },
    timeout: {
      kind: "parsed",
      parse: parseLimit,
      default: "10s",
      placeholder: "D",
      brief: "Wait so long for a connection, and for each reply",
    },
    ...TLS_FLAGS,
  },
  aliases: BENCH_ALIASES,
  run: runTcpBench,
});

async function runTcpBench(
  context: Context,
  flags: TcpBenchFlags & CommonFlags,
  [where = ""]: string[],
): Promise<number> {
  const endpoint = parseEndpoint(where);
  const tls = await tlsOptions(flags, endpoint);
  return await runBench(context, {
    ...{ flags, endpoint, isUdp: false },
    measure: (options) => benchTcp(endpoint, { ...options, ...(tls && { tls }) }),
  });
}
