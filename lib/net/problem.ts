/**
 * Why a connection failed, in few words.
 *
 * @module
 */

import { reason } from "../errors.ts";

/** What goes wrong, as the runtime says it, and in our words. */
const PROBLEMS: readonly [RegExp, string][] = [
  [/temporary failure in name resolution/i, "the name of the host cannot be looked up now"],
  [/failed to lookup address|dns error/i, "unknown host"],
  [/connection refused/i, "connection refused"],
  [/invalid peer certificate: .*expired/i, "the certificate has expired"],
  [/invalid peer certificate: .*name/i, "the certificate is for another name"],
  [
    /CaUsedAsEndEntity/i,
    "the certificate is one of an authority (CA:TRUE): a server needs one with CA:FALSE",
  ],
  [/invalid peer certificate/i, "the certificate is not trusted"],
  [/InvalidContentType|corrupt message|when expecting ServerHello/i, "it does not speak TLS"],
  [/invalid HTTP/i, "it does not speak HTTP"],
  [/closed before message completed|connection reset|unexpected eof|peer closed/i, "it hung up"],
  [/timed out/i, "connection timed out"],
  [/unreachable|no route/i, "there is no route to it"],
  [/no such file/i, "no such file"],
];

/** What went wrong with a connection, for people. */
export function problem(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file";
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const text = inner instanceof Error ? inner.message : String(inner);
  const known = PROBLEMS.find(([pattern]) => pattern.test(text))?.[1];
  // The innermost cause stands last; what comes before it may show the URL, and a password in it.
  return known ?? reason(text.replace(/ \(os error \d+\)/g, "").split(": ").at(-1));
}
