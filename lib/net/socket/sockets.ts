/**
 * Sockets of the C library, many to a thread that waits for all of them (epoll(7)). Where the work is to send and to receive, and nothing
 * else, this is several times as fast as the runtime's own sockets. Linux only, and it blocks its thread: for Workers.
 *
 * @module
 */

import { SystemError } from "../../errors.ts";
import { problem } from "../problem.ts";
import { type SocketCalls, socketCalls, socketError } from "./libc.ts";
import { AF_UNIX, encodeAddress, type SocketAddress } from "./socket_address.ts";

const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const MSG_NOSIGNAL = 0x4000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_MOD = 3;
const EPOLLIN = 1;
const EPOLLOUT = 4;
const EAGAIN = 11;
const EINPROGRESS = 115;
const ENFILE = 23;
const EMFILE = 24;
/** struct epoll_event is packed on x86_64 alone. */
const EVENT_BYTES = Deno.build.arch === "x86_64" ? 12 : 16;
const EVENTS = 256;

/** What a socket did: a number of bytes, nothing yet, or that it is broken. */
export const NOTHING_YET = -1;
/** See {@link NOTHING_YET}; `reason` says why. */
export const BROKEN = -2;

/** What happened to a socket. */
export interface SocketEvent {
  slot: number;
  canSend: boolean;
  canReceive: boolean;
}

/** Whether this machine has what {@link Sockets} needs. */
export function haveSockets(): boolean {
  return socketCalls() !== undefined;
}

/**
 * Sockets that are connected to one address, each in a slot. Nothing here waits but {@link Sockets.wait}.
 *
 * @example
 * ```ts ignore
 * using sockets = new Sockets({ ip: "127.0.0.1", port: 7 }, { kind: "datagram" });
 * sockets.open(0);
 * sockets.send(0, new TextEncoder().encode("hello"), 0);
 * ```
 */
export class Sockets implements Disposable {
  readonly #socket: SocketCalls;
  readonly #libc: SocketCalls["calls"];
  readonly #epoll: number;
  readonly #isStream: boolean;
  readonly #address: Uint8Array<ArrayBuffer>;
  /** The file descriptor of each slot; -1 where none is open. */
  readonly #descriptors: number[] = [];
  readonly #events = new Uint8Array(EVENT_BYTES * EVENTS);
  readonly #eventWords = new Uint32Array(this.#events.buffer);
  readonly #timespec = new BigInt64Array(2);
  readonly #event: SocketEvent = { slot: 0, canSend: false, canReceive: false };
  /** Why the last call that failed did. */
  reason = "";
  /** Whether it failed as no more files can be opened. */
  isShortOfFiles = false;

