/**
 * Where a broker is and who we are there, from an URL (RabbitMQ URI Specification, https://www.rabbitmq.com/docs/uri-spec).
 *
 * @module
 */

import { UsageError } from "../errors.ts";

/** How often either side says that it is still there, in seconds, unless the URL says otherwise. */
export const DEFAULT_HEARTBEAT_S = 5;
const LONGEST_HEARTBEAT_S = 3_600;
const PORTS: Readonly<Record<string, number>> = { "amqp:": 5672, "amqps:": 5671 };
const FORM = "amqp://USER:PASSWORD@HOST:PORT/VHOST";

/**
 * Where a broker is. The password is not among what is printed: neither by JSON nor by `console.log`.
 *
 * | part of the URL | default |
 * |---|---|
 * | `amqp://` or `amqps://`, which is TLS | |
 * | user, password | `guest`, `guest`, whom a broker admits from its own machine only |
 * | host, port | `localhost`, 5672, with TLS 5671 |
 * | vhost | `/`, written `%2F` where it is named |
 * | `?cacertfile=FILE` | the authorities that Deno trusts |
 * | `?heartbeat=SECONDS` | 5 |
 */
export class BrokerAddress {
  /** Name or IP address, without brackets. */
  readonly host: string;
  /** TCP port. */
  readonly port: number;
  /** Whether the connection is encrypted, and the broker's certificate checked. */
  readonly tls: boolean;
  /** Who we are. */
  readonly user: string;
  /** The virtual host: brokers keep what is in one apart from all others. */
  readonly vhost: string;
  /** Seconds. */
  readonly heartbeatS: number;
  /** A file with certificates in PEM form that the broker's may be signed by; undefined for those that Deno trusts. */
  readonly authorityFile: string | undefined;
  readonly #password: string;

  /**
   * Reads an URL.
   *
   * @param url As above. What is no letter, digit or one of `-._~` in user, password and vhost is written in percent-encoding.
   * @throws {UsageError} If it is no such URL. Nothing of it is in the message, for the sake of the password.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   *
   * const address = new BrokerAddress("amqps://ana:s3cr%3Ft@mq.example.org/orders?heartbeat=10");
   * assertEquals([address.host, address.port, address.vhost, address.heartbeatS], ["mq.example.org", 5671, "orders", 10]);
   * assertEquals(address.password(), "s3cr?t");
   * assertEquals(`${address}`, "amqps://mq.example.org:5671/orders");
   * ```
   */
  constructor(url: string) {
    const parsed = parse(url);
    this.tls = parsed.protocol === "amqps:";
    this.host = decode(parsed.hostname, "host").replace(/^\[(.*)\]$/, "$1") || "localhost";
    this.port = parsed.port === "" ? PORTS[parsed.protocol]! : Number(parsed.port);
    if (this.port === 0) throw wrong("its port must be from 1 to 65535");
    this.user = decode(parsed.username, "user") || "guest";
    this.#password = parsed.username === "" && parsed.password === ""
      ? "guest"
      : decode(parsed.password, "password");
    const segments = parsed.pathname.split("/").slice(1);
    if (segments.length > 1) {
      throw wrong("a slash in the name of its vhost, or in its password, must be written %2F");
    }
    const vhost = segments[0] ?? "";
    if (vhost.includes("@")) {
      throw wrong(
        "a slash in its user or password must be written %2F, and an @ in the name of its vhost %40",
      );
    }
    this.vhost = decode(vhost, "vhost") || "/";
    if (parsed.hash !== "") throw wrong("a # in its password must be written %23");
    const { heartbeatS, authorityFile } = parameters(parsed.searchParams, this.tls);
    this.heartbeatS = heartbeatS;
    this.authorityFile = authorityFile;
  }

  /** The password. A function, so that nothing shows it that shows what an object holds. */
  password(): string {
    return this.#password;
  }

  /** Host and port, as messages name them. */
  get hostAndPort(): string {
    return `${this.host.includes(":") ? `[${this.host}]` : this.host}:${this.port}`;
  }

  /** The URL without user, password and parameters: what tells one broker and vhost from another. */
  toString(): string {
    const vhost = this.vhost === "/" ? "" : `/${encodeURIComponent(this.vhost)}`;
    return `${this.tls ? "amqps" : "amqp"}://${this.hostAndPort}${vhost}`;
  }
}

function parse(url: string): URL {
  const parsed = URL.parse(url);
  if (parsed === null) {
    throw wrong(`it must have the form ${FORM}, with what is special in a part percent-encoded`);
  }
  if (Object.hasOwn(PORTS, parsed.protocol)) return parsed;
  throw wrong(`it must begin with amqp:// or amqps://`);
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong(`a % in its ${part} must be written %25`);
  }
}

function parameters(
  given: URLSearchParams,
  tls: boolean,
): { heartbeatS: number; authorityFile: string | undefined } {
  let heartbeatS = DEFAULT_HEARTBEAT_S;
  let authorityFile: string | undefined;
  for (const [name, value] of given) {
    if (name === "heartbeat") {
      heartbeatS = Number(value);
      if (!(/^\d+$/.test(value) && heartbeatS >= 1 && heartbeatS <= LONGEST_HEARTBEAT_S)) {
        throw wrong(`'heartbeat' must be from 1 to ${LONGEST_HEARTBEAT_S} seconds: received '${value}'`);
      }
    } else if (name === "cacertfile") {
      if (!tls) throw wrong("'cacertfile' is for amqps:// only");
      authorityFile = value;
    } else throw wrong("of its parameters only 'heartbeat' and 'cacertfile' are known");
  }
  return { heartbeatS, authorityFile };
}

function wrong(problem: string): UsageError {
  return new UsageError(`cannot use the amqp URL as ${problem}`);
}
