/**
 * Many sockets of the C library in one event loop (epoll(7)).
 *
 * @module
 */

import type { SocketCalls } from "./libc.ts";

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CLOEXEC = 0o2000000;
const EFD_CLOEXEC_NONBLOCK = 0o2004000;
const EPOLLIN = 0x1;
const EPOLLOUT = 0x4;
const EPOLLRDHUP = 0x2000;
const EPOLLET = 0x8000_0000;
/** struct epoll_event is packed on x86_64 alone. */
const EVENT_NUMBERS = Deno.build.arch === "x86_64" ? 3 : 4;
const EVENTS = 256;
/** After so many looks at the sockets the event loop has a turn, for its timers and signals. */
const LOOKS = 16;

/** A socket that is looked after. */
export interface Polled {
  readonly descriptor: number;
  /**
   * Called when the socket can receive or send what it could not before, once for each change (EPOLLET); `hasEnded` when nothing more will
   * come, or it is broken.
   */
  changed(what: { canReceive: boolean; canSend: boolean; hasEnded: boolean }): void;
  /** Called when {@link Poller.again} has asked for it. */
  resumed(): void;
}

/**
 * Looks after sockets as long as there are any. While they are busy nothing but their own calls is made; when none is, a thread of the
 * runtime waits for them. Invariants: a socket that is removed is not called any more; each has a turn before any has its next.
 */
export class Poller {
  readonly #calls: SocketCalls["calls"];
  readonly #epoll: number;
  readonly #alarm: number;
  readonly #polled = new Map<number, Polled>();
  readonly #numbers = new Uint32Array(EVENT_NUMBERS * EVENTS);
  readonly #event = { canReceive: false, canSend: false, hasEnded: false };
  #again: Polled[] = [];
  #running: Promise<void> | undefined;
  /** Whether a thread waits until something happens. */
  #isWaiting = false;

  constructor({ calls }: SocketCalls) {
    this.#calls = calls;
    this.#epoll = calls.epoll_create1(EPOLL_CLOEXEC);
    this.#alarm = calls.eventfd(0, EFD_CLOEXEC_NONBLOCK);
    this.#control(this.#alarm, { operation: EPOLL_CTL_ADD, events: EPOLLIN | EPOLLET });
  }

  /** Looks after a socket from now on. */
  add(polled: Polled): void {
    const { descriptor } = polled;
    this.#polled.set(descriptor, polled);
    const events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    this.#control(descriptor, { operation: EPOLL_CTL_ADD, events });
    this.#running ??= this.#run();
  }

  /** Looks after it no more; it must still be open. */
  remove({ descriptor }: Polled): void {
    if (!this.#polled.delete(descriptor)) return;
    this.#control(descriptor, { operation: EPOLL_CTL_DEL, events: 0 });
    if (this.#polled.size === 0) this.#alert();
  }

  /** Has a socket resumed when all others have had their turn. */
  again(polled: Polled): void {
    this.#again.push(polled);
    if (this.#isWaiting) this.#alert();
  }

  /** Waits until all sockets are removed, and gives back what it has of the system. It is not used any more then. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running;
    this.#calls.close(this.#alarm);
    this.#calls.close(this.#epoll);
  }

  async #run(): Promise<void> {
    for (let look = 1; this.#polled.size > 0; look++) {
      const isLast = look % LOOKS === 0;
      let count = isLast ? 0 : this.#calls.epoll_wait(this.#epoll, this.#numbers, EVENTS, 0);
      if (isLast || (count <= 0 && this.#again.length === 0)) {
        this.#isWaiting = this.#again.length === 0;
        const waitMs = this.#isWaiting ? -1 : 0;
        count = await this.#calls.epoll_wait_aside(this.#epoll, this.#numbers, EVENTS, waitMs);
        this.#isWaiting = false;
      }
      const again = this.#again;
      if (again.length > 0) this.#again = [];
      for (let index = 0; index < count; index++) this.#tell(index * EVENT_NUMBERS);
      for (const polled of again) {
        if (this.#polled.get(polled.descriptor) === polled) polled.resumed();
      }
      // What was told is worked off before the next look.
      await undefined;
    }
    this.#running = undefined;
  }

  /** Ends the wait of the thread. */
  #alert(): void {
    this.#calls.eventfd_write(this.#alarm, 1n);
  }

  #tell(at: number): void {
    const polled = this.#polled.get(this.#numbers[at + EVENT_NUMBERS - 2]!);
    const events = this.#numbers[at]!;
    this.#event.canReceive = (events & ~EPOLLOUT) !== 0;
    this.#event.canSend = (events & ~(EPOLLIN | EPOLLRDHUP)) !== 0;
    this.#event.hasEnded = (events & ~(EPOLLIN | EPOLLOUT)) !== 0;
    polled?.changed(this.#event);
  }

  #control(descriptor: number, { operation, events }: { operation: number; events: number }): void {
    const event = new Uint32Array(EVENT_NUMBERS);
    event[0] = events;
    event[EVENT_NUMBERS - 2] = descriptor;
    this.#calls.epoll_ctl(this.#epoll, operation, descriptor, event);
  }
}
