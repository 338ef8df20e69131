/**
 * Connections of TCP by the C library's own calls: a read or write costs a system call, and no operation of the runtime.
 *
 * @module
 */

import { type SocketCalls, socketError } from "./libc.ts";
import { Backlog } from "./listening_sockets.ts";
import { type Polled, Poller } from "./poller.ts";

const SOCK_NONBLOCK_CLOEXEC = 0o2004000;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const MSG_NOSIGNAL = 0x4000;
const SHUT_WR = 1;
const EBADF = 9;
const EAGAIN = 11;
const ECONNABORTED = 103;
/** How many clients are accepted before those that are there have their turn. */
const MOST_AT_ONCE = 256;

interface Waiting<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** Who is told what came of a read: how many bytes, null at the end. */
export interface Receiver {
  received(count: number | null): void;
  failed(error: unknown): void;
}

/** Who is told what came of a write. */
export interface Sender {
  sent(count: number): void;
  failed(error: unknown): void;
}

/**
 * Accepts clients at a socket that listens.
 *
 * Cancel safety: `close` ends a wait for a client.
 */
export class LibcListener implements Polled, AsyncDisposable {
  readonly descriptor: number;
  readonly #socket: SocketCalls;
  readonly #poller: Poller;
  readonly #backlog: Backlog;
  #waiting: (Waiting<LibcConnection[]> & { most: number }) | undefined;
  #isClosed = false;

  /**
   * @param descriptor A socket that listens and does not block; it belongs to this.
   * @param socket The calls.
   */
  constructor(descriptor: number, socket: SocketCalls) {
    this.descriptor = descriptor;
    this.#backlog = new Backlog(socket, [descriptor]);
    this.#socket = socket;
    this.#poller = new Poller(socket);
    this.#poller.add(this);
  }

  /**
   * Waits for clients. One at a time waits.
   *
   * @param most How many are wanted at most.
   * @returns Who is there, at least one.
   * @throws {Error} If the system cannot accept any, or this is closed.
   */
  accept(most: number): Promise<LibcConnection[]> {
    return new Promise((resolve, reject) => {
      this.#waiting = { most: Math.min(most, MOST_AT_ONCE), resolve, reject };
      this.changed();
    });
  }

  /** Whether clients wait to be accepted at this moment. */
  hasWaiting(): boolean {
    return !this.#isClosed && !this.#backlog.isEmpty();
  }

