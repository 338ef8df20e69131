/**
 * What is wrong with a broker, in our words. Errors of the client have a code: that of AMQP 0-9-1 (its specification, section 1.1.2),
 * of the system, or of TLS.
 *
 * @module
 */

import { type ConcError, SystemError, TimeoutError } from "../errors.ts";
import { formatDuration } from "../time/duration.ts";
import type { BrokerAddress } from "./address.ts";

/** Codes of the errors that a broker answers with, and of the client's own. */
export type BrokerErrorCode =
  | "NOT_FOUND"
  | "UNAVAILABLE"
  | "RESOURCE_LOCKED"
  | "PRECONDITION_FAILED"
  | "ACCESS_REFUSED"
  | "NACK"
  | "CH_CLOSE";

/** What another program than a broker says first, if anything. */
export class NoBrokerError extends Error {
  /** The first byte that it sent. */
  readonly firstByte: number;

  constructor(firstByte: number) {
    super("what answers speaks no AMQP");
    this.firstByte = firstByte;
  }
}

/** What we asked for is there, but cannot be used yet, or at the moment: the broker has just started, or lost nodes. */
export class UnavailableError extends SystemError {}

const TLS_ALERT = 0x15;

/** Whether an error of a channel has a code. */
export function hasCode(error: unknown, code: BrokerErrorCode): boolean {
  return codeOf(error) === code;
}

/** Whether what we throw for an error of a channel has a code. */
export function isBecause(error: unknown, code: BrokerErrorCode): boolean {
  return error instanceof Error && hasCode(error.cause, code);
}

/**
 * Why there is no connection.
 *
 * @param error What the client said.
 * @param address Whom we called.
 */
export function connectError(error: unknown, address: BrokerAddress): SystemError {
  return new SystemError(
    `cannot use the broker at ${address.hostAndPort}: ${connectProblem(error, address)}`,
    { cause: error },
  );
}

/** Why a connection that there was is gone. */
export function lostError(error: unknown, address: BrokerAddress): SystemError {
  const problem = codeOf(error) === "CONNECTION_FORCED"
    ? "it shut down, or an operator closed the connection"
    : text(error);
  return new SystemError(`lost the connection to the broker at ${address.hostAndPort}: ${problem}`, {
    cause: error,
  });
}

/**
 * Why a broker did not do what it was asked to. What is conc's own error already stays what it is.
 *
 * @param error What the client said.
 * @param what `address`: whom we asked; `object`: what it was about, such as `queue 'jobs'`.
 */
export function requestError(
  error: unknown,
  { address, object }: { address: BrokerAddress; object: string },
): ConcError {
  if (error instanceof SystemError || error instanceof TimeoutError) return error;
  if (hasCode(error, "UNAVAILABLE")) {
    return new UnavailableError(
      `cannot use ${object} at ${address.hostAndPort}: the broker has not got it up: try again, or look at its nodes`,
      { cause: error },
    );
  }
  const problems: Readonly<Record<string, string>> = {
    PRECONDITION_FAILED: preconditionProblem(error),
    ACCESS_REFUSED:
      `user '${address.user}' may not do that in vhost '${address.vhost}': grant the permission`,
    NOT_FOUND: "it is not there: it was deleted, or never made",
    RESOURCE_LOCKED: "another connection has it for itself: try again",
    NACK: "the broker did not take it: it is full, or out of disk",
  };
  const problem = problems[codeOf(error)] ?? text(error);
  return new SystemError(`cannot use ${object} at ${address.hostAndPort}: ${problem}`, { cause: error });
}

/** That nothing came in time. */
export function silentError(address: BrokerAddress, limitMs: number): SystemError {
  return new SystemError(
    `cannot use the broker at ${address.hostAndPort}: no answer within ${formatDuration(limitMs)}: ` +
      "check the address, the network, and that it is a broker",
  );
}

function connectProblem(error: unknown, { user, vhost, tls }: BrokerAddress): string {
  const other = tls ? "amqp:// if it is one without TLS" : "amqps:// if it is one with TLS";
  if (error instanceof NoBrokerError) {
    return error.firstByte === TLS_ALERT && !tls
      ? "it wants TLS: use amqps://"
      : "what listens there is no AMQP broker: check the port";
  }
  const message = text(error);
  switch (codeOf(error)) {
    case "ECONNREFUSED":
      return "nothing listens there: start it, or correct the address";
    case "ENOTFOUND":
      return "its host is not known: correct the name";
    case "ACCESS_REFUSED":
      return `it refuses user '${user}' with that password: correct them, or add the user`;
    case "NOT_ALLOWED":
      return /not found/.test(message)
        ? `it has no vhost '${vhost}': add it, or name another`
        : `user '${user}' may not use vhost '${vhost}': grant the permission`;
    case "VERSION_MISMATCH":
      return "it does not speak AMQP 0-9-1: check the port, and its plugins";
    case "CONN_CLOSE":
    case "ECONNRESET":
      return `it hung up without a word of AMQP: check the port, and use ${other}`;
  }
  if (/corrupt message|wrong version number/i.test(message)) {
    return `it does not speak TLS: check the port, and use ${other}`;
  }
  if (/certificate|self[- ]signed|issuer|altname/i.test(message)) {
    return `its certificate is not trusted: ${message}: name the authority's file with ?cacertfile=FILE`;
  }
  return message;
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error && "code" in error)) return "";
  const said = NOT_UP[String(error.code)];
  return said?.test(error.message) ? "UNAVAILABLE" : String(error.code);
}

/** What a broker says of a queue or a stream that is there, but whose node has just started, or is down. */
const NOT_UP: Readonly<Record<string, RegExp>> = {
  NOT_FOUND: /is down or inaccessible|stopped by supervisor/,
  PRECONDITION_FAILED: /does not have a (running )?replica on the local node/,
};

/** A code with many meanings: a queue is declared with other properties, what was delivered is settled twice, or not in time. */
function preconditionProblem(error: unknown): string {
  const said = text(error).replace(/^.*PRECONDITION_FAILED - /, "");
  if (/^inequivalent/.test(said)) {
    const difference = said.replace(/ for queue '.*?' in vhost '.*?'/, "");
    return `it exists with other properties: ${difference}: delete it, or use another name`;
  }
  if (/acknowledgement .*timed out/.test(said)) {
    return "it was held longer than the broker allows: raise its consumer_timeout";
  }
  return said;
}

function text(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^(undefined|\w+): (?=[A-Z_]+ - )/, "").replace(/\n.*/s, "").replace(/\.$/, "");
}
