/**
 * What a UDP echo server does with each datagram, whatever the datagrams come by: answer it now, later, twice, or not at all.
 *
 * @module
 */

import { BinaryHeap } from "@std/data-structures/binary-heap";
import { type FaultOptions, Faults, hasFaults } from "./faults.ts";
import { type Transform, transform } from "../transform.ts";
import { COUNT, type Counts } from "./counts.ts";

/** Services that answer what they are sent: echo (RFC 862), quote of the day (RFC 865), character generator (RFC 864). */
const ANSWERING_PORTS: readonly number[] = [7, 17, 19];
/** How long a reply waits for one to overtake it. */
const OVERTAKE_LIMIT_MS = 50;
/** How much may be held back. */
const HELD_LIMIT_BYTES = 64 * 2 ** 20;
/** What holding a reply back costs beside its bytes. */
const HELD_EXTRA_BYTES = 256;

/** Something that happened for the first time, and that will only be counted from now on. */
export interface UdpNotice {
  /** `truncated`: a datagram was longer than the buffer; `ignored`: it came from a port that answers. */
  kind: "truncated" | "ignored";
  /** Who sent it: `HOST:PORT`. */
  from: string;
  /** How long it was. */
  sizeBytes: number;
}

/** What is done to the datagrams. */
export interface ReplyOptions {
  /** The server's own port. */
  port: number;
  transform: Transform;
  /** What is received of a datagram. */
  bufferBytes: number;
  faults: FaultOptions | undefined;
}

/** Where datagrams come from, and replies go to. A slot holds a datagram that was received. */
export interface Datagrams<Kept> {
  /** How long it was, also beyond the buffer. */
  sizeBytes(slot: number): number;
  /** What was received of it. */
  bytes(slot: number): Uint8Array<ArrayBuffer>;
  /** The port that it came from. */
  port(slot: number): number;
  /** Who sent it: `HOST:PORT`. */
  sender(slot: number): string;
  /** Sends what is in the slot back, by the next time that the slot is used. */
  reply(slot: number): void;
  /** A copy of what is needed to reply later. */
  keep(slot: number): Kept;
  /** Sends that back, after all replies before. */
  replyKept(kept: Kept): void;
}

/** A reply that is held back. */
interface Held<Kept> {
  kept: Kept;
  sender: string;
  sizeBytes: number;
  copies: number;
  dueMs: number;
  /** Of two that are due at once the first to come is the first to go. */
  order: number;
  isDelayed: boolean;
  /** Whether it is to wait for another to overtake it: `behind` while it does. */
  overtaking: "no" | "later" | "behind" | "done";
}

/**
 * The replies of a server. Invariant: each datagram that is taken is ignored, dropped, or answered once, or twice if it is duplicated; one
 * that is held back is answered when it is due at the latest. A reordered one goes right after the next reply to the same sender, or after
 * 50 ms if there is none.
 */
export class Replies<Kept> {
  readonly #datagrams: Datagrams<Kept>;
  readonly #counts: Counts;
  readonly #transform: Transform;
  readonly #bufferBytes: number;
  readonly #ignoredPorts: readonly number[];
  readonly #faults: Faults | undefined;
  readonly #notice: (notice: UdpNotice) => void;
  readonly #held = new BinaryHeap<Held<Kept>>((a, b) => a.dueMs - b.dueMs || a.order - b.order);
  /** What waits to be overtaken, by sender. */
  readonly #behind = new Map<string, Held<Kept>[]>();
  #heldBytes = 0;
  #order = 0;

  /**
   * @param datagrams Where they come from, and go to.
   * @param options `counts`: what is counted up; `notice`: called when a datagram is the first to be cut, or ignored.
   */
  constructor(
    datagrams: Datagrams<Kept>,
    { counts, notice, port, transform, bufferBytes, faults }: ReplyOptions & {
      counts: Counts;
      notice: (notice: UdpNotice) => void;
    },
  ) {
    this.#datagrams = datagrams;
    this.#counts = counts;
    this.#notice = notice;
    this.#transform = transform;
    this.#bufferBytes = bufferBytes;
    this.#ignoredPorts = [...ANSWERING_PORTS, port];
    this.#faults = faults !== undefined && hasFaults(faults) ? new Faults(faults) : undefined;
  }

  /** When {@link release} has something to do, in monotonic milliseconds; Infinity while nothing is held back. */
  get nextDueMs(): number {
    return this.#held.peek()?.dueMs ?? Infinity;
  }