  /** Ends to listen: who waits to be accepted is reset. The connections stay. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#poller.remove(this);
    this.#socket.calls.close(this.descriptor);
    this.changed();
  }

  /** Closes it, and waits until its connections are closed, too. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#poller[Symbol.asyncDispose]();
  }

  changed(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const { clients, error } = this.#accept(waiting.most);
    if (clients.length === 0 && error === EAGAIN) return;
    this.#waiting = undefined;
    if (clients.length > 0) waiting.resolve(clients);
    else waiting.reject(socketError(this.#socket, error));
  }

  resumed(): void {}

  /** Accepts who is there; `error` says why not more. */
  #accept(most: number): { clients: LibcConnection[]; error: number } {
    const { calls } = this.#socket;
    const clients: LibcConnection[] = [];
    while (clients.length < most) {
      const descriptor = this.#isClosed
        ? -1
        : calls.accept4(this.descriptor, null, null, SOCK_NONBLOCK_CLOEXEC);
      if (descriptor >= 0) {
        clients.push(new LibcConnection(descriptor, { socket: this.#socket, poller: this.#poller }));
        continue;
      }
      const error = this.#isClosed ? EBADF : this.#socket.errorNumber();
      // A client that was gone before it was accepted is none.
      if (error !== ECONNABORTED) return { clients, error };
    }
    return { clients, error: 0 };
  }
}

/**
 * A connection. One read and one write at a time.
 *
 * Invariants: a read that has filled less than its buffer has taken all there was, so the next waits for the system to say that there is
 * more (epoll(7), question 9); one that filled it goes on when the other connections have had their turn.
 *
 * Cancel safety: `close` ends a read and a write that wait.
 */
export class LibcConnection implements Polled {
  readonly descriptor: number;
  readonly #socket: SocketCalls;
  readonly #poller: Poller;
  #reading: { bytes: Uint8Array<ArrayBuffer>; receiver: Receiver } | undefined;
  #writing: { bytes: Uint8Array<ArrayBuffer>; sender: Sender } | undefined;
  /** Whether a read may find something. */
  #canReceive = false;
  /** Whether the client sends no more, or the connection is broken: the system says so once. */
  #hasEnded = false;
  #isClosed = false;

  /**
   * @param descriptor A connected socket that does not block; it belongs to this.
   * @param options The calls, and who waits for it.
   */
  constructor(descriptor: number, { socket, poller }: { socket: SocketCalls; poller: Poller }) {
    this.descriptor = descriptor;
    this.#socket = socket;
    this.#poller = poller;
    poller.add(this);
  }

  /** Whether what is short is sent at once (tcp(7), TCP_NODELAY). */
  setNoDelay(isOn: boolean): void {
    const value = Uint8Array.of(isOn ? 1 : 0, 0, 0, 0);
    this.#socket.calls.setsockopt(this.descriptor, IPPROTO_TCP, TCP_NODELAY, value, value.length);
  }

  /**
   * Waits for bytes.
   *
   * @param bytes Where to put them.
   * @param receiver Told later how many they are, null at the end; or what broke the connection.
   */
  read(bytes: Uint8Array<ArrayBuffer>, receiver: Receiver): void {
    if (this.#isClosed) return receiver.failed(closedError());
    this.#reading = { bytes, receiver };
    if (this.#canReceive) this.#poller.again(this);
  }

  /**
   * Sends some of the bytes, and waits while there is no room for any.
   *
   * @param bytes At least one.
   * @param sender Told at once, or later, how many were sent; or what broke the connection.
   */
  write(bytes: Uint8Array<ArrayBuffer>, sender: Sender): void {
    if (this.#isClosed) return sender.failed(closedError());
    this.#send(bytes, sender);
  }

  /**
   * Says to the client that no more comes.
   *
   * @throws {Error} If the connection is broken.
   */
  closeWrite(): Promise<void> {
    return Promise.try(() => {
      if (this.#isClosed) throw closedError();
      if (this.#socket.calls.shutdown(this.descriptor, SHUT_WR) < 0) throw this.#error();
    });
  }

  /** Closes it at once. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#poller.remove(this);
    this.#socket.calls.close(this.descriptor);
    this.#reading?.receiver.failed(closedError());
    this.#writing?.sender.failed(closedError());
  }

  changed(
    { canReceive, canSend, hasEnded }: { canReceive: boolean; canSend: boolean; hasEnded: boolean },
  ): void {
    if (hasEnded) this.#hasEnded = true;
    if (canReceive) {
      this.#canReceive = true;
      this.#receive();
    }
    if (canSend && this.#writing !== undefined) this.#send(this.#writing.bytes, this.#writing.sender);
  }

  resumed(): void {
    this.#receive();
  }

  #receive(): void {
    const reading = this.#reading;
    if (reading === undefined) return;
    const { bytes, receiver } = reading;
    const count = this.#socket.calls.recv(this.descriptor, bytes, bytes.length, 0);
    if (count < bytes.length && !this.#hasEnded) this.#canReceive = false;
    const error = count < 0 ? this.#socket.errorNumber() : 0;
    if (error === EAGAIN) return;
    this.#reading = undefined;
    if (error !== 0) receiver.failed(socketError(this.#socket, error));
    else receiver.received(count === 0 ? null : count);
  }

  #send(bytes: Uint8Array<ArrayBuffer>, sender: Sender): void {
    const count = this.#socket.calls.send(this.descriptor, bytes, bytes.length, MSG_NOSIGNAL);
    const error = count < 0 ? this.#socket.errorNumber() : 0;
    this.#writing = error === EAGAIN ? { bytes, sender } : undefined;
    if (error === EAGAIN) return;
    if (error !== 0) sender.failed(socketError(this.#socket, error));
    else sender.sent(count);
  }

  #error(): Error {
    return socketError(this.#socket, this.#socket.errorNumber());
  }
}

function closedError(): Error {
  return new Error("the connection is closed");
}