  /**
   * @param address Where all are connected to.
   * @param options `kind`: TCP and Unix sockets are streams, UDP has datagrams.
   * @throws {ConnectionError} If there is no such address.
   * @throws {SystemError} If no more files can be opened.
   */
  constructor(address: SocketAddress, { kind }: { kind: "stream" | "datagram" }) {
    this.#socket = socketCalls()!;
    this.#libc = this.#socket.calls;
    this.#isStream = kind === "stream";
    this.#address = encodeAddress(address, this.#socket);
    this.#epoll = this.#libc.epoll_create1(0);
    if (this.#epoll >= 0) return;
    this.#fail(this.#socket.errorNumber());
    throw new SystemError(`cannot wait for sockets: ${this.reason}: raise ulimit -n`);
  }

  /**
   * Opens a socket and begins to connect it; it can send once it is connected.
   *
   * @param slot Its place, from 0.
   * @returns Whether it has begun; `reason` says why not.
   */
  open(slot: number): boolean {
    const family = this.#address[0]!;
    const type = (this.#isStream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK;
    const descriptor = this.#libc.socket(family, type, 0);
    if (descriptor < 0) return this.#fail(this.#socket.errorNumber());
    if (this.#isStream && family !== AF_UNIX) {
      this.#libc.setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, Uint8Array.of(1, 0, 0, 0), 4);
    }
    if (this.#libc.connect(descriptor, this.#address, this.#address.length) < 0) {
      const error = this.#socket.errorNumber();
      if (error !== EINPROGRESS) {
        this.#libc.close(descriptor);
        // A Unix socket whose backlog is full says EAGAIN.
        return this.#fail(error);
      }
    }
    this.#descriptors[slot] = descriptor;
    this.#control(slot, { operation: EPOLL_CTL_ADD, events: this.#isStream ? EPOLLIN | EPOLLOUT : EPOLLIN });
    return true;
  }

  /** Whether a socket is connected, which it says by being able to send; `reason` says why not. */
  isConnected(slot: number): boolean {
    const error = new Int32Array(1);
    this.#libc.getsockopt(this.#descriptors[slot]!, SOL_SOCKET, SO_ERROR, error, Uint32Array.of(4));
    return error[0] === 0 || this.#fail(error[0]!);
  }

  /** Has {@link wait} tell, or not tell, when a socket can send. */
  watchSending(slot: number, isWatched: boolean): void {
    this.#control(slot, { operation: EPOLL_CTL_MOD, events: isWatched ? EPOLLIN | EPOLLOUT : EPOLLIN });
  }

  /**
   * Sends what fits.
   *
   * @param slot Which socket.
   * @param bytes What to send.
   * @param offset From where on.
   * @returns How many bytes, {@link NOTHING_YET} or {@link BROKEN}.
   */
  send(slot: number, bytes: Uint8Array<ArrayBuffer>, offset: number): number {
    const rest = offset === 0 ? bytes : bytes.subarray(offset);
    const sent = this.#libc.send(this.#descriptors[slot]!, rest, rest.length, MSG_NOSIGNAL);
    return sent >= 0 ? sent : this.#breakage();
  }

  /**
   * Receives what is there.
   *
   * @param slot Which socket.
   * @param buffer Where to put it.
   * @param offset From where on.
   * @returns How many bytes, 0 at the end of a stream, {@link NOTHING_YET} or {@link BROKEN}.
   */
  receive(slot: number, buffer: Uint8Array<ArrayBuffer>, offset: number): number {
    const rest = offset === 0 ? buffer : buffer.subarray(offset);
    const received = this.#libc.recv(this.#descriptors[slot]!, rest, rest.length, 0);
    return received >= 0 ? received : this.#breakage();
  }

  /** Closes a socket, if one is open there. */
  close(slot: number): void {
    const descriptor = this.#descriptors[slot] ?? -1;
    if (descriptor >= 0) this.#libc.close(descriptor);
    this.#descriptors[slot] = -1;
  }

  /**
   * Waits until something happens.
   *
   * @param limitMs Milliseconds to wait at most.
   * @returns How many things happened; {@link event} tells them.
   */
  wait(limitMs: number): number {
    if (limitMs > 0 && limitMs % 1 !== 0 && this.#libc.epoll_pwait2 !== null) {
      this.#timespec[1] = BigInt(Math.floor(limitMs * 1e6));
      return this.#libc.epoll_pwait2(this.#epoll, this.#events, EVENTS, this.#timespec, null);
    }
    return this.#libc.epoll_wait(this.#epoll, this.#events, EVENTS, Math.floor(limitMs));
  }

  /** What happened; good until the next call. */
  event(index: number): SocketEvent {
    const at = index * EVENT_BYTES / 4;
    const events = this.#eventWords[at]!;
    this.#event.slot = this.#eventWords[at + EVENT_BYTES / 4 - 2]!;
    this.#event.canSend = (events & EPOLLOUT) !== 0;
    // An error is told by receiving.
    this.#event.canReceive = (events & ~EPOLLOUT) !== 0;
    return this.#event;
  }

  [Symbol.dispose](): void {
    for (const slot of this.#descriptors.keys()) this.close(slot);
    this.#libc.close(this.#epoll);
  }

  #control(slot: number, { operation, events }: { operation: number; events: number }): void {
    const event = new DataView(new ArrayBuffer(EVENT_BYTES));
    event.setUint32(0, events, true);
    event.setUint32(EVENT_BYTES - 8, slot, true);
    this.#libc.epoll_ctl(this.#epoll, operation, this.#descriptors[slot]!, event);
  }

  #breakage(): number {
    const error = this.#socket.errorNumber();
    if (error === EAGAIN) return NOTHING_YET;
    this.#fail(error);
    return BROKEN;
  }

  #fail(error: number): false {
    this.reason = problem(socketError(this.#socket, error));
    this.isShortOfFiles ||= error === EMFILE || error === ENFILE;
    return false;
  }
}
