/**
 * Many TCP connections, or Unix sockets, for a bench.
 *
 * @module
 */

import type { BenchPlan, Links } from "./loop.ts";
import { Messages } from "./message.ts";
import type { Tally } from "./tally.ts";
import { BROKEN, NOTHING_YET, type SocketEvent, type Sockets } from "../socket/sockets.ts";
import { StreamFlow } from "./stream_flow.ts";

/** More would overflow the backlog of many servers, whose clients then try again only after a second. */
const CONNECTING_AT_ONCE = 100;
const FIRST_BACKOFF_MS = 10;
const LONGEST_BACKOFF_MS = 1_000;

type State = "closed" | "connecting" | "open";

interface Link {
  state: State;
  flow: StreamFlow;
  /** What is sent, and how much of it was. */
  bytes: Uint8Array<ArrayBuffer>;
  sent: number;
  /** When to connect anew if it is closed; until when it must be connected if it is connecting. */
  dueMs: number;
  backoffMs: number;
  isNew: boolean;
}

/** The connections. Invariant: a connection that fails is made anew after a pause, which grows from 10 ms to a second. */
export class StreamLinks implements Links {
  onReady: (slot: number) => void = () => {};
  /** How many have never been made, nor failed. */
  connecting: number;
  readonly #links: Link[];
  readonly #sockets: Sockets;
  readonly #tally: Tally;
  readonly #plan: BenchPlan;
  #underWay = 0;
  /** All connections before this one have been made, or have failed. */
  #unopened = 0;

  constructor(plan: BenchPlan, { sockets, tally }: { sockets: Sockets; tally: Tally }) {
    this.#plan = plan;
    this.#sockets = sockets;
    this.#tally = tally;
    this.connecting = plan.connections;
    this.#links = Array.from({ length: plan.connections }, (_, connection) => ({
      state: "closed",
      flow: new StreamFlow(new Messages(plan, connection), { ...plan, tally }),
      bytes: new Uint8Array(),
      sent: 0,
      dueMs: -Infinity,
      backoffMs: FIRST_BACKOFF_MS,
      isNew: true,
    }));
  }

  keep(nowMs: number): void {
    for (const [slot, link] of this.#links.entries()) {
      if (link.state === "open") {
        if (link.flow.expire(nowMs)) this.#close(slot, nowMs);
      } else if (nowMs >= link.dueMs) {
        if (link.state === "connecting") this.#fail(slot, { reason: "connection timed out", nowMs });
        else if (this.#underWay < CONNECTING_AT_ONCE) this.#open(slot, nowMs);
      }
    }
  }

  handle({ slot, canSend, canReceive }: SocketEvent, nowMs: number): void {
    const link = this.#links[slot]!;
    // It was closed by what happened in the same turn.
    if (link.state === "closed") return;
    if (link.state === "connecting") return this.#connected(slot, nowMs);
    if (canSend && link.sent < link.bytes.length) this.#push(slot, nowMs);
    if (canReceive && link.state === "open") this.#pull(slot, nowMs);
  }

  canSend(slot: number): boolean {
    const { state, flow } = this.#links[slot]!;
    return state === "open" && !flow.isWaiting;
  }

  send(slot: number, { nowMs, intendedMs }: { nowMs: number; intendedMs: number }): void {
    const link = this.#links[slot]!;
    link.bytes = link.flow.next(nowMs, intendedMs);
    link.sent = 0;
    this.#push(slot, nowMs);
  }

  isWaiting(): boolean {
    return this.#links.some(({ flow }) => flow.isWaiting);
  }

  #open(slot: number, nowMs: number): void {
    const link = this.#links[slot]!;
    if (!this.#sockets.open(slot)) return this.#fail(slot, { reason: this.#sockets.reason, nowMs });
    link.state = "connecting";
    link.dueMs = nowMs + this.#plan.timeoutMs;
    this.#underWay += 1;
  }

  #connected(slot: number, nowMs: number): void {
    const link = this.#links[slot]!;
    if (!this.#sockets.isConnected(slot)) return this.#fail(slot, { reason: this.#sockets.reason, nowMs });
    link.state = "open";
    link.bytes = new Uint8Array();
    this.#underWay -= 1;
    this.#settle(link);
    this.#sockets.watchSending(slot, false);
    this.onReady(slot);
    // One that waits for its turn need not wait for the next look at all of them.
    if (this.connecting > 0) this.#openNext(nowMs);
  }

  #openNext(nowMs: number): void {
    while (this.#links[this.#unopened]?.isNew === false) this.#unopened += 1;
    for (let slot = this.#unopened; slot < this.#links.length; slot++) {
      const { state, isNew } = this.#links[slot]!;
      if (state === "closed" && isNew) return this.#open(slot, nowMs);
    }
  }

  /** Sends what is left of the request; the rest goes when there is room. */
  #push(slot: number, nowMs: number): void {
    const link = this.#links[slot]!;
    const wasBlocked = link.sent > 0 && link.sent < link.bytes.length;
    const sent = this.#sockets.send(slot, link.bytes, link.sent);
    if (sent === BROKEN) return this.#break(slot, { reason: this.#sockets.reason, nowMs });
    if (sent !== NOTHING_YET) link.sent += sent;
    const isBlocked = link.sent < link.bytes.length;
    if (isBlocked || wasBlocked) this.#sockets.watchSending(slot, isBlocked);
  }

  #pull(slot: number, nowMs: number): void {
    const link = this.#links[slot]!;
    const { flow } = link;
    const received = this.#sockets.receive(slot, flow.reply, flow.received);
    if (received === NOTHING_YET) return;
    if (received === BROKEN) return this.#break(slot, { reason: this.#sockets.reason, nowMs });
    if (received === 0) return this.#break(slot, { reason: "it closed the connection", nowMs });
    const progress = flow.take(received, nowMs);
    if (progress === "broken") return this.#close(slot, nowMs);
    if (progress === "waiting") return;
    link.backoffMs = FIRST_BACKOFF_MS;
    this.onReady(slot);
  }

  /** A connection could not be made. */
  #fail(slot: number, { reason, nowMs }: { reason: string; nowMs: number }): void {
    const link = this.#links[slot]!;
    if (link.state === "connecting") this.#underWay -= 1;
    this.#settle(link);
    this.#tally.error(reason);
    this.#sockets.reason = reason;
    this.#close(slot, nowMs);
  }

  /** A connection broke. */
  #break(slot: number, { reason, nowMs }: { reason: string; nowMs: number }): void {
    this.#links[slot]!.flow.cut(reason);
    this.#close(slot, nowMs);
  }

  #close(slot: number, nowMs: number): void {
    const link = this.#links[slot]!;
    this.#sockets.close(slot);
    link.state = "closed";
    link.dueMs = nowMs + link.backoffMs;
    link.backoffMs = Math.min(2 * link.backoffMs, LONGEST_BACKOFF_MS);
  }

  #settle(link: Link): void {
    if (link.isNew) this.connecting -= 1;
    link.isNew = false;
  }
}
