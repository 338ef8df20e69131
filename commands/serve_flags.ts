/**
 * What `conc tcp-echo serve` and `conc udp-echo serve` share: where they listen, what they send back, and how they say that a client can
 * come.
 *
 * @module
 */

import type { FlagParametersForType } from "@stricli/core";
import { reason, SystemError, UsageError } from "../lib/errors.ts";
import type { NamedEvent, Reach } from "../lib/named.ts";
import { type Endpoint, formatEndpoint, parsePort } from "../lib/net/address.ts";
import { type Transform, TRANSFORMS } from "../lib/net/transform.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { type Context, say } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import { eventName } from "./event_name.ts";
import { openReach } from "./reach.ts";
import { STORE_FLAGS, type StoreFlags } from "./store_flags.ts";

/** Flags of everything that serves. */
export type ServeFlags = StoreFlags & {
  port: number;
  host: string;
  transform: Transform;
  event?: string;
  portFile?: string;
};

/** The declarations of {@link ServeFlags}. */
export const SERVE_FLAGS: FlagParametersForType<ServeFlags, never> = {
  port: {
    kind: "parsed",
    parse: (text: string) => parsePort(text, 0),
    default: "0",
    placeholder: "PORT",
    brief: "Listen at this port; 0 is one that is free",
  },
  host: {
    kind: "parsed",
    parse: parseHost,
    default: "127.0.0.1",
    placeholder: "ADDR",
    brief: "Listen at this address of the machine; 0.0.0.0 or :: is all of them",
  },
  transform: {
    kind: "enum",
    values: TRANSFORMS,
    default: "none",
    brief: "What to do to the bytes: upper and lower change ASCII letters, reverse turns each line around",
  },
  event: {
    kind: "parsed",
    parse: eventName,
    optional: true,
    placeholder: "NAME",
    brief: "Set this event once a client can come; its data is the address",
  },
  portFile: {
    kind: "parsed",
    parse: parsePortFile,
    optional: true,
    placeholder: "FILE",
    brief: "Write the port into FILE once a client can come, and remove it at the end",
  },
  ...STORE_FLAGS,
};

/** Letters for {@link SERVE_FLAGS}. */
export const SERVE_ALIASES = { p: "port", t: "transform" } as const;

/**
 * Says that a server listens: to people or programs, to who waits for the port file, to who waits for the event. What it needs is opened
 * before, so that what cannot be said is known before anything listens.
 */
export class Announcement implements AsyncDisposable {
  readonly #context: Context;
  readonly #flags: ServeFlags & CommonFlags;
  readonly #reach: Reach | undefined;
  readonly #event: NamedEvent | undefined;
  #writtenPort: string | undefined;

  private constructor(
    context: Context,
    { flags, reach, event }: {
      flags: ServeFlags & CommonFlags;
      reach?: Reach;
      event?: NamedEvent;
    },
  ) {
    this.#context = context;
    this.#flags = flags;
    this.#reach = reach;
    this.#event = event;
  }

  /**
   * Opens what it needs. Whoever opens it disposes of it.
   *
   * @throws {UsageError} If the flags name no store that can be used.
   * @throws {SystemError} If the store cannot be used.
   */
  static async open(context: Context, flags: ServeFlags & CommonFlags): Promise<Announcement> {
    if (flags.event === undefined) return new Announcement(context, { flags });
    const reach = await openReach(context, flags);
    return new Announcement(context, { flags, reach, event: await reach.event(flags.event) });
  }

  /**
   * Says it, first in the port file, and last by the event: who waits for either finds all that came before.
   *
   * @param endpoint Where the server listens.
   * @throws {SystemError} If the port file cannot be written, or the store.
   */
  async make(endpoint: Endpoint): Promise<void> {
    const { portFile, json, quiet } = this.#flags;
    const address = formatEndpoint(endpoint);
    if (portFile !== undefined && "port" in endpoint) {
      const text = `${endpoint.port}\n`;
      writeWhole(portFile, text);
      this.#writtenPort = text;
    }
    if (json) {
      const place = "path" in endpoint ? endpoint : { host: endpoint.hostname, port: endpoint.port };
      const at = new Date(this.#context.now()).toISOString();
      await this.#context.stdout.write(ndjson({ type: "listening", address, ...place, pid: Deno.pid, at }));
    } else if (!quiet) await say(this.#context, `listening on ${address}`);
    await this.#event?.set(address);
  }

  /** Removes the port file, unless another server has written its own there, and closes the store. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#removePortFile();
    await this.#reach?.[Symbol.asyncDispose]();
  }

  #removePortFile(): void {
    const { portFile } = this.#flags;
    if (portFile === undefined || this.#writtenPort === undefined) return;
    try {
      if (Deno.readTextFileSync(portFile) === this.#writtenPort) Deno.removeSync(portFile);
    } catch {
      // It is gone, or nobody can read it.
    }
  }
}

/** Writes a file such that nobody sees a part of it: under another name, and then under its own (rename(2)). */
function writeWhole(path: string, text: string): void {
  const draft = `${path}.${Deno.pid}.new`;
  try {
    Deno.writeTextFileSync(draft, text);
    Deno.renameSync(draft, path);
  } catch (error) {
    try {
      Deno.removeSync(draft);
    } catch {
      // It was not written.
    }
    throw new SystemError(
      `cannot write the port file '${path}': ${reason(error)}: choose another with --port-file`,
    );
  }
}

function parseHost(text: string): string {
  if (text === "") throw new UsageError("cannot listen at '' as a host must be a name or an address");
  return /^\[([\da-f:.]+)\]$/i.exec(text)?.[1] ?? text;
}

function parsePortFile(text: string): string {
  if (text === "") throw new UsageError("cannot use '' as a port file: name one");
  return text;
}
