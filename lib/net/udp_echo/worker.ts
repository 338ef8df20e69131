/**
 * A Worker that answers datagrams: it waits in the C library, so that a datagram costs no turn of an event loop, and answers all that have
 * come together. It ends when its server says so, in memory that they share, and wakes it.
 *
 * @module
 */

import { reason } from "../../errors.ts";
import { DatagramBatches, type KeptDatagram } from "./batches.ts";
import { Replies, type UdpNotice } from "./replies.ts";
import { STOP, type UdpWorkerMessage, type UdpWorkerStart } from "./worker_start.ts";

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
  const notice = (notice: UdpNotice) => scope.postMessage({ type: "notice", notice });
  const replies = new Replies(datagrams, { ...start, notice });
  while (Atomics.load(start.stop, 0) === STOP.not) serve(datagrams, replies);
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
  for (let slot = 0; slot < size; slot++) {
    if (datagrams.isFilled(slot)) replies.take(slot, nowMs);
  }
  replies.release(nowMs);
  datagrams.flush();
  return size;
}

/** Answers what has come by now, and sends what is held back when it is due, or at the limit; unless it is to end at once. */
function drain(
  { stop, drainMs }: UdpWorkerStart,
  { datagrams, replies }: { datagrams: DatagramBatches; replies: Replies<KeptDatagram> },
): void {
  const startMs = performance.now();
  const goesOn = (lastMs: number) => performance.now() < lastMs && Atomics.load(stop, 0) === STOP.drained;
  while (answer(datagrams, { replies, waits: false }) > 0 && goesOn(startMs + LAST_RECEIVE_MS));
  const endMs = startMs + drainMs;
  while (replies.nextDueMs < Infinity && goesOn(endMs)) {
    Atomics.wait(stop, 0, STOP.drained, Math.min(replies.nextDueMs, endMs) - performance.now());
    replies.release(performance.now());
  }
  if (Atomics.load(stop, 0) === STOP.drained) replies.releaseAll();
  datagrams.flush();
}
