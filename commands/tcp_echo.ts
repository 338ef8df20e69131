/**
 * `conc tcp-echo`: an echo over TCP.
 *
 * @module
 */

import type { CommandGroup } from "./declaration.ts";

const group: CommandGroup = {
  brief: "A TCP echo server, a client, and a bench for any echo server",
  examples: [
    {
      line: "timeout 1 conc tcp-echo serve; test $? = 124",
      does: "A server at a free port of 127.0.0.1, which it says",
    },
    { line: "conc tcp-echo serve --help", does: "What else it can do" },
  ],
  subcommands: {
    serve: {
      brief: "Send back what clients send, all of them at once",
      load: async () => (await import("./tcp_echo_serve.ts")).default,
    },
  },
};
export default group;
