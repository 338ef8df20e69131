/**
 * A Worker that answers datagrams: it waits in the C library, so that a datagram costs no turn of an event loop, and answers all that have
 * come together. It ends when its server says so, in memory that they share, and wakes it.
 *
 * @module
 */

import { reason } from "../errors.ts";
import { DatagramBatches, type KeptDatagram } from "./udp_batch.ts";
import type { Counts } from "./udp_counts.ts";
import { Replies, type ReplyOptions, type UdpNotice } from "./udp_replies.ts";

/** What the Worker is told. */
export interface UdpWorkerStart extends ReplyOptions {
  fd: number;
  hasAllAddresses: boolean;
  counts: Counts;
  /** Its one number is not 0 once the Worker is to end. */
  stop: Int32Array;
  /** How long replies that are held back may take at the end. */
  drainMs: number;
}

/** What the Worker says. */
export type UdpWorkerMessage =
  | { type: "notice"; notice: UdpNotice }
  | { type: "ended" }
  | { type: "failed"; problem: string };

/** How long what has come is answered at the end, if it does not cease to come. */
const LAST_RECEIVE_MS = 1_000;

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<UdpWorkerStart>) => void;
  postMessage(message: UdpWorkerMessage): void;
};

scope.onmessage = ({ data }) => {
  try {
    run(data);
    scope.postMessage({ type: "ended" });
  } catch (error) {
    scope.postMessage({ type: "failed", problem: reason(error) });
  }
};

function run(start: UdpWorkerStart): void {
  const datagrams = new DatagramBatches(start.fd, start);
  const noticed = (notice: UdpNotice) => scope.postMessage({ type: "notice", notice });
  const replies = new Replies(datagrams, { ...start, noticed });
  while (Atomics.load(start.stop, 0) === 0) serve(datagrams, replies);
  drain(start, { datagrams, replies });
}

/** Waits for datagrams, or for replies to be due, and sends what is to be sent. */
function serve(datagrams: DatagramBatches, replies: Replies<KeptDatagram>): void {
  const { nextDueMs } = replies;
  if (nextDueMs < Infinity) {
    const waitMs = nextDueMs - performance.now();
    if (waitMs > 0) datagrams.wait(waitMs);
  }
  answer(datagrams, { replies, waits: nextDueMs === Infinity });
}

/** Answers what has come. Returns how much that was. */
function answer(
  datagrams: DatagramBatches,
  { replies, waits }: { replies: Replies<KeptDatagram>; waits: boolean },
): number {
  const size = datagrams.receive({ waits });
  const nowMs = performance.now();
  for (let slot = 0; slot < size; slot++) replies.take(slot, nowMs);
  replies.release(nowMs);
  datagrams.flush();
  return size;
}

/** Answers what has come by now, and sends what is held back when it is due, or at the limit. */
function drain(
  { stop, drainMs }: UdpWorkerStart,
  { datagrams, replies }: { datagrams: DatagramBatches; replies: Replies<KeptDatagram> },
): void {
  const startMs = performance.now();
  const lastMs = startMs + Math.min(LAST_RECEIVE_MS, drainMs);
  while (answer(datagrams, { replies, waits: false }) > 0 && performance.now() < lastMs);
  const limitMs = startMs + drainMs;
  for (let nowMs = performance.now(); replies.nextDueMs < Infinity; nowMs = performance.now()) {
    if (nowMs >= limitMs) replies.releaseAll();
    else if (replies.nextDueMs <= nowMs) replies.release(nowMs);
    else Atomics.wait(stop, 0, 1, Math.min(replies.nextDueMs, limitMs) - nowMs);
  }
  datagrams.flush();
}
