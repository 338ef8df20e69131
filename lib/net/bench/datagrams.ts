/**
 * Many UDP sockets for a bench.
 *
 * @module
 */

import { ConnectionError } from "../../errors.ts";
import type { BenchPlan, Links } from "./loop.ts";
import { Messages } from "./message.ts";
import type { Tally } from "./tally.ts";
import { DatagramFlow } from "./datagram_flow.ts";
import { BROKEN, NOTHING_YET, type SocketEvent, type Sockets } from "../socket/sockets.ts";

const LONGEST_DATAGRAM = 65_536;
/** How much is received at a socket before something else has its turn. */
const MOST_AT_ONCE = 1_024;

/** The sockets: each is connected, so that it gets nothing from any other address, and is told when a datagram is refused. */
export class DatagramLinks implements Links {
  onReady: (slot: number) => void = () => {};
  connecting = 0;
  readonly #flows: DatagramFlow[];
  readonly #sockets: Sockets;
  readonly #tally: Tally;
  readonly #buffer = new Uint8Array(LONGEST_DATAGRAM);
  #isOpen = false;

  constructor(plan: BenchPlan, { sockets, tally }: { sockets: Sockets; tally: Tally }) {
    this.#sockets = sockets;
    this.#tally = tally;
    this.#flows = Array.from(
      { length: plan.connections },
      (_, connection) => new DatagramFlow(new Messages(plan, connection), { ...plan, tally }),
    );
  }

  keep(nowMs: number): void {
    if (!this.#isOpen) this.#open();
    for (const [slot, flow] of this.#flows.entries()) {
      // What has come is not lost, though we, who may have been stopped, have not looked at it. Among it are replies to what was sent since.
      for (let i = 0; i < MOST_AT_ONCE && flow.isOverdue(nowMs) && this.#pull(slot, performance.now()); i++);
      flow.expire(nowMs);
      if (flow.hasRoom) this.onReady(slot);
    }
  }

  handle({ slot }: SocketEvent, nowMs: number): void {
    if (this.#pull(slot, nowMs) && this.#flows[slot]!.hasRoom) this.onReady(slot);
  }

  canSend(slot: number): boolean {
    return this.#flows[slot]!.hasRoom;
  }

  /** Where the datagram finds no room, it is lost on the way, as in any other buffer. */
  send(slot: number, { nowMs, intendedMs }: { nowMs: number; intendedMs: number }): void {
    const bytes = this.#flows[slot]!.next(nowMs, intendedMs);
    // A refusal of an earlier one is told here, and this one is not sent.
    if (this.#sockets.send(slot, bytes, 0) === BROKEN) {
      this.#refused();
      this.#sockets.send(slot, bytes, 0);
    }
  }

  isWaiting(): boolean {
    return this.#flows.some((flow) => flow.isWaiting);
  }

  /** Takes a datagram, and says whether there was one. */
  #pull(slot: number, nowMs: number): boolean {
    const received = this.#sockets.receive(slot, this.#buffer, 0);
    if (received === BROKEN) this.#refused();
    if (received === BROKEN || received === NOTHING_YET) return false;
    this.#flows[slot]!.take(this.#buffer, received, nowMs);
    return true;
  }

  #open(): void {
    this.#isOpen = true;
    for (const slot of this.#flows.keys()) {
      if (this.#sockets.open(slot)) continue;
      if (this.#sockets.isShortOfFiles) return;
      throw new ConnectionError(this.#sockets.reason);
    }
  }

  /** The machine says that nobody listens at the port (ICMP), or cannot be reached. The request itself is lost in its time. */
  #refused(): void {
    const { reason } = this.#sockets;
    if (!this.#tally.hasReplies) throw new ConnectionError(reason);
    this.#tally.error(reason);
  }
}
