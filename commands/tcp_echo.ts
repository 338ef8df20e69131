/**
 * `conc tcp-echo`: a TCP echo server, a client, and a bench for any echo server.
 *
 * @module
 */

import type { CommandGroup } from "./declaration.ts";

const group: CommandGroup = {
  brief: "A TCP echo server, a client, and a bench for any echo server",
  examples: [
    { line: "timeout 1 conc tcp-echo serve -t upper", does: "Answer in upper case", exitCode: 124 },
    { line: "conc tcp-echo send 127.0.0.1:1 hello", does: "Ask whether somebody answers there", exitCode: 1 },
    {
      line: "conc tcp-echo bench 127.0.0.1:1 -d 5s",
      does: "How fast, how late, what is lost or wrong",
      exitCode: 1,
    },
  ],
  subcommands: {
    serve: {
      brief: "Send back what clients send, all of them at once",
      load: async () => (await import("./tcp_echo_serve.ts")).default,
    },
    send: {
      brief: "Send messages to an echo server and print the replies",
      load: async () => (await import("./tcp_echo_send.ts")).default,
    },
    bench: {
      brief: "Measure an echo server: speed, round trips, what is wrong",
      load: async () => (await import("./tcp_echo_bench.ts")).default,
    },
  },
};
export default group;
