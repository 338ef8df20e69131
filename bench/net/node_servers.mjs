/** Echo servers of Node: `node_servers.mjs net|dgram PORT`. */

import { createSocket } from "node:dgram";
import { createServer } from "node:net";

const [kind, port] = process.argv.slice(2);

if (kind === "dgram") {
  const server = createSocket("udp4");
  server.on("message", (data, { port, address }) => server.send(data, port, address));
  server.bind(Number(port), "127.0.0.1");
} else {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (connection) => {
    connection.on("error", () => connection.destroy());
    connection.pipe(connection);
  });
  server.listen(Number(port), "127.0.0.1", 4096);
}
