/**
 * From the name of a host to an address.
 *
 * @module
 */

import { lookup } from "node:dns";
import { ConnectionError } from "../errors.ts";

/**
 * The first address of a host, as the system knows it (getaddrinfo(3)).
 *
 * @param hostname A name, or an IP address, which is returned as it is.
 * @throws {ConnectionError} If there is none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await resolve("::1"), "::1");
 * ```
 */
export function resolve(hostname: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // Not the one of node:dns/promises, which before Deno 2.5 writes a warning of its own to stderr.
    lookup(hostname, (error, address) => {
      if (error === null) return resolve(address);
      const isTemporary = error.code === "EAI_AGAIN";
      const what = isTemporary ? "the name of the host cannot be looked up now" : "unknown host";
      reject(new ConnectionError(what, { cause: error }));
    });
  });
}
