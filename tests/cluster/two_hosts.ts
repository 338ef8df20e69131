/**
 * Two hosts on one machine, and a link of each to the broker: network namespaces (ip-netns(8)) with a host name of their own (unshare(1)) and a
 * veth pair. What is cut here is cut in the kernel, as a cable that was pulled.
 *
 * @module
 */

import { CONC, Running } from "../cli/conc.ts";
import { BROKER_URL, CONTROL, control } from "./broker.ts";

/** Why there are no two hosts to be had; undefined if there are. */
export const NO_HOSTS: string | undefined = whyNone();

/** The addresses of the ends of a link. */
interface Ends {
  near: string;
  far: string;
}

/** One of the hosts. */
export class Host implements AsyncDisposable {
  /** What its programs see as the name of their machine. */
  readonly name: string;
  /** The broker's URL from there. */
  readonly url: string;
  readonly #namespace: string;
  readonly #link: string;
  readonly #listener: string;

  private constructor(letter: string, near: string) {
    this.name = `host-${letter}`;
    this.#namespace = `conc-${Deno.pid}-${letter}`;
    this.#link = `conc${Deno.pid}${letter}`;
    const url = new URL(BROKER_URL!);
    url.hostname = near;
    this.#listener = `{"${near}", ${url.port}}`;
    this.url = url.href;
  }

  /** A host with a link to the broker, which listens at the near end. */
  static async make(letter: string, { near, far }: Ends): Promise<Host> {
    const host = new Host(letter, near);
    try {
      await host.#connect({ near, far });
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw error;
    }
    return host;
  }

  /** A command line that runs a command there. */
  line(words: readonly string[]): [program: string, ...args: string[]] {
    const named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', this.name, ...words];
    return ["ip", "netns", "exec", this.#namespace, ...named];
  }

  /** What runs a command there. */
  command(words: readonly string[], options: Deno.CommandOptions = {}): Deno.Command {
    const [program, ...args] = this.line(words);
    return new Deno.Command(program, { args, ...options });
  }

  /** Starts conc there. */
  conc(args: readonly string[], { cwd, parameters = "" }: { cwd: string; parameters?: string }): Running {
    const options: Deno.CommandOptions = {
      env: { NO_COLOR: "1", CONC_STORE: this.url + parameters },
      ...{ cwd, stdin: "null", stdout: "piped", stderr: "piped" },
    };
    return new Running(this.command([...CONC, ...args], options).spawn());
  }

  /** From now on nothing gets through, and nobody is told. */
  async cut(): Promise<void> {
    await ip(`-n ${this.#namespace} link set eth0 down`);
  }

  /** What was cut gets through again. */
  async mend(): Promise<void> {
    await ip(`-n ${this.#namespace} link set eth0 up`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await control("ctl", "eval", `rabbit_networking:stop_tcp_listener(${this.#listener}).`).catch(() => {});
    await ip(`link delete ${this.#link}`).catch(() => {});
    await ip(`netns delete ${this.#namespace}`).catch(() => {});
  }

  async #connect({ near, far }: Ends): Promise<void> {
    const [namespace, link] = [this.#namespace, this.#link];
    await ip(`netns add ${namespace}`);
    await ip(`link add ${link} type veth peer name eth0 netns ${namespace}`);
    await ip(`address add ${near}/30 dev ${link}`);
    await ip(`link set ${link} up`);
    await ip(`-n ${namespace} address add ${far}/30 dev eth0`);
    await ip(`-n ${namespace} link set lo up`);
    await ip(`-n ${namespace} link set eth0 up`);
    await control("ctl", "eval", `rabbit_networking:start_tcp_listener(${this.#listener}, 2).`);
  }
}

/** A test that needs two hosts; where there are none to be had it is skipped, and says why. */
export function hostsTest(name: string, body: (one: Host, other: Host) => Promise<void>): void {
  const ignore = NO_HOSTS !== undefined;
  Deno.test({
    name: ignore ? `${name} (skipped: ${NO_HOSTS})` : name,
    ignore,
    async fn() {
      await sweep();
      // Addresses that are set aside for tests of networks (RFC 2544), others for whoever tests at the same time.
      const [third = 0, fourth = 0] = crypto.getRandomValues(new Uint8Array(2));
      const ends = (first: number) => ({
        near: `198.18.${third}.${first + 1}`,
        far: `198.18.${third}.${first + 2}`,
      });
      await using one = await Host.make("a", ends(fourth & 0xf8));
      await using other = await Host.make("b", ends((fourth & 0xf8) + 4));
      await body(one, other);
    },
  });
}

/** Removes what a run that was killed left behind. */
async function sweep(): Promise<void> {
  for await (const { name } of Deno.readDir("/run/netns")) {
    const [, pid, letter] = /^conc-(\d+)-([a-z])$/.exec(name) ?? [];
    if (pid === undefined || await Deno.stat(`/proc/${pid}`).then(() => true, () => false)) continue;
    await ip(`link delete conc${pid}${letter}`).catch(() => {});
    await ip(`netns delete ${name}`).catch(() => {});
  }
}

/** Runs ip(8). Throws what it says if it fails. */
async function ip(words: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("ip", { args: words.split(" ") }).output();
  if (!success) throw new Error(`cannot ip ${words}: ${new TextDecoder().decode(stderr).trim()}`);
}

function whyNone(): string | undefined {
  if (BROKER_URL === undefined) return "CONC_TEST_AMQP is not set";
  if (CONTROL === undefined) return "CONC_TEST_BROKER is not set";
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "only root on Linux makes network namespaces";
  const name = `conc-${Deno.pid}-x`;
  try {
    const [made] = ["add", "delete"].map((verb) =>
      new Deno.Command("ip", { args: ["netns", verb, name] }).outputSync()
    );
    return made!.success ? undefined : "no network namespace can be made here";
  } catch {
    return "there is no ip: install iproute2";
  }
}
