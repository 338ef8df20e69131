/**
 * `conc udp-echo serve` as a user runs it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  conc,
  eventually,
  exists,
  inDirectory,
  records,
  type Result,
  type Running,
  shell,
  start,
} from "./conc.ts";

const DEADLINE_MS = 10_000;

/** A server that runs, and its port. */
interface Server {
  running: Running;
  port: number;
}

/** Runs a test body beside a server; kills it if the test has not ended it. */
async function withServer(args: readonly string[], body: (server: Server) => Promise<void>): Promise<void> {
  await inDirectory(async (cwd) => {
    const path = `${cwd}/port`;
    const running = start(["udp-echo", "serve", "--port-file", path, ...args], { cwd });
    try {
      await eventually("it listens", () => exists(path));
      await body({ running, port: Number(await Deno.readTextFile(path)) });
    } finally {
      kill(running, "SIGKILL");
      await running.result();
    }
  });
}

function kill(running: Running, signal: Deno.Signal): void {
  try {
    running.kill(signal);
  } catch {
    // It has ended.
  }
}

function stop({ running }: Server): Promise<Result> {
  running.kill("SIGTERM");
  return running.result();
}

/** A socket that sends to a server. */
class Client implements Disposable {
  readonly #socket: Deno.DatagramConn;
  readonly #to: Deno.NetAddr;

