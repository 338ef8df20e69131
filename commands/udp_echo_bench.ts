/**
 * `conc udp-echo bench`: measure a UDP echo server, and the way to it.
 *
 * @module
 */

import { parseAddress } from "../lib/net/address.ts";
import { benchUdp } from "../lib/net/bench.ts";
import { parseCount } from "../lib/units.ts";
import { BENCH_ALIASES, BENCH_FLAGS, BENCH_GATES, type BenchFlags } from "./bench_flags.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { runBench } from "./echo_bench.ts";
import { parseLimit } from "./echo_send.ts";

type UdpBenchFlags = BenchFlags & { window?: number };

export default command<UdpBenchFlags>({
  brief: "Measure an echo server: speed, round trips, what is wrong",
  description: `Works against any UDP echo server. Each of -c sockets keeps up to --window
messages under way; every byte of every reply is checked. Each message has its
number in it, as far as there is room, and ends with a line feed.

  messages    replies with every byte right
  corrupt     replies with a wrong byte, too few or too many
  lost        messages without a reply in --timeout
  duplicated  replies that came once more
  reordered   replies behind one to a later message of their socket (RFC 4737)
  late        replies to messages that count as lost
  errors      datagrams that were refused

A message that three later ones overtook no longer counts as under way, so that
loss does not slow the bench down; it is lost only when its time is up. With
--window 1 nothing can be reordered. A server that passes datagrams through a
pipe (PIPE of socat, cat behind ncat) joins those that come close together, and
they are corrupt: measure it with -c 1 --window 1. With --rate message N is due
at the start plus N intervals, and its time counts from when it was due.

${BENCH_GATES}

--json prints a record of type interval every second: elapsedMs, messages,
messagesPerSecond, bytesPerSecond, p50Ms, p99Ms, maxMs, corrupt, lost, errors,
duplicated, reordered, late; and a summary: address, connections, sizeBytes,
transform, ratePerSecond, durationMs, requests, messages, messagesPerSecond,
bytesPerSecond, minMs, meanMs, p50Ms, p90Ms, p99Ms, p999Ms, maxMs, corrupt,
lost, errors, duplicated, reordered, late, reasons (how often each error),
unsent (due by --rate, and not sent), failed (conditions), outcome (passed,
failed, interrupted), exitCode.`,
  examples: [
    { line: "conc udp-echo bench 127.0.0.1:1 -d 5s", does: "Nobody listens there", exitCode: 1 },
    {
      line: "conc udp-echo bench 127.0.0.1:1 --rate 500/s --fail-if 'loss>1%,reordered>0'",
      does: "A gate for a script",
      exitCode: 1,
    },
  ],
  words: { usage: "HOST:PORT", minimum: 1, maximum: 1 },
  flags: {
    ...BENCH_FLAGS,
    timeout: {
      kind: "parsed",
      parse: parseLimit,
      default: "1s",
      placeholder: "D",
      brief: "A message without a reply for so long is lost",
    },
    window: {
      kind: "parsed",
      parse: (text: string) => parseCount(text, 1),
      optional: true,
      placeholder: "N",
      brief: "So many messages may be under way at each socket (8, fewer of large ones)",
    },
  },
  aliases: BENCH_ALIASES,
  run: runUdpBench,
});

async function runUdpBench(
  context: Context,
  flags: UdpBenchFlags & CommonFlags,
  [where = ""]: string[],
): Promise<number> {
  const endpoint = parseAddress(where);
  return await runBench(context, {
    ...{ flags, endpoint, isUdp: true },
    measure: (options) =>
      benchUdp(endpoint, { ...options, ...(flags.window !== undefined && { window: flags.window }) }),
  });
}
