import { assertEquals, assertRejects } from "@std/assert";
import { ConnectionError, TimeoutError, UsageError } from "../../lib/errors.ts";
import { UdpClient } from "../../lib/net/udp_client.ts";
import { besideUdp, nobody } from "./echo_peers.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (reply: { bytes: Uint8Array }) => new TextDecoder().decode(reply.bytes);
const LONG = { timeoutMs: 20_000 };

Deno.test("UdpClient.ask() gives the reply, from nothing to the longest", async () => {
  await besideUdp((bytes) => [bytes], async (address) => {
    using client = await UdpClient.open(address, LONG);
    for (const size of [0, 1, 512, 65_507]) {
      const message = new Uint8Array(size).fill(size % 251);
      assertEquals((await client.ask(message)).bytes, message);
    }
    const error = "cannot send 65508 bytes as a datagram carries at most 65507";
    await assertRejects(() => client.ask(new Uint8Array(65_508)), UsageError, error);
  });
});

Deno.test("UdpClient.ask() sends anew what was lost, and gives up in the end", async () => {
  await besideUdp((bytes, count) => count < 3 ? [] : [bytes], async (address) => {
    using client = await UdpClient.open(address, { timeoutMs: 50, retries: 1_000 });
    const { attempts } = await client.ask(bytes("hello"));
    assertEquals(attempts >= 3, true);
  });
  await besideUdp(() => [], async (address) => {
    using client = await UdpClient.open(address, { timeoutMs: 30, retries: 2 });
    await assertRejects(() => client.ask(bytes("hello")), TimeoutError, "sent 3 times, 30ms each");
    using once = await UdpClient.open(address, { timeoutMs: 30, retries: 0 });
    await assertRejects(() => once.ask(bytes("hello")), TimeoutError, "sent once");
  });
});

Deno.test("UdpClient.ask() takes no late duplicate for the answer to another message", async () => {
  const ignored: string[] = [];
  await besideUdp((bytes) => [bytes, bytes], async (address) => {
    using client = await UdpClient.open(address, { ...LONG, ignored: (_, why) => ignored.push(why) });
    for (const message of ["one", "two", "three"]) {
      assertEquals(text(await client.ask(bytes(message))), message);
    }
  });
  assertEquals(ignored.filter((why) => why !== "duplicate"), []);
});

Deno.test("UdpClient.ask() ignores what comes from another address, and says so", async () => {
  const other = Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" });
  const server = Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" });
  const { port } = server.addr as Deno.NetAddr;
  const served = (async () => {
    const [, from] = await server.receive();
    await other.send(bytes("from elsewhere"), from);
    await server.send(bytes("reply"), from);
  })();
  const ignored: [string, string][] = [];
  {
    const options = { ...LONG, ignored: (from: string, why: string) => ignored.push([from, why]) };
    using client = await UdpClient.open({ hostname: "127.0.0.1", port }, options);
    assertEquals(text(await client.ask(bytes("hello"))), "reply");
  }
  await served;
  assertEquals(ignored, [[`127.0.0.1:${(other.addr as Deno.NetAddr).port}`, "address"]]);
  other.close();
  server.close();
});

Deno.test({
  name: "UdpClient.ask() says at once that nobody listens (Linux)",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    using client = await UdpClient.open(nobody(), LONG);
    await assertRejects(() => client.ask(bytes("hello")), ConnectionError, "connection refused");
  },
});

Deno.test("UdpClient.ask() ends when it is aborted", async () => {
  await besideUdp(() => [], async (address) => {
    const controller = new AbortController();
    using client = await UdpClient.open(address, { ...LONG, signal: controller.signal });
    const asked = client.ask(bytes("hello"));
    controller.abort(new Error("enough"));
    await assertRejects(() => asked, Error, "enough");
  });
});
