/**
 * From the name of a host to an address.
 *
 * @module
 */

import { lookup } from "node:dns/promises";
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
export async function resolve(hostname: string): Promise<string> {
  try {
    return (await lookup(hostname)).address;
  } catch (error) {
    const isTemporary = (error as { code?: string }).code === "EAI_AGAIN";
    throw new ConnectionError(
      isTemporary ? "the name of the host cannot be looked up now" : "unknown host",
      { cause: error },
    );
  }
}
