import { assert, assertEquals, assertRejects } from "@std/assert";
import { probeHttp, probeTcp, probeUnix } from "../../lib/net/probe.ts";
import { inDirectory } from "../cli/conc.ts";

const { signal } = new AbortController();
const ACCEPTS = { holds: true, seen: "accepts connections" };

/** A port where nobody listens: it was free a moment ago, and is not handed out again so soon. */
function closedPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

/** Whether this machine has an IPv6 loopback. */
function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

/** Whether a command is there. */
async function has(command: string): Promise<boolean> {
  return (await new Deno.Command("sh", { args: ["-c", `command -v ${command}`], stdout: "null" }).output())
    .success;
}

/** Runs a body beside a server that answers with what `answer` says of a path. */
async function serving(
  answer: (path: string) => Response | Promise<Response>,
  body: (url: string) => Promise<void>,
): Promise<void> {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => answer(new URL(request.url).pathname),
  );
  try {
    await body(`http://127.0.0.1:${server.addr.port}`);
  } finally {
    await server.shutdown();
  }
}

Deno.test("probeTcp() holds while somebody listens, by IPv4, IPv6 and name", async () => {
  for (const hostname of ["127.0.0.1", ...(hasIpv6() ? ["::1"] : [])]) {
    using listener = Deno.listen({ hostname, port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    assertEquals(await probeTcp({ hostname, port }, signal), ACCEPTS);
    assertEquals(await probeTcp({ hostname: "localhost", port }, signal), ACCEPTS);
    assertEquals(await probeTcp({ hostname: "LOCALHOST.", port }, signal), ACCEPTS);
  }
});

Deno.test("probeTcp() says why it does not hold", async () => {
  const port = closedPort();
  for (const hostname of ["127.0.0.1", "localhost"]) {
    assertEquals(await probeTcp({ hostname, port }, signal), { holds: false, seen: "connection refused" });
  }
  const { holds, seen } = await probeTcp({ hostname: "no-such-host.invalid", port }, signal);
  assertEquals(holds, false);
  assert(["unknown host", "the name of the host cannot be looked up now"].includes(seen), seen);
});

Deno.test("probeUnix() holds while somebody listens, and says why not", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/socket`;
    assertEquals(await probeUnix(path, signal), { holds: false, seen: "no such file" });
    {
      using _listener = Deno.listen({ transport: "unix", path });
      assertEquals(await probeUnix(path, signal), ACCEPTS);
    }
    await Deno.writeTextFile(`${directory}/file`, "");
    assertEquals(await probeUnix(`${directory}/file`, signal), { holds: false, seen: "connection refused" });
  });
});

Deno.test("probeHttp() holds for 2xx and 3xx, and follows no redirect", async () => {
  let asked = 0;
  await serving((path) => {
    asked += 1;
    return new Response("body", { status: Number(path.slice(1)), headers: { location: "/500" } });
  }, async (url) => {
    for (const status of [200, 201, 301, 302, 399, 400, 401, 404, 500, 503]) {
      const look = { holds: status < 400, seen: `answers HTTP ${status}` };
      assertEquals(await probeHttp(`${url}/${status}`, signal), look);
    }
    assertEquals(asked, 10);
  });
});

Deno.test("probeHttp() says in few words why there is no answer", async () => {
  const port = closedPort();
  assertEquals(await probeHttp(`http://u:secret@127.0.0.1:${port}/`, signal), {
    holds: false,
    seen: "connection refused",
  });
  const { seen } = await probeHttp("http://u:secret@no-such-host.invalid/", signal);
  assert(["unknown host", "the name of the host cannot be looked up now"].includes(seen), seen);
  await serving(() => new Response(), async (url) => {
    assertEquals(await probeHttp(url.replace("http:", "https:"), signal), {
      holds: false,
      seen: "it does not speak TLS",
    });
  });
  for (
    const [says, expected] of [["", "it hung up"], ["no HTTP\r\n\r\n", "it does not speak HTTP"]] as const
  ) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const rude = (async () => {
      using connection = await listener.accept();
      await connection.read(new Uint8Array(1_024));
      await connection.write(new TextEncoder().encode(says));
    })();
    const { port } = listener.addr as Deno.NetAddr;
    assertEquals(await probeHttp(`http://127.0.0.1:${port}/`, signal), { holds: false, seen: expected });
    await rude;
  }
});

Deno.test({
  name: "probeHttp() does not hold where a certificate is not trusted",
  ignore: !await has("openssl"),
  fn: async () => {
    await inDirectory(async (directory) => {
      const [key, cert] = [`${directory}/key.pem`, `${directory}/cert.pem`];
      const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
      const made = await new Deno.Command("openssl", {
        args: ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
          .concat(["-keyout", key, "-out", cert], subject),
        stderr: "null",
      }).output();
      assert(made.success);
      const server = Deno.serve({
        ...{ hostname: "127.0.0.1", port: 0, onListen() {} },
        key: await Deno.readTextFile(key),
        cert: await Deno.readTextFile(cert),
      }, () => new Response());
      const { holds, seen } = await probeHttp(`https://127.0.0.1:${server.addr.port}/`, signal);
      assertEquals({ holds, seen }, {
        holds: false,
        seen: "the certificate is one of an authority (CA:TRUE): a server needs one with CA:FALSE",
      });
      await server.shutdown();
    });
  },
});

Deno.test("probeHttp() ends when it is aborted, though no answer comes", async () => {
  const controller = new AbortController();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const silent = (async () => {
    using connection = await listener.accept();
    controller.abort(new Error("enough"));
    // Until the other side hangs up.
    while (await connection.read(new Uint8Array(1_024)).catch(() => null) !== null);
  })();
  const { port } = listener.addr as Deno.NetAddr;
  await assertRejects(() => probeHttp(`http://127.0.0.1:${port}/`, controller.signal), Error, "enough");
  await silent;
});

Deno.test("probes reject at once with the reason of a signal that is aborted already", async () => {
  const aborted = AbortSignal.abort(new Error("enough"));
  for (
    const look of [
      () => probeTcp({ hostname: "127.0.0.1", port: 1 }, aborted),
      () => probeUnix("/no/such/socket", aborted),
      () => probeHttp("http://127.0.0.1:1/", aborted),
    ]
  ) await assertRejects(look, Error, "enough");
});
