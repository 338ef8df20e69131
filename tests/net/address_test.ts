/**
 * Addresses, as one types them.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../lib/errors.ts";
import { formatEndpoint, parseAddress, parseEndpoint } from "../../lib/net/address.ts";

Deno.test("parseEndpoint() reads what formatEndpoint() writes", () => {
  for (
    const text of ["localhost:7", "127.0.0.1:65535", "[::1]:8081", "[fe80::1%eth0]:9", "unix:/run/a b.sock"]
  ) {
    assertEquals(formatEndpoint(parseEndpoint(text)), text);
  }
});

Deno.test("parseAddress() takes port 0 for a server only", () => {
  assertEquals(parseAddress("127.0.0.1:0", 0), { hostname: "127.0.0.1", port: 0 });
  assertThrows(() => parseAddress("127.0.0.1:0"), UsageError, "a port must be from 1 to 65535: received '0'");
});

Deno.test("parseEndpoint() refuses what is no address", () => {
  for (const text of ["", "7", ":7", "::1:7", "[::1]", "a b:7", "host:", "host:7x", "host:-1", "unix:"]) {
    assertThrows(() => parseEndpoint(text), UsageError, "must be", text);
  }
});
