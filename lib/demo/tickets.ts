/**
 * Selling the last train ticket, the tutorial's lock: buyers look at the stock together, then buy one at a time. Without a lock
 * each buyer's update is lost in the next one's, and one ticket is sold many times.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { Awaitable, Lock } from "../primitives.ts";
import { seededRandom } from "../random.ts";
import type { DurationRange } from "../time/duration.ts";
import type { Tell } from "./tell.ts";

/** How many tickets are left, in something that the buyers share. Reading and writing are two steps: that is the point. */
export interface Stock {
  read(): Awaitable<number>;
  write(left: number): Awaitable<void>;
}

/** What is played. */
export interface TicketsPlan {
  tickets: number;
  /** For each buyer, how many milliseconds lie between looking and writing. */
  delaysMs: number[];
}

/** What came of it. */
export interface TicketsResult {
  /** How many buyers think that they have a ticket. */
  sold: number;
  /** How many tickets the stock has left. */
  left: number;
}

/** What one buyer needs. */
export interface BuyerOptions {
  /** From 1. */
  number: number;
  delayMs: number;
  stock: Stock;
  /** None means that nobody keeps the buyers apart. */
  lock: Lock | undefined;
  /** Resolves when all buyers have looked. */
  allLooked: (signal: AbortSignal) => Promise<unknown>;
  tell: Tell;
  signal: AbortSignal;
}

/** Draws the delays of the buyers. */
export function planTickets(
  { buyers, tickets, delayRange, seed }: {
    buyers: number;
    tickets: number;
    delayRange: DurationRange;
    seed: number;
  },
): TicketsPlan {
  const random = seededRandom(seed);
  const { minMs, maxMs } = delayRange;
  return { tickets, delaysMs: Array.from({ length: buyers }, () => minMs + random() * (maxMs - minMs)) };
}

/**
 * One buyer: looks, waits until all have looked, and buys if there is a ticket left.
 *
 * @returns Whether the buyer got one.
 */
export async function buyTicket(options: BuyerOptions): Promise<boolean> {
  const { number, delayMs, stock, lock, allLooked, tell, signal } = options;
  const who = `buyer ${number}`;
  await tell({ who, step: "sees", left: await stock.read() });
  await allLooked(signal);
  using _lease = await lock?.acquire({ signal });
  const left = await stock.read();
  if (left === 0) {
    await tell({ who, step: "finds none", left });
    return false;
  }
  await delay(delayMs, { signal });
  await stock.write(left - 1);
  await tell({ who, step: "buys", left: left - 1 });
  return true;
}