  constructor(port: number, { localPort = 0, localHost = "127.0.0.1" } = {}) {
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname: localHost, port: localPort });
    this.#to = { transport: "udp", hostname: "127.0.0.1", port };
  }

  async send(message: string): Promise<void> {
    await this.#socket.send(new TextEncoder().encode(message), this.#to);
  }

  async receive(): Promise<string> {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error("no reply came")), DEADLINE_MS);
    try {
      const [bytes] = await Promise.race([this.#socket.receive(new Uint8Array(65_536)), promise]);
      return new TextDecoder().decode(bytes);
    } finally {
      clearTimeout(timer);
    }
  }

  async ask(message: string): Promise<string> {
    await this.send(message);
    return await this.receive();
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** Whether a command is on this machine. */
async function has(command: string): Promise<boolean> {
  return (await new Deno.Command("sh", { args: ["-c", `command -v ${command}`] }).output()).success;
}

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
  Deno.test(`udp-echo serve answers until ${signal}, says what it counted, and exits ${code}`, async () => {
    await withServer(["-t", "upper"], async ({ running, port }) => {
      using client = new Client(port);
      assertEquals(await client.ask("hello 你好\n"), "HELLO 你好\n");
      assertEquals(await client.ask(""), "");
      running.kill(signal);
      const result = await running.result();
      assertEquals(result.stderr.split("\n"), [
        `conc: listening on 127.0.0.1:${port}`,
        "conc: 2 datagrams in (13 bytes), 2 out (13 bytes)",
        "",
      ]);
      assertEquals([result.code, result.stdout], [code, ""]);
    });
  });
}

Deno.test("udp-echo serve --json prints where it listens, what it notices and what it counted", async () => {
  await withServer(["--json", "--buffer", "4", "--dup", "100%", "--seed", "7"], async (server) => {
    using client = new Client(server.port);
    assertEquals([await client.ask("truncated"), await client.receive()], ["trun", "trun"]);
    const { code, stdout, stderr } = await stop(server);
    assertEquals([code, stderr], [143, ""]);
    const [listening, notice, summary, ...others] = records(stdout);
    assertEquals(others, []);
    const { at, pid, ...place } = listening!;
    assertMatch(String(at), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    assertEquals(typeof pid, "number");
    const address = `127.0.0.1:${server.port}`;
    assertEquals(place, { type: "listening", address, host: "127.0.0.1", port: server.port });
    assertMatch(String(notice!.from), /^127\.0\.0\.1:\d+$/);
    assertStringIncludes(String(notice!.message), "cut a datagram of 9 bytes");
    assertEquals([notice!.type, notice!.kind, notice!.sizeBytes], ["notice", "truncated", 9]);
    const { backend, durationMs, ...counted } = summary!;
    assertMatch(String(backend), /^(libc|deno)$/);
    assertEquals(typeof durationMs, "number");
    assertEquals(counted, {
      type: "summary",
      ...{
        datagramsIn: 1,
        datagramsOut: 2,
        bytesIn: 4,
        bytesOut: 8,
        truncated: 1,
        truncatedBytes: 5,
        ignored: 0,
      },
      ...{ dropped: 0, duplicated: 1, delayed: 0, reordered: 0, overflowed: 0, errors: 0, seed: 7 },
      signal: "SIGTERM",
    });
  });
});

Deno.test("udp-echo serve tells of what it cuts and ignores, the first time, and counts the others", async () => {
  await withServer(["--buffer", "8"], async (server) => {
    using client = new Client(server.port);
    for (const message of ["eight is enough", "12345678", "123456789"]) {
      assertEquals(await client.ask(message), message.slice(0, 8));
    }
    if (Deno.build.os === "linux") {
      using echo = new Client(server.port, { localHost: "127.0.0.2", localPort: server.port });
      await echo.send("loop");
    }
    await client.ask("last");
    const lines = (await stop(server)).stderr.split("\n").slice(1);
    assertMatch(
      lines[0]!,
      /^conc: cut a datagram of 15 bytes from 127\.0\.0\.1:\d+ to 8: --buffer takes more; /,
    );
    if (Deno.build.os === "linux") {
      assertStringIncludes(lines[1]!, `conc: ignored a datagram from 127.0.0.2:${server.port}, `);
      assertMatch(lines[2]!, /^conc: 5 datagrams in .*; truncated 2 \(8 bytes lost\); ignored 1$/);
    }
  });
});

Deno.test("udp-echo serve -q says nothing", async () => {
  await withServer(["-q", "--buffer", "1"], async (server) => {
    using client = new Client(server.port);
    assertEquals(await client.ask("quiet"), "q");
    const { stdout, stderr } = await stop(server);
    assertEquals([stdout, stderr], ["", ""]);
  });
});

Deno.test("udp-echo serve with the same seed lets the same go wrong", async () => {
  const counted: unknown[] = [];
  for (let run = 0; run < 2; run++) {
    const faults = ["--drop", "20%", "--dup", "10%", "--seed", "42"];
    await withServer(["--json", ...faults], async (server) => {
      using client = new Client(server.port);
      for (let number = 0; number < 200; number++) await client.send("same");
      const { durationMs: _, ...summary } = records((await stop(server)).stdout).at(-1)!;
      assertEquals(summary.datagramsIn, 200);
      counted.push(summary);
    });
  }
  assertEquals(counted[0], counted[1]);
});

Deno.test("udp-echo serve says the seed that it took, so that the same can be made to go wrong again", async () => {
  await withServer(["--reorder", "1%"], async (server) => {
    assertMatch(
      (await stop(server)).stderr,
      /^conc: 0 datagrams in \(0 bytes\), 0 out \(0 bytes\); seed \d+$/m,
    );
  });
});

Deno.test("udp-echo serve answers all that came before SIGTERM, late replies too", async () => {
  await withServer(["--json", "--delay", "100ms..300ms"], async (server) => {
    using client = new Client(server.port);
    for (let number = 0; number < 100; number++) await client.send(String(number));
    const { datagramsIn, datagramsOut, delayed } = records((await stop(server)).stdout).at(-1)!;
    assertEquals([datagramsIn, datagramsOut, delayed], [100, 100, 100]);
    const found: number[] = [];
    while (found.length < 100) found.push(Number(await client.receive()));
    assertEquals(found.sort((a, b) => a - b), Array.from({ length: 100 }, (_, number) => number));
  });
});

Deno.test("udp-echo serve ends at once at the second signal", async () => {
  await withServer(["--json", "--delay", "1h"], async ({ running, port }) => {
    using client = new Client(port);
    await client.send("never");
    // The second counts only once the first was seen: it is sent until conc has ended.
    const again = setInterval(() => kill(running, "SIGTERM"), 20);
    const { code, stdout } = await running.result();
    clearInterval(again);
    assertEquals(code, 143);
    assertEquals(records(stdout).at(-1)!.datagramsOut, 0);
  });
});

Deno.test("udp-echo serve --event lets scripts go on that wait, and they learn the address", async () => {
  await inDirectory(async (cwd) => {
    const script = `conc udp-echo serve -q --port-file port --event up & server=$!
      conc event wait up -q --timeout 10s; cat port; kill $server; wait $server; echo $?; ls`;
    const { stdout } = await shell(script, { cwd });
    const [address, port, code, ...files] = stdout.trimEnd().split("\n");
    assertEquals([address, code, files], [`127.0.0.1:${port}`, "143", []]);
  });
});

Deno.test("udp-echo serve says in one line where it cannot listen, and exits 125", async () => {
  await withServer([], async ({ port }) => {
    for (
      const [args, problem] of [
        [
          ["-p", String(port)],
          `127.0.0.1:${port}: the port is in use: choose another, or 0 for one that is free`,
        ],
        [
          ["--host", "no.such.host.invalid"],
          "no.such.host.invalid:0: unknown host: choose a name or address of this machine",
        ],
        [["--host", "192.0.2.77"], "192.0.2.77:0: this machine has no such address: "],
      ] as const
    ) {
      const { code, stdout, stderr } = await conc(["udp-echo", "serve", ...args]);
      assertEquals([code, stdout], [125, ""]);
      assertStringIncludes(stderr, `conc: cannot listen at ${problem}`);
      assertEquals(stderr.split("\n").length, 2);
    }
  });
});

Deno.test("udp-echo serve says in one line what makes no sense, exits 2, and does not listen", async () => {
  for (
    const [args, message] of [
      [["-p", "70000"], "a port must be from 0 to 65535: received '70000'"],
      [["--buffer", "0"], "from 1 to 65535 bytes: received '0'"],
      [["--buffer", "64k"], "received '64k'"],
      [["--drop", "101%"], "must be from 0% to 100%: received '101%'"],
      [["--dup", "few"], "received 'few'"],
      [["--reorder", "-1"], "received '-1'"],
      [["--delay", "5s..1s"], "the shortest..the longest: received '5s..1s'"],
      [["--seed", "x"], "received 'x'"],
      [["-t", "rot13"], "must be one of none, upper, lower, reverse: received 'rot13'"],
      [["--host", ""], "a host must be a name or an address"],
      [["7007"], "7007"],
    ] as const
  ) {
    const { code, stdout, stderr } = await conc(["udp-echo", "serve", ...args]);
    assertEquals([code, stdout], [2, ""], args.join(" "));
    assertStringIncludes(stderr, message);
    assertEquals(stderr.split("\n").length, 2, stderr);
  }
});

Deno.test("udp-echo serve that cannot write its port file ends, and says so", async () => {
  const { code, stderr } = await conc(["udp-echo", "serve", "-q", "--port-file", "/no/such/place/port"]);
  assertEquals(code, 125);
  assertMatch(stderr, /^conc: cannot write the port file '\/no\/such\/place\/port': .*\n$/);
});

for (
  const [name, line] of [
    ["socat", "printf 'hello 你好' | socat -t 5 - UDP4:127.0.0.1:$PORT,shut-none & client=$!"],
    ["ncat", "(printf 'hello 你好'; exec sleep 60) | ncat -u 127.0.0.1 $PORT & client=$!"],
  ] as const
) {
  const ignore = !await has(name);
  Deno.test({
    name: `udp-echo serve answers ${name}${ignore ? " (it is missing)" : ""}`,
    ignore,
    fn: async () => {
      await withServer(["-t", "upper"], async (server) => {
        await inDirectory(async (cwd) => {
          const script = line.replace("$PORT", String(server.port)).replace(" & client", " > reply & client");
          const wait = "until [ -s reply ]; do sleep 0.01; done; cat reply; kill $client; kill %1; wait";
          const { stdout } = await shell(`set -m; { ${script}; ${wait}; } 2> /dev/null`, { cwd });
          assertEquals(stdout, "HELLO 你好");
        });
        assert((await stop(server)).code === 143);
      });
    },
  });
}
