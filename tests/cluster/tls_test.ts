/**
 * A broker behind TLS: the certificate is checked, with the authorities of `cacertfile`.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { ClusterQueue } from "../../lib/cluster/queue.ts";
import { ClusterStore } from "../../lib/cluster/store.ts";
import { SystemError } from "../../lib/errors.ts";
import { inDirectory } from "../cli/conc.ts";
import { brokerTest, uniqueName } from "./broker.ts";

/** A certificate for 127.0.0.1 that signs itself. */
const CERTIFICATE =
  "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=mq " +
  "-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out cert.pem";

brokerTest(
  "ClusterStore.open() encrypts with amqps, and trusts whom cacertfile names only",
  (url) =>
    inDirectory(async (cwd) => {
      const made = await new Deno.Command("openssl", { args: CERTIFICATE.split(" "), cwd }).output();
      assertEquals(made.code, 0, new TextDecoder().decode(made.stderr));
      const [key, cert] = await Promise.all(
        ["key.pem", "cert.pem"].map((file) => Deno.readTextFile(`${cwd}/${file}`)),
      );
      using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, key: key!, cert: cert! });
      const serving = passOn(listener, new URL(url));
      const secure = new URL(url.replace("amqp:", "amqps:"));
      secure.port = String(listener.addr.port);
      await assertRejects(
        () => ClusterStore.open(secure.href),
        SystemError,
        "its certificate is not trusted",
      );
      secure.searchParams.set("cacertfile", `${cwd}/cert.pem`);
      {
        await using store = await ClusterStore.open(secure.href);
        const queue = await ClusterQueue.open(store, uniqueName());
        const item = crypto.getRandomValues(new Uint8Array(50_000));
        await queue.put(item);
        assertEquals(await queue.get(), item);
        await queue.delete();
      }
      listener.close();
      await serving;
    }),
);

/** Passes on to a broker what comes over TLS, and back. */
async function passOn(listener: Deno.TlsListener, { hostname, port }: URL): Promise<void> {
  const passing: Promise<unknown>[] = [];
  for (;;) {
    let near: Deno.TlsConn;
    try {
      near = await listener.accept();
    } catch (error) {
      // Who does not trust us hangs up; nobody comes any more once we are closed.
      if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) break;
      continue;
    }
    const far = await Deno.connect({ hostname, port: Number(port) });
    passing.push(
      near.readable.pipeTo(far.writable).catch(() => {}),
      far.readable.pipeTo(near.writable).catch(() => {}),
    );
  }
  await Promise.all(passing);
}
