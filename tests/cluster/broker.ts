/**
 * The broker that tests of the cluster reach use: `deno task broker -- deno test -A tests/cluster` runs them with one of their own.
 *
 * @module
 */

import { assertLess } from "@std/assert";
import type { ClusterQueue } from "../../lib/cluster/queue.ts";
import { ClusterStore } from "../../lib/cluster/store.ts";
import { eventually } from "../conformance/waits.ts";

/** The broker's URL; undefined if there is none. */
export const BROKER_URL: string | undefined = Deno.env.get("CONC_TEST_AMQP");
/** The program that controls it; undefined if it is not ours to stop. */
export const CONTROL: string | undefined = Deno.env.get("CONC_TEST_BROKER");

/** A test that needs a broker; without one it is skipped, and says why. */
export function brokerTest(name: string, body: (url: string) => Promise<void>): void {
  register(name, {
    ignore: BROKER_URL === undefined,
    needs: "CONC_TEST_AMQP",
    body: () => body(BROKER_URL!),
  });
}

/** A test that stops and starts the broker: only one of its own, and not while other tests use it. */
export function brokerFaultTest(name: string, body: (url: string) => Promise<void>): void {
  const ignore = BROKER_URL === undefined || CONTROL === undefined;
  register(name, { ignore, needs: "CONC_TEST_BROKER", body: () => body(BROKER_URL!) });
}

/** Has the broker `start`, `stop`, or `kill`ed, or rabbitmqctl told something: `ctl`, and its arguments. Returns what it printed. */
export async function control(...words: string[]): Promise<string> {
  // What it starts may keep its streams open: only what is read is a pipe.
  const stdout = words[0] === "ctl" ? "piped" : "null";
  const child = new Deno.Command(CONTROL!, { args: words, stdin: "null", stdout, stderr: "inherit" }).spawn();
  const text = stdout === "piped" ? await new Response(child.stdout).text() : "";
  if ((await child.status).success) return text;
  throw new Error(`cannot ${words.join(" ")}`);
}

/** A name that no other test uses. */
export function uniqueName(): string {
  return `test-${crypto.randomUUID()}`;
}

/** Waits until every item of a queue is dealt with, however long that takes as long as there are ever fewer of them. */
export async function emptied(queue: ClusterQueue): Promise<void> {
  for (let left = Infinity; left > 0;) {
    await eventually(async () => {
      const { size, leased } = await queue.status();
      assertLess(size + leased, left);
      left = size + leased;
    });
  }
}

/** Has a test use the broker. */
export async function withStore(url: string, body: (store: ClusterStore) => Promise<void>): Promise<void> {
  await using store = await ClusterStore.open(url);
  await body(store);
}

/**
 * A link to the broker that can be cut: what goes through it then is lost, and neither side is told. That is what a cable that was pulled
 * looks like; a connection that is closed looks different.
 */
export class Link implements AsyncDisposable {
  /** The broker's URL through this link. */
  readonly url: string;
  readonly #listener: Deno.TcpListener;
  readonly #ends = new Set<Deno.Conn>();
  readonly #serving: Promise<void>;
  readonly #target: { hostname: string; port: number };
  #isCut = false;

  constructor(brokerUrl: string, parameters = "") {
    const url = new URL(brokerUrl);
    this.#target = { hostname: url.hostname, port: Number(url.port) };
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    url.port = String(this.#listener.addr.port);
    this.url = url.href + parameters;
    this.#serving = this.#serve();
  }

  /** From now on nothing gets through. */
  cut(): void {
    this.#isCut = true;
  }

  /** New connections get through again. */
  mend(): void {
    this.#isCut = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const end of this.#ends) end.close();
    await this.#serving;
  }

  async #serve(): Promise<void> {
    const pumps: Promise<void>[] = [];
    for await (const near of this.#listener) {
      if (this.#isCut) {
        this.#ends.add(near);
        continue;
      }
      const far = await Deno.connect(this.#target).catch(() => undefined);
      if (far === undefined) {
        // The broker is down.
        near.close();
        continue;
      }
      this.#ends.add(near).add(far);
      pumps.push(this.#pump(near, far), this.#pump(far, near));
    }
    await Promise.all(pumps);
  }

  async #pump(from: Deno.Conn, to: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(65_536);
    let isSevered = false;
    try {
      for (let length; (length = await from.read(buffer)) !== null;) {
        isSevered ||= this.#isCut;
        for (let sent = 0; !isSevered && sent < length;) {
          sent += await to.write(buffer.subarray(sent, length));
        }
      }
      if (!isSevered) await to.closeWrite();
    } catch {
      // One of the ends is gone.
    }
  }
}

function register(
  name: string,
  { ignore, needs, body }: { ignore: boolean; needs: string; body: () => Promise<void> },
): void {
  Deno.test({ name: ignore ? `${name} (skipped: ${needs} is not set)` : name, ignore, fn: body });
}
