/**
 * An item as a message, and back.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Envelope, MessageBody, SyncMessage } from "rabbitmq-client";
import { UsageError } from "../errors.ts";
import type { Delivered } from "./inbox.ts";

/** The range of priorities: a broker sets up something for each. */
export const LOWEST_PRIORITY = -16;
export const HIGHEST_PRIORITY = 15;

const PUT_AT = "conc-put-at";
const FAILURES = "conc-failures";
const ERROR = "conc-error";

/** What a message says of an item. */
export interface ItemRecord {
  bytes: Uint8Array;
  priority: number;
  /** How often work on it has failed. */
  failures: number;
  /** What it failed with last, for people. */
  error?: string;
  /** Milliseconds since the epoch. */
  putAt: number;
}

/**
 * Throws unless a broker can put an item like this.
 *
 * @throws {RangeError} If `priority` is NaN, or `delayMs` is negative, NaN or infinite.
 * @throws {UsageError} If there is a key, or the priority is none of those that a broker has.
 */
export function checkForBroker(
  { priority, delayMs, dedup, isOrdered }: {
    priority?: number;
    delayMs?: number;
    dedup?: unknown;
    isOrdered: boolean;
  },
): void {
  if (priority !== undefined && Number.isNaN(priority)) {
    throw new RangeError("cannot put as 'priority' must be a number: received NaN");
  }
  if (delayMs !== undefined && !(delayMs >= 0 && delayMs < Infinity)) {
    throw new RangeError(`cannot put as 'delayMs' must be 0 or more: received ${delayMs}`);
  }
  if (dedup !== undefined) {
    throw new UsageError(
      "cannot put with a key at a broker as it does not compare items: leave out --dedup, or name a file with --store",
    );
  }
  if (!isOrdered || priority === undefined) return;
  if (!Number.isInteger(priority) || priority < LOWEST_PRIORITY || priority > HIGHEST_PRIORITY) {
    throw new UsageError(
      `cannot put as 'priority' must be a whole number from ${LOWEST_PRIORITY} to ${HIGHEST_PRIORITY} at a broker: ` +
        `received ${priority}`,
    );
  }
}

/** What goes around an item on its way to the broker. Brokers hand out the largest priority first, we the smallest. */
export function envelopeOf(
  { priority, failures, error, putAt }: Omit<ItemRecord, "bytes">,
): Omit<Envelope, "messageId"> {
  return {
    priority: HIGHEST_PRIORITY - Math.trunc(priority),
    headers: {
      [PUT_AT]: putAt,
      ...(failures > 0 && { [FAILURES]: failures }),
      ...(error !== undefined && { [ERROR]: error }),
    },
  };
}

/** What a message says. One that somebody else put there, with another program, is an item, too. */
export function readItem({ body, priority, headers = {} }: Delivered | SyncMessage): ItemRecord {
  const error = headers[ERROR];
  return {
    bytes: bytesOf(body),
    priority: HIGHEST_PRIORITY - (priority ?? HIGHEST_PRIORITY),
    failures: Number(headers[FAILURES] ?? 0),
    ...(typeof error === "string" && { error }),
    putAt: Number(headers[PUT_AT] ?? 0),
  };
}

/** How often a message was given back, by whomever and why ever. Classic queues do not count. */
export function returnsOf({ headers }: Delivered | SyncMessage): number {
  return Number(headers?.["x-acquired-count"] ?? headers?.["x-delivery-count"] ?? 0);
}

function bytesOf(body: MessageBody): Uint8Array {
  if (Buffer.isBuffer(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  return new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
}
