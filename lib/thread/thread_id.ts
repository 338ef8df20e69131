/**
 * Who a thread is. JavaScript gives threads no identity: a Worker of a pool is given one by its pool, every other thread draws its own.
 *
 * @module
 */

/** Where a pool leaves the number for the modules of a Worker, before any of them is loaded. */
export const THREAD_ID_KEY = "conc.threadId";

const given = (globalThis as unknown as Record<symbol, number | undefined>)[Symbol.for(THREAD_ID_KEY)];

/** This thread's number: the same in all modules of the thread, and in no other thread. Not 0. */
export const threadId: number = given ?? drawThreadId();

/** A number for a thread: 31 bits by chance. Among a thousand threads two are the same once in four thousand programs. */
export function drawThreadId(): number {
  const [bits = 0] = crypto.getRandomValues(new Uint32Array(1));
  return (bits >>> 1) || 1;
}
