import { assert, assertEquals, assertMatch } from "@std/assert";
import { conc, eventually, exists, inDirectory, records, type Running, shell, start } from "./conc.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Whether a command is there. */
async function has(command: string): Promise<boolean> {
  return (await new Deno.Command("sh", { args: ["-c", `command -v ${command}`], stdout: "null" }).output())
    .success;
}

/** Runs a body beside `conc tcp-echo serve`, once its port is known. */
async function serving(
  args: readonly string[],
  body: (server: { port: number; running: Running; directory: string }) => Promise<void>,
): Promise<void> {
  await inDirectory(async (directory) => {
    const file = `${directory}/port`;
    const running = start(["tcp-echo", "serve", "--port-file", file, ...args], { cwd: directory });
    try {
      await eventually("it listens", () => exists(file));
      await body({ port: Number(await Deno.readTextFile(file)), running, directory });
    } finally {
      try {
        running.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await running.result();
    }
  });
}

async function echoOf(port: number, message: string): Promise<string> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(bytes(message));
  await connection.closeWrite();
  return await new Response(connection.readable).text();
}

Deno.test("tcp-echo serve says where it listens, echoes, and at the end what it did; its port file is gone then", async () => {
  await serving(["-t", "upper"], async ({ port, running, directory }) => {
    assertEquals(await echoOf(port, "hello 你好\n"), "HELLO 你好\n");
    running.kill("SIGTERM");
    const { code, stdout, stderr } = await running.result();
    assertEquals([code, stdout], [143, ""]);
    assertEquals(stderr.split("\n"), [
      `conc: listening on 127.0.0.1:${port}`,
      "conc: 1 connection, 13 bytes in, 13 bytes out, 0 errors",
      "",
    ]);
    assert(!exists(`${directory}/port`));
  });
});

Deno.test("tcp-echo serve --json prints documented keys", async () => {
  await serving(["--json"], async ({ port, running }) => {
    assertEquals(await echoOf(port, "abc"), "abc");
    running.kill("SIGINT");
    const { code, stdout, stderr } = await running.result();
    assertEquals([code, stderr], [130, ""]);
    const [listening, summary] = records(stdout);
    assertEquals(Object.keys(listening!), ["type", "address", "host", "port", "pid", "at"]);
    assertEquals([listening!.type, listening!.address], ["listening", `127.0.0.1:${port}`]);
    assertMatch(String(summary!.durationMs), /^\d+(\.\d+)?$/);
    delete summary!.durationMs;
    const counts = { connections: 1, open: 0, bytesIn: 3, bytesOut: 3, errors: 0 };
    assertEquals(summary, { type: "summary", ...counts, signal: "SIGINT" });
  });
});

Deno.test("tcp-echo serve --event sets the event once a client can come, and its data is the address", async () => {
  await inDirectory(async (directory) => {
    const env = { CONC_STORE: `${directory}/conc.db` };
    const running = start(["tcp-echo", "serve", "--event", "up"], { env });
    const { stdout } = await conc(["event", "wait", "up", "--timeout", "20s", "-q"], { env });
    assertEquals(await echoOf(Number(stdout.trim().split(":")[1]), "x"), "x");
    running.kill("SIGTERM");
    assertEquals((await running.result()).code, 143);
  });
});

Deno.test("tcp-echo serve --threads serves from Workers", async () => {
  await serving(["--threads", "2", "-q"], async ({ port, running }) => {
    const replies = await Promise.all(Array.from({ length: 20 }, (_, number) => echoOf(port, `${number}`)));
    assertEquals(replies, Array.from({ length: 20 }, (_, number) => `${number}`));
    running.kill("SIGTERM");
    const { code, stdout, stderr } = await running.result();
    assertEquals([code, stdout, stderr], [143, "", ""]);
  });
});

for (const threads of ["1", "2"]) {
  Deno.test(`tcp-echo serve --threads ${threads} serves a thousand clients that come as SIGTERM does`, async () => {
    await serving(["--threads", threads, "--drain", "30s"], async ({ port, running }) => {
      const clients = await Promise.all(
        Array.from({ length: 1_000 }, () => Deno.connect({ hostname: "127.0.0.1", port })),
      );
      running.kill("SIGTERM");
      const replies = await Promise.all(clients.map(async (client, number) => {
        await client.write(bytes(`client ${number}`));
        await client.closeWrite();
        return await new Response(client.readable).text();
      }));
      assertEquals(replies, clients.map((_, number) => `client ${number}`));
      const { code, stderr } = await running.result();
      assertEquals(code, 143);
      assertMatch(stderr, /^conc: 1000 connections, .* 0 errors$/m);
    });
  });
}

Deno.test("tcp-echo serve waits when it is short of file descriptors, says so once, and goes on", async () => {
  await serving([], async ({ port, running }) => {
    const limit = new Deno.Command("prlimit", { args: ["--pid", String(running.pid), "--nofile=30:30"] });
    if (!(await limit.output().catch(() => ({ success: false }))).success) return;
    const open = await Promise.all(
      Array.from({ length: 40 }, () => Deno.connect({ hostname: "127.0.0.1", port })),
    );
    const replies = open.map(async (connection) => {
      await connection.write(bytes("x"));
      const count = await connection.read(new Uint8Array(1));
      connection.close();
      return count;
    });
    assertEquals(await Promise.all(replies), open.map(() => 1));
    running.kill("SIGTERM");
    const { stderr } = await running.result();
    assertEquals(stderr.match(/Too many open files/g)?.length, 1, stderr);
  });
});

