/**
 * What stands where a broker is expected. None of these needs a broker.
 *
 * @module
 */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ClusterStore } from "../../lib/cluster/store.ts";
import { SystemError } from "../../lib/errors.ts";
import { conc } from "../cli/conc.ts";

/** Connects to a program that says something, and expects an error that says this of it. */
async function refuses(
  expected: RegExp,
  { greeting, hangUp = false, scheme = "amqp", timeoutMs = 20_000 }: {
    greeting: Uint8Array | string;
    hangUp?: boolean;
    scheme?: string;
    timeoutMs?: number;
  },
): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const connection of listener) {
      try {
        await connection.read(new Uint8Array(1_000));
        await connection.write(typeof greeting === "string" ? new TextEncoder().encode(greeting) : greeting);
        if (!hangUp) { while (await connection.read(new Uint8Array(1_000)) !== null); }
      } catch {
        // It hung up on us.
      }
      connection.close();
    }
  })();
  const { port } = listener.addr;
  const url = `${scheme}://ana:s3cret@127.0.0.1:${port}`;
  const error = await assertRejects(() => ClusterStore.open(url, { timeoutMs }), SystemError);
  assertStringIncludes(error.message, `127.0.0.1:${port}`);
  assertEquals(expected.test(error.message), true, error.message);
  assertEquals(Deno.inspect(error).includes("s3cret"), false);
  listener.close();
  await serving;
}

Deno.test("ClusterStore.open() says so if nothing listens", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const error = await assertRejects(
    () => ClusterStore.open(`amqp://ana:s3cret@127.0.0.1:${port}`),
    SystemError,
  );
  assertEquals(
    error.message,
    `cannot use the broker at 127.0.0.1:${port}: nothing listens there: start it, or correct the address`,
  );
});

Deno.test("ClusterStore.open() says so if what listens is a web server", () =>
  refuses(/no AMQP broker/, { greeting: "HTTP/1.1 400 Bad Request\r\n\r\n" }));

Deno.test("ClusterStore.open() says so if what listens is an SSH server", () =>
  refuses(/no AMQP broker/, { greeting: "SSH-2.0-OpenSSH_9.2\r\n" }));

Deno.test("ClusterStore.open() says so if what listens speaks AMQP 1.0", () =>
  refuses(/AMQP 0-9-1/, { greeting: Uint8Array.of(0x41, 0x4d, 0x51, 0x50, 0, 1, 0, 0) }));

Deno.test("ClusterStore.open() says so if what listens wants TLS", () =>
  refuses(/use amqps:/, { greeting: Uint8Array.of(0x15, 3, 1, 0, 2, 2, 10, 0) }));

Deno.test("ClusterStore.open() says so if what listens hangs up", () =>
  refuses(/hung up/, { greeting: "", hangUp: true }));

Deno.test("ClusterStore.open() says so if what listens does not speak TLS", () =>
  refuses(/does not speak TLS/, { greeting: "HTTP/1.1 400 Bad Request\r\n\r\n", scheme: "amqps" }));

Deno.test("ClusterStore.open() gives up on what is silent", () =>
  refuses(/no answer within 50ms/, { greeting: "", timeoutMs: 50 }));

Deno.test("ClusterStore.open() ends with the reason of its signal", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const controller = new AbortController();
  const opening = ClusterStore.open(`amqp://127.0.0.1:${listener.addr.port}`, { signal: controller.signal });
  const connection = await listener.accept();
  controller.abort(new Error("enough"));
  await assertRejects(() => opening, Error, "enough");
  connection.close();
});

Deno.test("ClusterStore.open() says so if the file of authorities is of no use", async () => {
  const open = (file: string) => () => ClusterStore.open(`amqps://127.0.0.1:1?cacertfile=${file}`);
  await assertRejects(open("/nowhere.pem"), SystemError, "cannot read /nowhere.pem");
  await assertRejects(open("/dev/null"), SystemError, "no certificate");
});

for (const words of [["lock", "run", "a", "true"], ["sem", "run", "a", "true"], ["sem", "acquire", "a"]]) {
  Deno.test(`conc ${words.join(" ")}: flags that contradict each other are refused though there is no broker`, async () => {
    const { code, stderr } = await conc([
      words[0]!,
      words[1]!,
      "--no-wait",
      "--timeout",
      "1s",
      ...words.slice(2),
    ], {
      env: { CONC_STORE: "amqp://127.0.0.1:1" },
    });
    assertEquals([code, stderr], [
      2,
      "conc: --no-wait and --timeout contradict each other: leave out one\n",
    ]);
  });
}
