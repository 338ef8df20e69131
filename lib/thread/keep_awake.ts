/**
 * Keeps the event loop of this thread turning while `Atomics.waitAsync` is under way. To Deno such a wait is nothing: it would end the
 * program, and before 2.5 a notification alone does not wake the loop (denoland/deno#15358).
 *
 * @module
 */

const FIRST_TICK_MS = 1;
const LAST_TICK_MS = 10;

let waits = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let tickMs = FIRST_TICK_MS;

/** A wait begins. */
export function keepAwake(): void {
  waits += 1;
  // A new wait may be over soon: look often at first, then less and less often.
  tickMs = FIRST_TICK_MS;
  if (waits === 1) tick();
}

/** A wait is over. */
export function letSleep(): void {
  waits -= 1;
  if (waits === 0) clearTimeout(timer);
}

function tick(): void {
  timer = setTimeout(() => {
    tickMs = Math.min(tickMs * 1.1, LAST_TICK_MS);
    tick();
  }, tickMs);
}
