/**
 * Who a thread is. JavaScript gives threads no identity, so each draws one when it first needs it.
 *
 * @module
 */

/** This thread's number: the same in all modules of the thread, and in no other thread. Not 0. */
export const threadId: number = drawId();

/** 31 bits by chance: among a thousand threads two are the same once in four thousand programs. */
function drawId(): number {
  const [bits = 0] = crypto.getRandomValues(new Uint32Array(1));
  return (bits >>> 1) || 1;
}
