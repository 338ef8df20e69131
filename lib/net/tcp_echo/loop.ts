/**
 * The part of a TCP echo server that runs in one event loop: it accepts clients, ends those that are silent, and drains.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { reason } from "../../errors.ts";
import { EchoConnection, type EchoService } from "./connection.ts";
import type { TcpEchoCounters } from "./counters.ts";
import type { EchoListener, EchoSocket } from "./listener.ts";

/** How a loop serves. */
export interface EchoLoopSettings extends EchoService {
  /** Milliseconds after which a client is closed that sends nothing; Infinity for never. */
  idleTimeoutMs: number;
  /** Whether small echoes are sent at once (TCP_NODELAY). */
  noDelay: boolean;
  /** Milliseconds that the open connections have to finish. */
  drainMs: number;
}

/** When something could not be accepted, such as for want of file descriptors: how long until the next try, unless a client goes. */
const RETRY_MS = 100;
/** How often clients that are silent are looked for: so many times within the timeout. */
const LOOKS = 8;
const SHORTEST_LOOK_MS = 10;
const LONGEST_LOOK_MS = 5_000;
/** How long to accept clients that wait when the drain begins, and, where that is not known, how long none may come for none to wait. */
const BACKLOG_LIMIT_MS = 2_000;
const BACKLOG_QUIET_MS = 5;
/** When time is up, a client has sent all that counts once nothing has come for so long; and for so long all this may last. */
const QUIET_MS = 20;
const FINISH_LIMIT_MS = 300;

/**
 * Invariants: a connection is served from when it is accepted until it is closed; what a client had sent when the drain's time was up is
 * sent back to it, if it reads.
 */
export class EchoLoop {
  readonly #listener: EchoListener;
  readonly #settings: EchoLoopSettings;
  readonly #counters: TcpEchoCounters;
  readonly #notice: (text: string) => void;
  readonly #connections = new Set<EchoConnection>();
  readonly #noticed = new Set<string>();
  readonly #closing = new AbortController();
  #accepted = 0;

  /**
   * @param listener Belongs to the loop, which closes it.
   * @param options How to serve, where to count, and what to call with news for people, each piece once.
   */
  constructor(
    listener: EchoListener,
    { settings, counters, notice }: {
      settings: EchoLoopSettings;
      counters: TcpEchoCounters;
      notice: (text: string) => void;
    },
  ) {
    this.#listener = listener;
    this.#settings = settings;
    this.#counters = counters;
    this.#notice = notice;
  }

  /**
   * Serves until it is told to end, and has.
   *
   * @param signals `signal` begins the drain; `killSignal` ends all at once.
   */
  async run({ signal, killSignal }: { signal: AbortSignal; killSignal: AbortSignal }): Promise<void> {
    const ended = new AbortController();
    const accepting = this.#accept();
    const looking = this.#closeIdle(ended.signal);
    try {
      await firstAborted([signal, killSignal]);
      await this.#emptyBacklog(killSignal);
      this.#closing.abort();
      this.#listener.close();
      await accepting;
      await this.#drain(killSignal);
    } finally {
      this.#cut("the server ended");
      ended.abort();
      await looking;
      await this.#listener[Symbol.asyncDispose]();
    }
  }

  async #accept(): Promise<void> {
    while (await this.#hasRoom()) {
      let connections: readonly EchoSocket[];
      try {
        connections = await this.#listener.accept(this.#counters.room);
      } catch (error) {
        if (!this.#closing.signal.aborted) await this.#recover(error);
        continue;
      }
      for (const connection of connections) await this.#welcome(connection);
    }
  }

  async #welcome(connection: EchoSocket): Promise<void> {
    this.#accepted += 1;
    // With several threads another may have been faster.
    let isOpen = this.#counters.tryOpen();
    while (!isOpen && await this.#hasRoom()) isOpen = this.#counters.tryOpen();
    if (isOpen) this.#serve(connection);
    else connection.close();
  }

