import { assertEquals, assertRejects } from "@std/assert";
import { ConnectionError, TimeoutError } from "../../lib/errors.ts";
import { TcpClient } from "../../lib/net/tcp_client.ts";
import { besideTcp, echo, hangUp, nobody } from "./echo_peers.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("TcpClient.ask() gives each reply whole, also what is larger than any buffer", async () => {
  await besideTcp((connection) => echo(connection), async (address) => {
    using client = await TcpClient.connect(address);
    assertEquals(await client.ask(bytes("hello 你好\n")), bytes("hello 你好\n"));
    const large = crypto.getRandomValues(new Uint8Array(65_536));
    const message = new Uint8Array(3_000_001).map((_, index) => large[index % 65_521]!);
    assertEquals(await client.ask(message), message);
  });
});

Deno.test("TcpClient says what was wrong: nobody there, silence, half a reply, a server that hangs up", async () => {
  const address = nobody();
  const refused = `cannot connect to 127.0.0.1:${address.port}: connection refused`;
  await assertRejects(() => TcpClient.connect(address), ConnectionError, refused);
  await besideTcp((connection) => echo(connection, (bytes) => bytes.slice(2)), async (address) => {
    using client = await TcpClient.connect(address, { timeoutMs: 100 });
    await assertRejects(() => client.ask(bytes("hello\n")), TimeoutError, "in 100ms: received 4 of 6 bytes");
  });
  await besideTcp(async (connection) => {
    await connection.read(new Uint8Array(10));
    await connection.write(bytes("he"));
    hangUp(connection);
  }, async (address) => {
    using client = await TcpClient.connect(address);
    await assertRejects(() => client.ask(bytes("hello\n")), ConnectionError, "it hung up");
  });
});

Deno.test("TcpClient.ask() ends when it is aborted", async () => {
  await besideTcp(() => Promise.resolve(), async (address) => {
    const controller = new AbortController();
    using client = await TcpClient.connect(address, { signal: controller.signal });
    const asked = client.ask(bytes("hello\n"));
    controller.abort(new Error("enough"));
    await assertRejects(() => asked, Error, "enough");
  });
});
