/**
 * Whether a process has exited.
 *
 * @module
 */

import type { Look, Probe } from "../time/poll.ts";
import type { Identity } from "../named.ts";
import { identityOf } from "../process/identity.ts";

/**
 * Makes a probe that holds once a process has exited, or if there is none of that id. A zombie has exited. The process is known by when it
 * started: another one that is given the same id later is not taken for it.
 *
 * @param pid Its process id.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const { signal } = new AbortController();
 * assertEquals(await processProbe(Deno.pid)(signal), { holds: false, seen: "runs" });
 * ```
 */
export function processProbe(pid: number): Probe {
  let first: Identity | undefined;
  return () => {
    const now = identityOf(pid);
    const wasThere = first !== undefined;
    first ??= now;
    const look: Look = now !== undefined && now.started === first?.started
      ? { holds: false, seen: "runs" }
      : { holds: true, seen: wasThere ? "has exited" : "there is no such process" };
    return Promise.resolve(look);
  };
}