  /** Answers the datagram in a slot, or not, or has it answered later. */
  take(slot: number, nowMs: number): void {
    const counts = this.#counts;
    const sizeBytes = this.#datagrams.sizeBytes(slot);
    const keptBytes = Math.min(sizeBytes, this.#bufferBytes);
    counts[COUNT.datagramsIn]! += 1;
    counts[COUNT.bytesIn]! += keptBytes;
    if (sizeBytes > keptBytes) {
      counts[COUNT.truncatedBytes]! += sizeBytes - keptBytes;
      this.#count("truncated", slot);
    }
    if (this.#ignoredPorts.includes(this.#datagrams.port(slot))) return this.#count("ignored", slot);
    if (this.#transform !== "none") transform(this.#datagrams.bytes(slot), this.#transform);
    if (this.#faults !== undefined) return this.#suffer(this.#faults, { slot, nowMs });
    this.#datagrams.reply(slot);
  }

  /** Sends what is due. */
  release(nowMs: number): void {
    for (let next = this.#held.peek(); next !== undefined && next.dueMs <= nowMs; next = this.#held.peek()) {
      this.#held.pop();
      if (next.overtaking === "done") continue;
      if (next.overtaking === "later") this.#wait(next, nowMs);
      else this.#send(next);
    }
  }

  /** Sends all that is held back, due or not. */
  releaseAll(): void {
    for (let next = this.#held.pop(); next !== undefined; next = this.#held.pop()) {
      if (next.overtaking !== "done") this.#send(next);
    }
  }

  #count(kind: UdpNotice["kind"], slot: number): void {
    this.#counts[COUNT[kind]]! += 1;
    if (this.#counts[COUNT[kind]] !== 1) return;
    this.#notice({ kind, from: this.#datagrams.sender(slot), sizeBytes: this.#datagrams.sizeBytes(slot) });
  }

  #suffer(faults: Faults, { slot, nowMs }: { slot: number; nowMs: number }): void {
    const counts = this.#counts;
    const { isDropped, isDuplicated, isReordered, delayMs } = faults.next();
    if (isDropped) {
      counts[COUNT.dropped]! += 1;
      return;
    }
    const isHeld = isReordered || delayMs > 0;
    const sizeBytes = this.#datagrams.sizeBytes(slot) + HELD_EXTRA_BYTES;
    if (isHeld && this.#heldBytes + sizeBytes > HELD_LIMIT_BYTES) {
      counts[COUNT.overflowed]! += 1;
      return;
    }
    if (isDuplicated) counts[COUNT.duplicated]! += 1;
    const copies = isDuplicated ? 2 : 1;
    if (!isHeld) {
      for (let copy = 0; copy < copies; copy++) this.#datagrams.reply(slot);
      if (this.#behind.size > 0) this.#overtake(this.#datagrams.sender(slot));
      return;
    }
    if (delayMs > 0) counts[COUNT.delayed]! += 1;
    this.#heldBytes += sizeBytes;
    const held: Held<Kept> = {
      kept: this.#datagrams.keep(slot),
      sender: this.#datagrams.sender(slot),
      dueMs: nowMs + delayMs,
      order: this.#order++,
      isDelayed: delayMs > 0,
      overtaking: isReordered ? "later" : "no",
      ...{ sizeBytes, copies },
    };
    if (delayMs > 0) this.#held.push(held);
    else this.#wait(held, nowMs);
  }

  /** Has a reply wait for the next one to the same sender. */
  #wait(held: Held<Kept>, nowMs: number): void {
    held.overtaking = "behind";
    held.dueMs = nowMs + OVERTAKE_LIMIT_MS;
    this.#held.push(held);
    const line = this.#behind.get(held.sender);
    if (line === undefined) this.#behind.set(held.sender, [held]);
    else line.push(held);
  }

  /** A reply that was held back goes. */
  #send(held: Held<Kept>): void {
    if (held.overtaking === "behind") this.#leaveLine(held);
    this.#reply(held);
    if (held.overtaking === "no" && this.#behind.size > 0) this.#overtake(held.sender);
  }

  /** Nothing came that could have overtaken it: it was late, and that is all. */
  #leaveLine(held: Held<Kept>): void {
    const line = this.#behind.get(held.sender)!.filter((other) => other !== held);
    if (line.length === 0) this.#behind.delete(held.sender);
    else this.#behind.set(held.sender, line);
    if (!held.isDelayed) this.#counts[COUNT.delayed]! += 1;
  }

  /** A reply to the sender was sent: what waited for it goes. */
  #overtake(sender: string): void {
    for (const held of this.#behind.get(sender) ?? []) {
      held.overtaking = "done";
      this.#counts[COUNT.reordered]! += 1;
      this.#reply(held);
    }
    this.#behind.delete(sender);
  }

  #reply({ kept, copies, sizeBytes }: Held<Kept>): void {
    this.#heldBytes -= sizeBytes;
    for (let copy = 0; copy < copies; copy++) this.#datagrams.replyKept(kept);
  }
}
