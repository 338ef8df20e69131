/**
 * Why a server cannot listen, and what to do about it.
 *
 * @module
 */

import { reason, SystemError } from "../errors.ts";
import { type Endpoint, formatEndpoint } from "./address.ts";

/**
 * The error of a server that cannot listen.
 *
 * @param error What the runtime threw.
 * @param endpoint Where it was to listen.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const error = listenError(new Deno.errors.AddrInUse("…"), { hostname: "127.0.0.1", port: 53 });
 * assertEquals(
 *   error.message,
 *   "cannot listen on 127.0.0.1:53: the port is in use: choose another, or 0 for one that is free",
 * );
 * ```
 */
export function listenError(error: unknown, endpoint: Endpoint): SystemError {
  const where = formatEndpoint(endpoint);
  return new SystemError(`cannot listen on ${where}: ${problem(error)}`, { cause: error });
}

function problem(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) {
    return "the port is in use: choose another, or 0 for one that is free";
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return "a port as low as this is for root: choose another, or 0 for one that is free";
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return "this machine has no such address: choose one of its own, or 0.0.0.0 for all";
  }
  if (/failed to lookup address/i.test(reason(error))) {
    return "unknown host: choose an address of this machine";
  }
  return `${reason(error)}: choose another address of this machine`;
}
