/**
 * The time that processes of one machine agree on, whatever is done to the wall clock: how long the machine has been up.
 *
 * @module
 */

import { SystemError } from "../errors.ts";

/** Milliseconds since the machine was started, to 10 ms. Times of before the last start are kept with {@link bootId}. */
export function uptimeMs(): number {
  if (Deno.build.os !== "linux") return Math.round(Deno.osUptime() * 1_000);
  return Math.round(Number.parseFloat(read("/proc/uptime")) * 1_000);
}

/** Names this start of the machine: another one after each reboot. */
export function bootId(): string {
  if (Deno.build.os === "linux") return read("/proc/sys/kernel/random/boot_id").trim();
  // The wall clock at the start, to ten minutes: what it is corrected by is less.
  return String(Math.round((Date.now() / 1_000 - Deno.osUptime()) / 600));
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new SystemError(`cannot read ${path}, which tells the machine's time: mount /proc`, {
      cause: error,
    });
  }
}
