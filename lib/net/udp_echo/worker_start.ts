/**
 * What a UDP echo server and its Worker tell each other.
 *
 * @module
 */

import type { Counts } from "./counts.ts";
import type { ReplyOptions, UdpNotice } from "./replies.ts";

/** Whether the Worker is to end: not, when all that came is answered, or now. */
export const STOP = { not: 0, drained: 1, now: 2 } as const;

/** What the Worker is told. */
export interface UdpWorkerStart extends ReplyOptions {
  /** The socket, which is the Worker's until it ends. */
  fd: number;
  hasAllAddresses: boolean;
  counts: Counts;
  /** One number, see {@link STOP}. */
  stop: Int32Array;
  /** How long replies that are held back may take at the end. */
  drainMs: number;
}

/** What the Worker says. */
export type UdpWorkerMessage =
  | { type: "notice"; notice: UdpNotice }
  | { type: "ended" }
  | { type: "failed"; problem: string };
