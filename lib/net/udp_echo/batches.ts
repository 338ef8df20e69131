/**
 * Many datagrams by one call: recvmmsg(2) and sendmmsg(2). Nothing is allocated for a datagram that is received and sent back.
 *
 * @module
 */

import { LONGEST_TIMEOUT_MS } from "../../time/clock.ts";
import { COUNT, type Counts } from "./counts.ts";
import { AF_INET6, formatSocketAddress, SOCKET_ADDRESS_BYTES } from "../socket/socket_address.ts";
import { type SocketCalls, socketCalls } from "../socket/libc.ts";
import {
  CONTROL_BYTES,
  CONTROL_HEADER_BYTES,
  HEADER,
  HEADER_NUMBERS,
  Memory,
  NAME_BYTES,
  VECTOR_NUMBERS,
} from "./memory.ts";
import type { Datagrams } from "./replies.ts";

/** How many datagrams a call receives at most. */
const SLOTS = 32;
/** How many it sends: each may be sent twice. */
const MOST_REPLIES = 2 * SLOTS;

const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_WAITFORONE = 0x10000;
const POLLIN = 1;
const EINTR = 4;
const EAGAIN = 11;
/** After so many failures in a row there is no hope. */
const MOST_FAILURES = 100;

/** What is kept of a datagram to reply later. */
export interface KeptDatagram {
  bytes: Uint8Array<ArrayBuffer>;
  name: Uint8Array<ArrayBuffer>;
  control: Uint8Array<ArrayBuffer>;
}

/**
 * The datagrams of a socket, received and sent in batches. The slots of a batch are the numbers from 0; there is one slot more than a batch
 * can have, from which replies are sent that were kept.
 *
 * Invariant: the replies of a batch are sent in the order in which they were asked for. One that the system refuses is an error, and the
 * others are sent.
 */
export class DatagramBatches implements Datagrams<KeptDatagram> {
  readonly #socket: SocketCalls = socketCalls()!;
  readonly #calls = this.#socket.calls;
  readonly #fd: number;
  readonly #counts: Counts;
  readonly #hasAllAddresses: boolean;
  readonly #bufferBytes: number;
  /** How many bytes there are from the contents of one slot to those of the next. */
  readonly #strideBytes: number;
  readonly #contents: Memory;
  readonly #names = new Memory((SLOTS + 1) * NAME_BYTES);
  readonly #controls = new Memory((SLOTS + 1) * CONTROL_BYTES);
  readonly #received = new Memory((SLOTS + 1) * HEADER_NUMBERS * 4);
  readonly #receivedVectors = new Memory((SLOTS + 1) * VECTOR_NUMBERS * 4);
  readonly #replies = new Memory(MOST_REPLIES * HEADER_NUMBERS * 4);
  readonly #replyVectors = new Memory(MOST_REPLIES * VECTOR_NUMBERS * 4);
  readonly #pollEntry = new Memory(8);
  /** How many datagrams the batch has, and how many replies wait to be sent. */
  #size = 0;
  #waiting = 0;
  #failures = 0;

