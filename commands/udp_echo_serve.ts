/**
 * `conc udp-echo serve`: a UDP echo server, which on request is as bad as a network can be.
 *
 * @module
 */

import { EitherSignal } from "../lib/abort.ts";
import { UsageError } from "../lib/errors.ts";
import { type FaultOptions, hasFaults, parseFaultPercent } from "../lib/net/udp_echo/faults.ts";
import {
  LONGEST_DATAGRAM_BYTES,
  serveUdpEcho,
  type UdpEchoServer,
  type UdpEchoStatistics,
  type UdpNotice,
} from "../lib/net/udp_echo.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { type DurationRange, parseDurationRange } from "../lib/time/duration.ts";
import { parseCount, parseSize } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { exitCodeOf } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";
import { Announcement, SERVE_ALIASES, SERVE_FLAGS, type ServeFlags } from "./serve_flags.ts";

type UdpServeFlags = ServeFlags & {
  buffer: number;
  drop: number;
  dup: number;
  delay?: DurationRange;
  reorder: number;
  seed?: number;
};

const percent = { kind: "parsed", parse: parseFaultPercent, default: "0%", placeholder: "P%" } as const;

export default command<UdpServeFlags>({
  brief: "Send each datagram back to whoever sent it",
  description: `As RFC 862 says, from one thread for all. At a signal it answers what has come,
waits up to 5s for replies that --delay holds back, and says what it counted; a
second signal ends it at once. The exit code is 128 plus the signal's number.

What a datagram holds beyond --buffer is lost, as recvfrom(N) loses it. The
first one that is cut is told on stderr, and all are counted. So are datagrams
from port 7, 17 or 19, or from a port with the server's own number: they are
ignored, for two services that answer each other would never end.

--drop, --dup, --delay and --reorder are decided for each datagram, and with
--seed as they were the last time; P is of all datagrams. A reordered reply goes
right after the next one to the same client, or 50ms later if there is none; it
then counts as delayed. Up to 64 MiB are held back; what is more is lost
(overflowed).

--json prints a record of type listening (address, host, port, pid, at); one of
type notice for the first datagram that is cut or ignored (kind: truncated or
ignored, from, sizeBytes, message, at); and in the end one of type summary:
datagramsIn, datagramsOut, bytesIn, bytesOut, truncated, truncatedBytes,
ignored, dropped, duplicated, delayed, reordered, overflowed, errors (what the
system failed to send or receive), seed (null without faults), backend (libc or
deno: what datagrams come by), signal, durationMs.`,
  examples: [
    { line: "timeout 1 conc udp-echo serve -t upper", does: "Answer in upper case", exitCode: 124 },
    {
      line: "timeout 1 conc udp-echo serve --drop 5% --dup 2% --reorder 3% --seed 7",
      does: "Be a bad network, the same each time",
      exitCode: 124,
    },
    {
      line: "conc udp-echo serve --port-file port & conc event wait file:port; kill $!",
      does: "Take any free port, and tell a script",
    },
  ],
  words: { usage: "", minimum: 0, maximum: 0 },
  flags: {
    buffer: {
      kind: "parsed",
      parse: parseBuffer,
      default: String(LONGEST_DATAGRAM_BYTES),
      placeholder: "SIZE",
      brief: "Receive SIZE bytes of a datagram; the rest is lost",
    },
    drop: { ...percent, brief: "Lose P of a hundred replies" },
    dup: { ...percent, brief: "Send P of a hundred replies twice" },
    delay: {
      kind: "parsed",
      parse: parseDurationRange,
      optional: true,
      placeholder: "D[..D]",
      brief: "Send each reply that much later",
    },
    reorder: { ...percent, brief: "Send P of a hundred replies after the next one" },
    seed: {
      kind: "parsed",
      parse: (text: string) => parseCount(text),
      optional: true,
      placeholder: "N",
      brief: "Let the same go wrong again",
    },
    ...SERVE_FLAGS,
  },
  aliases: SERVE_ALIASES,
  run: runServe,
});