  /** Waits until there may be one more connection. Says false once the listener is closed. */
  async #hasRoom(): Promise<boolean> {
    const { signal } = this.#closing;
    try {
      await this.#counters.untilRoom(signal);
    } catch {
      // The listener was closed.
    }
    return !signal.aborted;
  }

  #serve(connection: EchoSocket): void {
    try {
      connection.setNoDelay(this.#settings.noDelay);
    } catch {
      // The client has gone already, as the first read will say.
    }
    const echo = new EchoConnection(connection, {
      service: this.#settings,
      counters: this.#counters,
      closed: (echo, problem) => {
        if (problem !== undefined) this.#counters.failed();
        this.#connections.delete(echo);
        this.#counters.closed();
      },
    });
    this.#connections.add(echo);
    echo.start();
  }

  /** Waits for what is short to be there again: a client that goes gives back what it had. */
  async #recover(error: unknown): Promise<void> {
    const problem = reason(error);
    if (!this.#noticed.has(problem)) {
      this.#noticed.add(problem);
      this.#notice(`cannot accept a client: ${problem}: it waits until that is over`);
    }
    await this.#counters.change(RETRY_MS, this.#closing.signal).catch(() => {});
  }

  /** Closes who is silent. One timer for all: what a message costs is one flag. */
  async #closeIdle(ended: AbortSignal): Promise<void> {
    const { idleTimeoutMs } = this.#settings;
    if (idleTimeoutMs === Infinity) return;
    const everyMs = Math.min(LONGEST_LOOK_MS, Math.max(SHORTEST_LOOK_MS, idleTimeoutMs / LOOKS));
    for (let lastMs = performance.now(); await rest(everyMs, ended);) {
      const nowMs = performance.now();
      for (const connection of this.#connections) {
        connection.quietMs = connection.isActive ? 0 : connection.quietMs + nowMs - lastMs;
        connection.isActive = false;
        if (connection.quietMs >= idleTimeoutMs) connection.cut();
      }
      lastMs = nowMs;
    }
  }

  /** Goes on to accept until nobody waits: to close the listener would reset who does. */
  async #emptyBacklog(killSignal: AbortSignal): Promise<void> {
    const endMs = performance.now() + BACKLOG_LIMIT_MS;
    for (let isEmpty = false; !isEmpty && performance.now() < endMs;) {
      const before = this.#accepted;
      if (!await rest(BACKLOG_QUIET_MS, killSignal)) return;
      isEmpty = !(this.#listener.hasWaiting() ?? this.#accepted > before);
    }
  }

  async #drain(killSignal: AbortSignal): Promise<void> {
    const endMs = performance.now() + this.#settings.drainMs;
    await this.#untilClosed(endMs, killSignal);
    const lastMs = performance.now() + FINISH_LIMIT_MS;
    while (this.#connections.size > 0 && performance.now() < lastMs) {
      for (const connection of this.#connections) connection.isActive = false;
      if (!await rest(QUIET_MS, killSignal)) return;
      for (const connection of this.#connections) {
        if (connection.isDone && !connection.isActive) connection.finish();
      }
    }
    for (const connection of this.#connections) connection.finishSoon();
    await this.#untilClosed(performance.now() + FINISH_LIMIT_MS, killSignal);
  }

  async #untilClosed(endMs: number, killSignal: AbortSignal): Promise<void> {
    while (this.#connections.size > 0 && performance.now() < endMs && !killSignal.aborted) {
      await this.#counters.change(Math.min(endMs - performance.now(), 2 ** 30), killSignal).catch(() => {});
    }
  }

  #cut(why: string): void {
    for (const connection of this.#connections) {
      connection.cut(connection.isSaid ? undefined : new Error(why));
    }
  }
}

/** Rests, and says whether that was to the end. */
async function rest(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(ms, { signal });
    return true;
  } catch {
    return false;
  }
}

/** Waits for one of the signals. `AbortSignal.any` would be lost: older runtimes collect such a signal though somebody listens to it. */
function firstAborted(signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of signals) {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    }
  });
}
