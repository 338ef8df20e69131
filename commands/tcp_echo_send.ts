/**
 * `conc tcp-echo send`: send messages to a TCP echo server and print the replies.
 *
 * @module
 */

import { concatBytes } from "../lib/bytes.ts";
import { parseEndpoint } from "../lib/net/address.ts";
import { TcpClient } from "../lib/net/tcp_client.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { parseLimit, sendAll } from "./echo_send.ts";
import { SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";
import { TLS_FLAGS, type TlsFlags, tlsOptions } from "./tls_flags.ts";

type SendFlags = TlsFlags & { timeout: number };

const LINE_FEED = 10;

export default command<SendFlags>({
  brief: "Send messages to an echo server and print the replies",
  description: `Sends each MESSAGE, or each line of stdin, over one connection, and prints each
reply before the next is sent. The address is HOST:PORT ([::1]:7 for IPv6) or
unix:PATH. A message ends with a line feed, which is added where it is missing.
A stream has no ends of messages: the reply is over when as many bytes have come
as were sent. They are printed unchanged.

Exit code: 0; 1 if nobody listens there or the server hangs up; 124 if a reply,
or the connection, took longer than --timeout.

--json prints a record of type reply for each: number, text (or textBase64 if it
is no UTF-8), bytes, rttMs.`,
  examples: [
    { line: "conc tcp-echo send 127.0.0.1:1 hello", does: "Nobody listens there", exitCode: 1 },
    { line: "printf 'a\\nb\\n' | conc tcp-echo send unix:echo.sock", does: "Lines of stdin", exitCode: 1 },
  ],
  words: { usage: "HOST:PORT [MESSAGE…]", minimum: 1, maximum: Infinity },
  flags: {
    timeout: {
      kind: "parsed",
      parse: parseLimit,
      default: "1s",
      placeholder: "D",
      brief: "Wait so long for the connection, and for each reply",
    },
    ...TLS_FLAGS,
  },
  run: runSend,
});

async function runSend(
  context: Context,
  flags: SendFlags & CommonFlags,
  [where = "", ...words]: string[],
): Promise<number> {
  const endpoint = parseEndpoint(where);
  const tls = await tlsOptions(flags, endpoint);
  using interrupts = new Interrupts();
  const signal = interrupts.first;
  using client = await TcpClient.connect(endpoint, { timeoutMs: flags.timeout, signal, ...(tls && { tls }) });
  await sendAll(context, {
    ...{ words, flags, signal },
    async send(message) {
      const startMs = context.monotonic();
      const bytes = await client.ask(asLine(message));
      return { bytes, rttMs: context.monotonic() - startMs };
    },
  });
  return SUCCESS;
}

function asLine(message: Uint8Array): Uint8Array {
  return message.at(-1) === LINE_FEED ? message : concatBytes([message, Uint8Array.of(LINE_FEED)]);
}
