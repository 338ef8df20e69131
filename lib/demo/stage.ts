/**
 * Where a lock demo is played: at which reach its actors are, and what they share.
 *
 * @module
 */

import type { Tell } from "./tell.ts";
import type { TicketsPlan, TicketsResult } from "./tickets.ts";
import type { Wait } from "./wait_graph.ts";

/** Which lock keeps the actors apart. */
export type LockKind = "none" | "lock" | "rlock";

/** What every scenario is given. */
export interface StageOptions {
  lock: LockKind;
  tell: Tell;
  /** Milliseconds until a wait that should not last is given up. */
  timeoutMs: number;
  /** Ends the play. */
  signal: AbortSignal;
}

/** A reach. What a scenario started has ended when its promise settles. */
export interface Stage {
  /** Sells tickets; see `tickets.ts`. */
  sellTickets(plan: TicketsPlan, options: StageOptions): Promise<TicketsResult>;
  /** Makes and breaks a deadlock; returns the circles that were found. See `deadlock.ts`. */
  deadlock(options: StageOptions): Promise<Wait[][]>;
  /** Takes a lock again; returns whether that worked. See `reentrant.ts`. */
  reentrant(options: StageOptions): Promise<boolean>;
}
