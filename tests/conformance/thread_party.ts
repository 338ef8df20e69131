/**
 * A party that is a Worker.
 *
 * @module
 */

import { ThreadEvent } from "../../lib/thread/event.ts";
import type { ThreadHandle } from "../../lib/thread/handle.ts";
import { ThreadLock } from "../../lib/thread/lock.ts";
import { ThreadQueue } from "../../lib/thread/queue.ts";
import { ThreadSemaphore } from "../../lib/thread/semaphore.ts";
import { party, type PartyReply } from "./party.ts";

const worker = globalThis as unknown as {
  postMessage(reply: PartyReply): void;
  onmessage: (event: MessageEvent) => void;
};

const take = party(
  (reply) => worker.postMessage(reply),
  (handle) => attach(handle as ThreadHandle),
);
worker.onmessage = ({ data }) => take(data);

function attach(handle: ThreadHandle): unknown {
  switch (handle.kind) {
    case "lock":
      return ThreadLock.attach(handle as ThreadHandle<"lock">);
    case "semaphore":
      return ThreadSemaphore.attach(handle as ThreadHandle<"semaphore">);
    case "event":
      return ThreadEvent.attach(handle as ThreadHandle<"event">);
    default:
      return ThreadQueue.attach(handle as ThreadHandle<"queue">);
  }
}
