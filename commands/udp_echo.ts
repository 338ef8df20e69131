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
    {
      line: "timeout 1 conc udp-echo serve --drop 5% --delay 20ms..80ms",
      does: "Be a bad network",
      exitCode: 124,
    },
  ],
  subcommands: {
    serve: {
      brief: "Send each datagram back to whoever sent it",
      load: async () => (await import("./udp_echo_serve.ts")).default,
    },
  },
};
export default group;