Deno.test(
  `tcp-echo serve ends when it has something to say, and its reader is gone${
    await has("prlimit") ? "" : " (prlimit is missing)"
  }`,
  { ignore: !await has("prlimit") },
  async () => {
    await inDirectory(async (cwd) => {
      const reader = "{ head -n 1 > first; exec < /dev/null; echo > gone; }";
      const serve = "{ conc tcp-echo serve --json --port-file port; echo $? >&2; }";
      const running = shell(`${serve} | ${reader}`, { cwd });
      await eventually("its reader is gone", () => exists(`${cwd}/gone`));
      const [listening] = records(await Deno.readTextFile(`${cwd}/first`));
      const limit = ["--pid", String(listening!.pid), "--nofile=30:30"];
      assert((await new Deno.Command("prlimit", { args: limit }).output()).success);
      const port = Number(listening!.port);
      // It may end while they still come: then the rest is refused.
      const coming = Array.from({ length: 40 }, () => Deno.connect({ hostname: "127.0.0.1", port }));
      const came = await Promise.allSettled(coming);
      assertEquals((await running).stderr, "141\n");
      for (const each of came) if (each.status === "fulfilled") each.value.close();
      assert(!exists(`${cwd}/port`));
    });
  },
);

Deno.test(
  `tcp-echo serve speaks TLS, and a client that does not is no trouble${
    await has("openssl") ? "" : " (openssl is missing)"
  }`,
  {
    ignore: !await has("openssl"),
  },
  async () => {
    await inDirectory(async (directory) => {
      const [cert, key] = [`${directory}/cert.pem`, `${directory}/key.pem`];
      const made = await new Deno.Command("openssl", {
        args: [
          ...[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
          ],
          ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
          ...["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", cert],
        ],
        stderr: "null",
      }).output();
      assert(made.success);
      await serving(["--tls-cert", cert, "--tls-key", key, "-t", "upper"], async ({ port, running }) => {
        // It is told so by an alert of TLS, or by a reset.
        await echoOf(port, "this is no TLS").catch(() => {});
        const connection = await Deno.connectTls({
          ...{ hostname: "localhost", port },
          caCerts: [await Deno.readTextFile(cert)],
        });
        await connection.write(bytes("hello"));
        const reply = new Uint8Array(5);
        await connection.read(reply);
        assertEquals(new TextDecoder().decode(reply), "HELLO");
        // What it sends before it half-closes comes back, while another does not even shake hands.
        using _loris = await Deno.connect({ hostname: "127.0.0.1", port });
        for (let rest = bytes("x".repeat(100_000)); rest.length > 0;) {
          rest = rest.subarray(await connection.write(rest));
        }
        await connection.closeWrite();
        assertEquals(await new Response(connection.readable).text(), "X".repeat(100_000));
        running.kill("SIGTERM");
        assertEquals((await running.result()).code, 143);
      });
      const { code, stderr } = await conc(["tcp-echo", "serve", "--tls-cert", key, "--tls-key", cert]);
      assertEquals(code, 2);
      assertMatch(stderr, /^conc: cannot listen at .*the certificate or its key cannot be used.*\n$/);
    });
  },
);

Deno.test("tcp-echo serve answers bad input in one line, and listens nowhere", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  const cases: [string[], number, RegExp][] = [
    [["-p", String(port)], 125, /in use: choose another/],
    [["-p", String(port), "--threads", "2"], 125, /in use: choose another/],
    [["--host", "192.0.2.1"], 125, /no such address/],
    [["--host", "unix:/no/such/directory/echo.sock"], 125, /no such directory/],
    [["--host", "unix:echo.sock", "-p", "1234"], 2, /has no port/],
    [["--host", "unix:echo.sock", "--threads", "2"], 2, /several threads/],
    [["--threads", "100000"], 2, /there may be 256: received/],
    [["--tls-cert", "a.pem"], 2, /--tls-key is missing/],
    [["--tls-cert", "/no/a.pem", "--tls-key", "/no/b.pem"], 2, /cannot read the certificate/],
    [["-p", "65536"], 2, /port must be/],
    [["-t", "rot13"], 2, /transform/],
    [["--max-conns", "0"], 2, /whole number/],
    [["--limit-rate", "0"], 2, /SIZE\/s/],
    [["--port-file", "/no/such/directory/port"], 125, /cannot write the port file/],
  ];
  for (const [args, expected, message] of cases) {
    const { code, stderr } = await conc(["tcp-echo", "serve", ...args]);
    assertEquals(code, expected, `${args.join(" ")}: ${stderr}`);
    const [last = ""] = stderr.trimEnd().split("\n").slice(-1);
    assertMatch(last, message);
    assertMatch(last, /^conc: /);
  }
});
