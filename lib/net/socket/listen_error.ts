/**
 * Why a server cannot listen, and what to do about it.
 *
 * @module
 */

import { reason, SystemError } from "../../errors.ts";
import { type Endpoint, formatEndpoint } from "../address.ts";

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
 *   "cannot listen at 127.0.0.1:53: the port is in use: choose another, or 0 for one that is free",
 * );
 * ```
 */
export function listenError(error: unknown, endpoint: Endpoint): SystemError {
  const where = formatEndpoint(endpoint);
  return new SystemError(`cannot listen at ${where}: ${problem(error)}`, { cause: error });
}

function problem(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) {
    return "the port is in use: choose another, or 0 for one that is free";
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return "this machine has no such address: choose one that it has";
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return "not permitted: ports below 1024 are for root, choose a higher one";
  }
  const text = reason(error);
  if (/failed to lookup address/i.test(text)) return "unknown host: choose a name or address of this machine";
  return `${text}: choose another address or port`;
}
