/**
 * `conc udp-echo send`: send messages to a UDP echo server and print the replies.
 *
 * @module
 */

import { textToBytes } from "../lib/bytes.ts";
import { parseAddress } from "../lib/net/address.ts";
import { checkPayload, SAFE_PAYLOAD, UdpClient } from "../lib/net/udp_client.ts";
import { parseCount } from "../lib/units.ts";
import { type Context, say } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { parseLimit, sendAll } from "./echo_send.ts";
import { SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";

type SendFlags = { timeout: number; retries: number };

const IGNORED = {
  address: "it is not from where we sent to",
  duplicate: "it is a late duplicate of a former reply",
} as const;

export default command<SendFlags>({
  brief: "Send messages to an echo server and print the replies",
  description: `Sends each MESSAGE, or each line of stdin without its line feed, as a datagram,
and prints each reply before the next is sent; a line feed is added where it is
missing. Without a reply in --timeout a message is sent anew, --retries times.

A datagram from another address is no reply, nor is one that repeats the reply
to a former message: stderr says so. A message of more than 512 bytes draws a
warning, as it may be cut into fragments or dropped on the way; one of more than
65507 bytes fits into no datagram: exit code 2, and nothing is sent.

Exit code: 0; 1 if nobody listens there, or it cannot be reached; 124 if no
reply came.

--json prints a record of type reply for each: number, text (or textBase64 if it
is no UTF-8), bytes, rttMs, attempts.`,
  examples: [
    { line: "conc udp-echo send 127.0.0.1:1 hello", does: "Nobody listens there", exitCode: 1 },
    {
      line: "printf 'a\\nb\\n' | conc udp-echo send 127.0.0.1:1 --timeout 0.2s --retries 1",
      does: "Lines of stdin, with less patience",
      exitCode: 1,
    },
  ],
  words: { usage: "HOST:PORT [MESSAGE…]", minimum: 1, maximum: Infinity },
  flags: {
    timeout: {
      kind: "parsed",
      parse: parseLimit,
      default: "1s",
      placeholder: "D",
      brief: "Wait so long for a reply each time a message was sent",
    },
    retries: {
      kind: "parsed",
      parse: (text: string) => parseCount(text),
      default: "3",
      placeholder: "N",
      brief: "Send a message without a reply so many times anew",
    },
  },
  run: runSend,
});

async function runSend(
  context: Context,
  flags: SendFlags & CommonFlags,
  [where = "", ...words]: string[],
): Promise<number> {
  const address = parseAddress(where);
  for (const word of words) checkPayload(textToBytes(word));
  const { timeout: timeoutMs, retries, quiet } = flags;
  using interrupts = new Interrupts();
  const signal = interrupts.first;
  using client = await UdpClient.open(address, {
    ...{ timeoutMs, retries, signal },
    ignored(from, why) {
      if (!quiet) void say(context, `ignored a datagram from ${from}: ${IGNORED[why]}`).catch(() => {});
    },
  });
  let isWarned = quiet;
  await sendAll(context, {
    ...{ words, flags, signal },
    async send(message) {
      checkPayload(message);
      if (message.length > SAFE_PAYLOAD && !isWarned) {
        isWarned = true;
        const what = `a datagram of ${message.length} bytes may be cut into fragments or dropped on the way`;
        await say(context, `${what}: up to ${SAFE_PAYLOAD} bytes are safe`);
      }
      const { bytes, rttMs, attempts } = await client.ask(message);
      return { bytes, rttMs, more: { attempts } };
    },
  });
  return SUCCESS;
}
