/**
 * The flags of clients that can encrypt.
 *
 * @module
 */

import type { FlagParametersForType } from "@stricli/core";
import { reason, UsageError } from "../lib/errors.ts";
import type { Endpoint } from "../lib/net/address.ts";
import type { TlsOptions } from "../lib/net/tcp_client.ts";

/** Flags of everything that connects to a TCP server. */
export type TlsFlags = { tls: boolean; ca?: string };

/** The declarations of {@link TlsFlags}. */
export const TLS_FLAGS: FlagParametersForType<TlsFlags, never> = {
  tls: { kind: "boolean", default: false, withNegated: false, brief: "Encrypt the connection" },
  ca: {
    kind: "parsed",
    parse: String,
    optional: true,
    placeholder: "FILE",
    brief: "With --tls: trust the certificates in FILE (PEM), too",
  },
};

/**
 * What the flags say of TLS; undefined if there is none.
 *
 * @throws {UsageError} If the certificates cannot be read, or there can be no TLS.
 */
export async function tlsOptions({ tls, ca }: TlsFlags, endpoint: Endpoint): Promise<TlsOptions | undefined> {
  if (!tls && ca !== undefined) throw new UsageError("cannot use --ca without --tls: add --tls");
  if (!tls) return undefined;
  if ("path" in endpoint) throw new UsageError("cannot encrypt a Unix socket: leave out --tls");
  if (ca === undefined) return {};
  let text: string;
  try {
    text = await Deno.readTextFile(ca);
  } catch (error) {
    throw new UsageError(`cannot read the certificates in '${ca}': ${reason(error)}`, { cause: error });
  }
  if (!text.includes("-----BEGIN CERTIFICATE-----")) {
    throw new UsageError(`cannot use '${ca}' as there is no certificate in it: it must be PEM`);
  }
  return { caCerts: [text] };
}