async function runServe(context: Context, flags: UdpServeFlags & CommonFlags): Promise<number> {
  await using announcement = await Announcement.open(context, flags);
  using interrupts = new Interrupts();
  const startMs = context.monotonic();
  const faults = faultsOf(flags);
  const failure = new AbortController();
  using kill = new EitherSignal(interrupts.second, failure.signal);
  const server = await serveUdpEcho({ hostname: flags.host, port: flags.port }, {
    ...{ transform: flags.transform, bufferBytes: flags.buffer, faults },
    signal: interrupts.first,
    killSignal: kill.signal,
    notice: (notice) => void notify(context, { notice, flags }).catch((error) => failure.abort(error)),
  });
  try {
    await announcement.make(server.endpoint);
    await server.ended;
    failure.signal.throwIfAborted();
  } finally {
    // A server of which nothing can be said is not to go on.
    failure.abort();
  }
  const durationMs = context.monotonic() - startMs;
  await summarize(context, { server, flags, seed: faults?.seed, interrupts, durationMs });
  return exitCodeOf(interrupts.first.reason);
}

/** The faults that the flags ask for; undefined if there are none. */
function faultsOf({ drop, dup, reorder, delay, seed }: UdpServeFlags): FaultOptions | undefined {
  const faults = { dropPercent: drop, duplicatePercent: dup, reorderPercent: reorder, delay };
  const options = { ...faults, seed: seed ?? Math.floor(Math.random() * 2 ** 32) };
  return hasFaults(options) ? options : undefined;
}

/** Tells of the first datagram that was cut or ignored. */
async function notify(
  context: Context,
  { notice, flags: { json, quiet, buffer } }: { notice: UdpNotice; flags: UdpServeFlags & CommonFlags },
): Promise<void> {
  const { kind, from, sizeBytes } = notice;
  const message = kind === "truncated"
    ? `cut a datagram of ${sizeBytes} bytes from ${from} to ${buffer}: --buffer takes more; others are only counted`
    : `ignored a datagram from ${from}, a port that may answer the answer; others are only counted`;
  const at = new Date(context.now()).toISOString();
  if (json) await context.stdout.write(ndjson({ type: "notice", kind, from, sizeBytes, message, at }));
  else if (!quiet) await say(context, message);
}

/** Says what was counted: for people what came and went, and what else is not 0. */
async function summarize(
  context: Context,
  { server, flags: { json, quiet }, seed, interrupts, durationMs }: {
    server: UdpEchoServer;
    flags: CommonFlags;
    seed: number | undefined;
    interrupts: Interrupts;
    durationMs: number;
  },
): Promise<void> {
  const counted = server.statistics();
  if (json) {
    const rest = { seed: seed ?? null, backend: server.backend, signal: interrupts.first.reason.signal };
    const duration = Math.round(durationMs * 1_000) / 1_000;
    await context.stdout.write(ndjson({ type: "summary", ...counted, ...rest, durationMs: duration }));
  } else if (!quiet) await say(context, summaryLine(counted, seed));
}

/** `3 datagrams in (210 bytes), 2 out (140 bytes); dropped 1; seed 7` */
function summaryLine(counted: UdpEchoStatistics, seed: number | undefined): string {
  const { datagramsIn, datagramsOut, bytesIn, bytesOut, truncated, truncatedBytes, ...others } = counted;
  const parts = [
    `${datagramsIn} ${datagramsIn === 1 ? "datagram" : "datagrams"} in (${bytesIn} bytes), ` +
    `${datagramsOut} out (${bytesOut} bytes)`,
  ];
  if (truncated > 0) parts.push(`truncated ${truncated} (${truncatedBytes} bytes lost)`);
  for (const [name, count] of Object.entries(others)) if (count > 0) parts.push(`${name} ${count}`);
  if (seed !== undefined) parts.push(`seed ${seed}`);
  return parts.join("; ");
}

function parseBuffer(text: string): number {
  const sizeBytes = parseSize(text);
  if (sizeBytes >= 1 && sizeBytes <= LONGEST_DATAGRAM_BYTES) return sizeBytes;
  throw new UsageError(
    `cannot receive into a buffer as its size must be from 1 to ${LONGEST_DATAGRAM_BYTES} bytes: received '${text}'`,
  );
}