  /**
   * @param fd The socket.
   * @param options `hasAllAddresses`: whether each datagram says which of our addresses it was sent to, and its reply is to come from there;
   * `bufferBytes`: what is received of a datagram; `counts`: where what is sent is counted.
   */
  constructor(
    fd: number,
    { hasAllAddresses, bufferBytes, counts }: {
      hasAllAddresses: boolean;
      bufferBytes: number;
      counts: Counts;
    },
  ) {
    this.#fd = fd;
    this.#counts = counts;
    this.#hasAllAddresses = hasAllAddresses;
    this.#bufferBytes = bufferBytes;
    this.#strideBytes = Math.ceil(bufferBytes / 64) * 64;
    this.#contents = new Memory((SLOTS + 1) * this.#strideBytes);
    for (let slot = 0; slot <= SLOTS; slot++) this.#layOut(slot);
    for (let reply = 0; reply < MOST_REPLIES; reply++) {
      const at = reply * HEADER_NUMBERS;
      this.#replies.point(at + HEADER.vector, {
        target: this.#replyVectors,
        offsetBytes: reply * VECTOR_NUMBERS * 4,
      });
      this.#replies.numbers[at + HEADER.vectorLength] = 1;
    }
    this.#pollEntry.numbers.set([fd, POLLIN]);
  }

  /**
   * Receives a batch in place of the one before. With `waits` it waits for a datagram, and takes all that have come by then; it returns at
   * once when receiving was ended.
   *
   * @returns How many slots there are.
   * @throws {Error} If the socket cannot be used.
   */
  receive({ waits }: { waits: boolean }): number {
    for (let slot = 0; slot < this.#size; slot++) this.#reset(slot);
    const flags = MSG_TRUNC | (waits ? MSG_WAITFORONE : MSG_DONTWAIT);
    const size = this.#calls.recvmmsg(this.#fd, this.#received.bytes, SLOTS, flags, null);
    this.#size = Math.max(size, 0);
    if (size >= 0) this.#failures = 0;
    else this.#complain();
    return this.#size;
  }

  /** Waits for a datagram, at most so long. */
  wait(limitMs: number): void {
    this.#calls.poll(this.#pollEntry.bytes, 1n, Math.min(Math.ceil(limitMs), LONGEST_TIMEOUT_MS));
  }

  /** Whether a slot holds a datagram: the end of receiving looks like an empty one from nobody. */
  isFilled(slot: number): boolean {
    return this.#received.numbers[slot * HEADER_NUMBERS + HEADER.nameBytes]! > 0;
  }

  sizeBytes(slot: number): number {
    return this.#received.numbers[slot * HEADER_NUMBERS + HEADER.sizeBytes]!;
  }

  bytes(slot: number): Uint8Array<ArrayBuffer> {
    const start = slot * this.#strideBytes;
    return this.#contents.bytes.subarray(start, start + this.#keptBytes(slot));
  }

  port(slot: number): number {
    const { bytes } = this.#names;
    return bytes[slot * NAME_BYTES + 2]! << 8 | bytes[slot * NAME_BYTES + 3]!;
  }

  sender(slot: number): string {
    return formatSocketAddress(this.#names.bytes.subarray(slot * NAME_BYTES, (slot + 1) * NAME_BYTES));
  }

  reply(slot: number): void {
    if (this.#waiting === MOST_REPLIES) this.flush();
    const [from, vectorFrom] = [slot * HEADER_NUMBERS, slot * VECTOR_NUMBERS];
    const [to, vectorTo] = [this.#waiting * HEADER_NUMBERS, this.#waiting * VECTOR_NUMBERS];
    const [source, target] = [this.#received.numbers, this.#replies.numbers];
    target[to + HEADER.name] = source[from + HEADER.name]!;
    target[to + HEADER.name + 1] = source[from + HEADER.name + 1]!;
    target[to + HEADER.nameBytes] = source[from + HEADER.nameBytes]!;
    if (this.#hasAllAddresses) {
      target[to + HEADER.control] = source[from + HEADER.control]!;
      target[to + HEADER.control + 1] = source[from + HEADER.control + 1]!;
      target[to + HEADER.controlBytes] = this.#answerFromHere(slot);
    }
    const vectors = this.#replyVectors.numbers;
    vectors[vectorTo] = this.#receivedVectors.numbers[vectorFrom]!;
    vectors[vectorTo + 1] = this.#receivedVectors.numbers[vectorFrom + 1]!;
    vectors[vectorTo + 2] = this.#keptBytes(slot);
    this.#waiting += 1;
  }

  keep(slot: number): KeptDatagram {
    const of = ({ bytes }: Memory, length: number) => bytes.slice(slot * length, (slot + 1) * length);
    const at = slot * HEADER_NUMBERS;
    const { numbers } = this.#received;
    return {
      bytes: this.bytes(slot).slice(),
      name: of(this.#names, NAME_BYTES).subarray(0, numbers[at + HEADER.nameBytes]),
      control: of(this.#controls, CONTROL_BYTES).subarray(0, numbers[at + HEADER.controlBytes]),
    };
  }

  replyKept({ bytes, name, control }: KeptDatagram): void {
    this.flush();
    const at = SLOTS * HEADER_NUMBERS;
    this.#contents.bytes.set(bytes, SLOTS * this.#strideBytes);
    this.#names.bytes.set(name, SLOTS * NAME_BYTES);
    this.#controls.bytes.set(control, SLOTS * CONTROL_BYTES);
    this.#received.numbers[at + HEADER.nameBytes] = name.length;
    this.#received.numbers[at + HEADER.controlBytes] = control.length;
    this.#received.numbers[at + HEADER.sizeBytes] = bytes.length;
    this.reply(SLOTS);
    this.flush();
  }

  /** Sends the replies that wait. */
  flush(): void {
    const counts = this.#counts;
    const { numbers } = this.#replyVectors;
    for (let first = 0; first < this.#waiting;) {
      const rest = first === 0
        ? this.#replies.bytes
        : this.#replies.bytes.subarray(first * HEADER_NUMBERS * 4);
      const sent = this.#calls.sendmmsg(this.#fd, rest, this.#waiting - first, 0);
      if (sent <= 0) {
        const errno = this.#socket.errorNumber();
        if (errno === EINTR) continue;
        // Either the network takes nothing, or it is the first of them that cannot be sent: its host is out of reach, a firewall forbids it.
        const failed = errno === EAGAIN ? this.#waiting - first : 1;
        counts[COUNT.errors]! += failed;
        first += failed;
        continue;
      }
      counts[COUNT.datagramsOut]! += sent;
      for (let i = first; i < first + sent; i++) counts[COUNT.bytesOut]! += numbers[i * VECTOR_NUMBERS + 2]!;
      first += sent;
    }
    this.#waiting = 0;
  }

  #keptBytes(slot: number): number {
    return Math.min(this.sizeBytes(slot), this.#bufferBytes);
  }

  /** Has the headers of a slot point to its memory. */
  #layOut(slot: number): void {
    const at = slot * HEADER_NUMBERS;
    const vectorAt = slot * VECTOR_NUMBERS;
    const received = this.#received;
    received.point(at + HEADER.name, { target: this.#names, offsetBytes: slot * NAME_BYTES });
    received.point(at + HEADER.vector, { target: this.#receivedVectors, offsetBytes: vectorAt * 4 });
    received.numbers[at + HEADER.vectorLength] = 1;
    if (this.#hasAllAddresses) {
      received.point(at + HEADER.control, { target: this.#controls, offsetBytes: slot * CONTROL_BYTES });
    }
    const offsetBytes = slot * this.#strideBytes;
    this.#receivedVectors.point(vectorAt, { target: this.#contents, offsetBytes });
    this.#receivedVectors.numbers[vectorAt + 2] = this.#bufferBytes;
    this.#reset(slot);
  }

  /** Says how much room a slot has: a call that receives puts what it used of it in its place. */
  #reset(slot: number): void {
    const at = slot * HEADER_NUMBERS;
    this.#received.numbers[at + HEADER.nameBytes] = SOCKET_ADDRESS_BYTES;
    if (this.#hasAllAddresses) this.#received.numbers[at + HEADER.controlBytes] = CONTROL_BYTES;
  }

  /**
   * Turns the control data that says which of our addresses a datagram was sent to into such that sends from there, by whatever interface
   * leads to its sender (ip(7), ipv6(7)). Returns its length: 0 for an IPv6 group, as nothing can be sent from one.
   */
  #answerFromHere(slot: number): number {
    const { numbers, bytes } = this.#controls;
    const at = slot * CONTROL_BYTES + CONTROL_HEADER_BYTES;
    const isIpv6 = this.#names.bytes[slot * NAME_BYTES] === AF_INET6;
    if (isIpv6 && bytes[at] === 0xff) return 0;
    numbers[(isIpv6 ? at + 16 : at) / 4] = 0;
    return this.#received.numbers[slot * HEADER_NUMBERS + HEADER.controlBytes]!;
  }

  /** @throws {Error} If nothing can be received any more. */
  #complain(): void {
    const errno = this.#socket.errorNumber();
    if (errno === EINTR || errno === EAGAIN) return;
    this.#counts[COUNT.errors]! += 1;
    this.#failures += 1;
    if (this.#failures === MOST_FAILURES) throw new Error(`cannot receive datagrams: error ${errno}`);
  }
}
