import { assertEquals, assertMatch } from "@std/assert";
import { besideTcp, echo, hangUp, nobody } from "../net/echo_peers.ts";
import { conc, inDirectory, records, start } from "./conc.ts";

const WAIT = ["--timeout", "20s"];

/** Runs a body beside a clean server, with its address. */
function besideEcho(body: (where: string) => Promise<void>): Promise<void> {
  return besideTcp((connection) => echo(connection), ({ port }) => body(`127.0.0.1:${port}`));
}

Deno.test("tcp-echo send prints the reply to each message, and to each line of stdin, byte for byte", async () => {
  await besideEcho(async (where) => {
    const words = await conc(["tcp-echo", "send", where, ...WAIT, "hello 你好", "", "two\n"]);
    assertEquals([words.code, words.stdout, words.stderr], [0, "hello 你好\n\ntwo\n", ""]);
    const stdin = new Uint8Array([0x61, 0x0a, 0xff, 0x00, 0x0d, 0x0a, 0x62]);
    const lines = await conc(["tcp-echo", "send", where, ...WAIT], { stdin });
    assertEquals([lines.code, lines.stdoutBytes], [0, new Uint8Array([...stdin, 0x0a])]);
  });
});

Deno.test("tcp-echo send --json prints a record for each reply", async () => {
  await besideEcho(async (where) => {
    const stdin = new Uint8Array([0x61, 0x0a, 0xff, 0x0a]);
    const { stdout } = await conc(["tcp-echo", "send", where, ...WAIT, "--json"], { stdin });
    assertEquals(records(stdout).map(({ rttMs, ...rest }) => [typeof rttMs, rest]), [
      ["number", { type: "reply", number: 1, text: "a\n", bytes: 2 }],
      ["number", { type: "reply", number: 2, textBase64: "/wo=", bytes: 2 }],
    ]);
  });
});

Deno.test("tcp-echo send says in one line what is wrong", async () => {
  const { port } = nobody();
  const cases: [string[], number, RegExp][] = [
    [[`127.0.0.1:${port}`, "x"], 1, /^conc: cannot connect to 127\.0\.0\.1:\d+: connection refused\n$/],
    [["unix:/no/such", "x"], 1, /^conc: cannot connect to unix:\/no\/such: no such file\n$/],
    [["no-such-host.invalid:7", "x", ...WAIT], 1, /^conc: cannot connect to no-such-host\.invalid:7: .*\n$/],
    [["7", "x"], 2, /^conc: an address must be HOST:PORT.*\n$/],
    [["h:7", "x", "--timeout", "0"], 2, /^conc: --timeout: cannot use a limit of nothing: received '0'\n$/],
    [["h:7", "x", "--ca", "f"], 2, /^conc: cannot use --ca without --tls: add --tls\n$/],
    [
      ["h:7", "--tls", "--ca", "/no/f"],
      2,
      /^conc: cannot read the certificates in '\/no\/f': No such file.*\n$/,
    ],
    [["unix:s", "--tls"], 2, /^conc: cannot encrypt a Unix socket: leave out --tls\n$/],
  ];
  for (const [args, expected, message] of cases) {
    const { code, stdout, stderr } = await conc(["tcp-echo", "send", ...args]);
    assertEquals([code, stdout], [expected, ""], stderr);
    assertMatch(stderr, message);
  }
});

Deno.test("tcp-echo send exits 124 when no reply comes, 1 when the server hangs up, 130 by Ctrl-C", async () => {
  await besideTcp(() => Promise.resolve(), async ({ port }) => {
    const { code, stderr } = await conc(["tcp-echo", "send", `127.0.0.1:${port}`, "x", "--timeout", "0.1s"]);
    assertEquals(code, 124);
    assertMatch(stderr, /^conc: no reply from 127\.0\.0\.1:\d+ in 100ms: received 0 of 2 bytes\n$/);
  });
  await besideTcp(async (connection) => {
    await connection.read(new Uint8Array(10));
    hangUp(connection);
  }, async ({ port }) => {
    const { code, stderr } = await conc(["tcp-echo", "send", `127.0.0.1:${port}`, "x", ...WAIT]);
    assertEquals(code, 1);
    assertMatch(stderr, /^conc: 127\.0\.0\.1:\d+: it hung up.*\n$/);
  });
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  await besideTcp(async (connection) => {
    await connection.read(new Uint8Array(10));
    resolve();
  }, async ({ port }) => {
    const running = start(["tcp-echo", "send", `127.0.0.1:${port}`, "x", ...WAIT]);
    await asked;
    running.kill("SIGINT");
    const { code, stderr } = await running.result();
    assertEquals([code, stderr], [130, ""]);
  });
});

/** Whether a command is there. */
async function has(command: string): Promise<boolean> {
  return (await new Deno.Command("sh", { args: ["-c", `command -v ${command}`], stdout: "null" }).output())
    .success;
}

Deno.test({
  name: "tcp-echo send and bench encrypt, and trust only whom they are told to (needs openssl)",
  ignore: !await has("openssl"),
  fn: async () => {
    await inDirectory(async (cwd) => {
      const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        .concat("-addext", "basicConstraints=critical,CA:FALSE");
      await new Deno.Command("openssl", {
        args: ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
          .concat(["-keyout", "key.pem", "-out", "cert.pem"], subject),
        ...{ cwd, stderr: "null" },
      }).output();
      const listener = Deno.listenTls({
        ...{ hostname: "127.0.0.1", port: 0 },
        key: await Deno.readTextFile(`${cwd}/key.pem`),
        cert: await Deno.readTextFile(`${cwd}/cert.pem`),
      });
      const serving = (async () => {
        for (;;) {
          const { readable, writable } = await listener.accept();
          void readable.pipeTo(writable).catch(() => {});
        }
      })();
      const where = `127.0.0.1:${listener.addr.port}`;
      const trusted = ["--tls", "--ca", "cert.pem", ...WAIT];
      const sent = await conc(["tcp-echo", "send", where, ...trusted, "hi"], { cwd });
      assertEquals([sent.code, sent.stdout, sent.stderr], [0, "hi\n", ""]);
      const bench = await conc(["tcp-echo", "bench", where, ...trusted, "-n", "100", "--json"], { cwd });
      assertEquals([bench.code, records(bench.stdout).at(-1)!.messages], [0, 100], bench.stderr);
      const strange = await conc(["tcp-echo", "send", where, "--tls", "hi", ...WAIT], { cwd });
      assertEquals(strange.code, 1);
      assertMatch(strange.stderr, /^conc: cannot connect to .*: the certificate is not trusted\n$/);
      await Deno.writeTextFile(`${cwd}/empty.pem`, "");
      const empty = await conc(["tcp-echo", "send", where, "--tls", "--ca", "empty.pem", "hi"], { cwd });
      assertEquals([empty.code, empty.stdout], [2, ""]);
      listener.close();
      await serving.catch(() => {});
    });
  },
});
