/**
 * `conc udp-echo`: a UDP echo server, a client, and a bench for any echo server.
 *
 * @module
 */

import type { CommandGroup } from "./declaration.ts";

const group: CommandGroup = {
  brief: "A UDP echo server, a client, and a bench for any echo server",
  examples: [
    { line: "timeout 1 conc udp-echo serve -t upper", does: "Answer in upper case", exitCode: 124 },
    { line: "conc udp-echo send 127.0.0.1:1 hello", does: "Ask whether somebody answers there", exitCode: 1 },
    {
      line: "conc udp-echo bench 127.0.0.1:1 -d 5s",
      does: "How fast, how late, what is lost or wrong",
      exitCode: 1,
    },
  ],
  subcommands: {
    serve: {
      brief: "Send each datagram back to whoever sent it",
      load: async () => (await import("./udp_echo_serve.ts")).default,
    },
    send: {
      brief: "Send messages to an echo server and print the replies",
      load: async () => (await import("./udp_echo_send.ts")).default,
    },
    bench: {
      brief: "Measure an echo server: speed, round trips, what is wrong",
      load: async () => (await import("./udp_echo_bench.ts")).default,
    },
  },
};
export default group;
