/**
 * Sockets of the C library, many to a thread that waits for all of them (epoll(7)). Where the work is to send and to receive, and nothing
 * else, this is several times as fast as the runtime's own sockets. Linux only, and it blocks its thread: for Workers.
 *
 * @module
 */

import { ConnectionError, SystemError } from "../errors.ts";
import { problem } from "./probe.ts";
import { ADDRESS_SYMBOLS, type AddressCalls, encodeIpAddress } from "./socket_address.ts";

const AF_UNIX = 1;
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
const SUN_PATH_BYTES = 108;

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  ...ADDRESS_SYMBOLS,
  // Lengths and results of 31 bits, and numbers: see libc.ts.
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  // Waits for less than a millisecond, too; since glibc 2.35 and Linux 5.11.
  epoll_pwait2: { parameters: ["i32", "buffer", "i32", "buffer", "pointer"], result: "i32", optional: true },
  strerror: { parameters: ["i32"], result: "pointer" },
  __errno_location: { parameters: [], result: "pointer" },
} as const;

type Library = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** An IP address with a port, or the path of a Unix socket. */
export type SocketAddress = { ip: string; port: number } | { path: string };

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
  if (Deno.build.os !== "linux") return false;
  try {
    Deno.dlopen("libc.so.6", SYMBOLS).close();
    return true;
  } catch {
    return false;
  }
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
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #libc: Library;
  readonly #errno: Deno.UnsafePointerView;
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
    this.#library = Deno.dlopen("libc.so.6", SYMBOLS);
    this.#libc = this.#library.symbols;
    this.#errno = new Deno.UnsafePointerView(this.#libc.__errno_location()!);
    this.#isStream = kind === "stream";
    this.#address = encodeAddress(address, this.#libc);
    this.#epoll = this.#libc.epoll_create1(0);
    if (this.#epoll >= 0) return;
    this.#fail(this.#errorNumber());
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
    if (descriptor < 0) return this.#fail(this.#errorNumber());
    if (this.#isStream && family !== AF_UNIX) {
      this.#libc.setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, Uint8Array.of(1, 0, 0, 0), 4);
    }
    if (this.#libc.connect(descriptor, this.#address, this.#address.length) < 0) {
      const error = this.#errorNumber();
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
    this.#library.close();
  }

  #control(slot: number, { operation, events }: { operation: number; events: number }): void {
    const event = new DataView(new ArrayBuffer(EVENT_BYTES));
    event.setUint32(0, events, true);
    event.setUint32(EVENT_BYTES - 8, slot, true);
    this.#libc.epoll_ctl(this.#epoll, operation, this.#descriptors[slot]!, event);
  }

  #errorNumber(): number {
    return this.#errno.getInt32();
  }

  #breakage(): number {
    const error = this.#errorNumber();
    if (error === EAGAIN) return NOTHING_YET;
    this.#fail(error);
    return BROKEN;
  }

  #fail(error: number): false {
    const text = Deno.UnsafePointerView.getCString(this.#libc.strerror(error)!);
    this.reason = problem(new Error(text));
    this.isShortOfFiles ||= error === EMFILE || error === ENFILE;
    return false;
  }
}

/**
 * A struct sockaddr_in, sockaddr_in6 or sockaddr_un.
 *
 * @param address What it says.
 * @param calls What reads an IP address.
 * @throws {ConnectionError} If it cannot be one.
 */
export function encodeAddress(address: SocketAddress, calls: AddressCalls): Uint8Array<ArrayBuffer> {
  if ("path" in address) {
    const path = new TextEncoder().encode(address.path);
    if (path.length >= SUN_PATH_BYTES) throw new ConnectionError("the path is too long for a Unix socket");
    const bytes = new Uint8Array(2 + path.length + 1);
    bytes[0] = AF_UNIX;
    bytes.set(path, 2);
    return bytes;
  }
  const bytes = encodeIpAddress(address, calls);
  if (bytes === undefined) throw new ConnectionError("this is no IP address");
  return bytes;
}
