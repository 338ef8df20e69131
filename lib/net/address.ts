/**
 * Where a server is: a host and a port, or the path of a Unix socket.
 *
 * @module
 */

import { UsageError } from "../errors.ts";

const HIGHEST_PORT = 65_535;

/** Where a TCP or UDP server is. */
export interface Address {
  /** A name, or an IP address without brackets. */
  hostname: string;
  port: number;
}

/** Where a stream server is. */
export type Endpoint = Address | {
  /** A Unix socket. */
  path: string;
};

/**
 * Reads `HOST:PORT`; an IPv6 address stands in brackets. The slashes of a URL may stand before it.
 *
 * @param text What was typed.
 * @param lowestPort 1, or 0 for a server, which then gets a free port. Default 1.
 * @throws {UsageError} If it is none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseAddress("[::1]:7"), { hostname: "::1", port: 7 });
 * ```
 */
export function parseAddress(text: string, lowestPort = 1): Address {
  const [, ipv6, name, digits = ""] =
    /^(?:\/\/)?(?:\[([\da-f:.]+(?:%[\w.-]+)?)\]|([^:[\]/\s]+)):(.*)$/is.exec(text) ??
      [];
  const hostname = ipv6 ?? name;
  if (hostname === undefined) {
    throw new UsageError(`an address must be HOST:PORT, an IPv6 address in brackets: received '${text}'`);
  }
  return { hostname, port: parsePort(digits, lowestPort) };
}

/**
 * Reads `HOST:PORT`, or `unix:PATH`.
 *
 * @param text What was typed.
 * @throws {UsageError} If it is neither.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseEndpoint("unix:/run/echo.sock"), { path: "/run/echo.sock" });
 * ```
 */
export function parseEndpoint(text: string): Endpoint {
  const path = /^unix:(.*)$/is.exec(text)?.[1];
  if (path === undefined) return parseAddress(text);
  if (path === "") throw new UsageError("a Unix socket must be unix:PATH: the path is missing");
  return { path };
}

/**
 * Reads the number of a port.
 *
 * @param text What was typed.
 * @param lowest 1, or 0 for a server, which then gets a free port.
 * @throws {UsageError} If it is none.
 */
export function parsePort(text: string, lowest = 1): number {
  const port = /^\d+$/.test(text) ? Number(text) : NaN;
  if (port >= lowest && port <= HIGHEST_PORT) return port;
  throw new UsageError(`a port must be from ${lowest} to ${HIGHEST_PORT}: received '${text}'`);
}

/**
 * The text that {@link parseEndpoint} reads as the same.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(formatEndpoint({ hostname: "::1", port: 7 }), "[::1]:7");
 * ```
 */
export function formatEndpoint(endpoint: Endpoint): string {
  if ("path" in endpoint) return `unix:${endpoint.path}`;
  const { hostname, port } = endpoint;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/**
 * The addresses that a host's name stands for, as far as we know without asking: `localhost` is both 127.0.0.1 and ::1.
 * Older runtimes try only the first address of a name, which need not be the one where the server is.
 */
export function addressesOf(hostname: string): readonly string[] {
  return /^localhost\.?$/i.test(hostname) ? ["127.0.0.1", "::1"] : [hostname];
}
