/**
 * Primitives whose operations are done by other parties: Workers, processes. A suite that codes against the interfaces then runs between
 * them without knowing.
 *
 * @module
 */

import { BrokenLeaseError, ClosedError, NotHeldError, SystemError, TimeoutError } from "../../lib/errors.ts";
import { untilClosed } from "../../lib/task/until_closed.ts";
import { decode, encode } from "../../lib/thread/codec.ts";
import type {
  Event,
  Lease,
  Lock,
  Queue,
  QueueStatistics,
  RLock,
  RLockStatistics,
  Semaphore,
  TryGetResult,
  TryPutResult,
  WaitOptions,
} from "../../lib/primitives.ts";

/** A method of a primitive, or `attach` or `release`, that a party is asked to call. */
interface PartyCall {
  method: string;
  subject: number;
  args: unknown[];
  /** Which argument is to have a signal. */
  signalAt?: number;
}

/** What a party is asked to do. */
export type PartyRequest = { id: number } & (PartyCall | { abort: true });

/** What it answers. */
export type PartyReply =
  | { id: number; value: unknown }
  | { id: number; error: { name: string; message: string } };

/** A way to a party and back. */
export interface PartyChannel {
  send(request: PartyRequest): void;
  /** Called with each answer. */
  receive: (reply: PartyReply) => void;
}

const LEASE = "lease:";
const ABORTED = "aborted";
const ERRORS = { BrokenLeaseError, ClosedError, NotHeldError, SystemError, TimeoutError, RangeError };

/**
 * The party's side.
 *
 * @param reply Sends an answer.
 * @param attach Makes the primitive of a handle: what the method `attach` is called with.
 * @returns Takes a request.
 */
export function party(
  reply: (reply: PartyReply) => void,
  attach: (...args: unknown[]) => unknown,
): (request: PartyRequest) => void {
  const subjects = new Map<number, unknown>();
  const leases = new Map<number, Lease>();
  const controllers = new Map<number, AbortController>();
  const call = async ({ id, method, subject, args, signalAt }: { id: number } & PartyCall) => {
    if (method === "attach") return void subjects.set(subject, await attach(...args));
    if (method === "release") {
      const lease = leases.get(subject);
      leases.delete(subject);
      return lease!.release();
    }
    if (signalAt !== undefined) {
      const controller = new AbortController();
      controllers.set(id, controller);
      args[signalAt] = { ...args[signalAt] as object, signal: controller.signal };
    }
    const target = subjects.get(subject) as Record<string, (...args: unknown[]) => unknown>;
    const value = await target[method]!(...args);
    if (typeof value !== "object" || value === null || !("release" in value)) return value;
    leases.set(id, value as Lease);
    return `${LEASE}${id}`;
  };
  return (request) => {
    if ("abort" in request) return controllers.get(request.id)?.abort(ABORTED);
    const { id } = request;
    call(request).then(
      (value) => reply({ id, value }),
      (error) =>
        reply({
          id,
          error: error === ABORTED
            ? { name: ABORTED, message: "" }
            : { name: error.name, message: error.message },
        }),
    ).finally(() => controllers.delete(id));
  };
}

/** Several parties that take turns: each operation is done by the next one. */
export class Parties {
  readonly #channels: readonly PartyChannel[];
  readonly #pending = new Map<number, { resolve(value: unknown): void; reject(reason: unknown): void }>();
  #ids = 0;
  #turn = 0;

  constructor(channels: readonly PartyChannel[]) {
    this.#channels = channels;
    for (const channel of channels) {
      channel.receive = (reply) => {
        const { resolve, reject } = this.#pending.get(reply.id)!;
        this.#pending.delete(reply.id);
        if (!("error" in reply)) return resolve(reply.value);
        const { name, message } = reply.error;
        const known = ERRORS[name as keyof typeof ERRORS];
        reject(name === ABORTED ? ABORTED : known ? new known(message) : new Error(`${name}: ${message}`));
      };
    }
  }

  /** Has every party attach a primitive; returns its number. */
  async attach(...args: unknown[]): Promise<number> {
    const subject = ++this.#ids;
    await Promise.all(
      this.#channels.map((channel) => this.#ask(channel, { method: "attach", subject, args })),
    );
    return subject;
  }

  /** Has the next party call a method. */
  async call<T>(subject: number, method: string, args: unknown[] = []): Promise<T> {
    const channel = this.#channels[this.#turn++ % this.#channels.length]!;
    const signalAt = args.findIndex((arg) => (arg as WaitOptions | undefined)?.signal !== undefined);
    const { signal, ...rest } = (args[signalAt] ?? {}) as WaitOptions;
    if (signal !== undefined) {
      signal.throwIfAborted();
      args = args.with(signalAt, rest);
    }
    const request = { method, subject, args, ...(signal !== undefined && { signalAt }) };
    const abort = () => channel.send({ id, abort: true });
    const id = this.#ids + 1;
    const answer = this.#ask(channel, request);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      const value = await answer;
      return (typeof value === "string" && value.startsWith(LEASE)
        ? this.#lease(channel, value)
        : value) as T;
    } catch (error) {
      throw error === ABORTED ? signal!.reason : error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  #lease(channel: PartyChannel, value: string): Lease {
    let held = true;
    const release = () => {
      if (!held) throw new NotHeldError("released already");
      held = false;
      void this.#ask(channel, { method: "release", subject: Number(value.slice(LEASE.length)), args: [] });
    };
    return { release, [Symbol.dispose]: () => void (held && release()) };
  }

  #ask(channel: PartyChannel, request: PartyCall): Promise<unknown> {
    const id = ++this.#ids;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      channel.send({ id, ...request });
    });
  }
}

/** A primitive that the parties share. */
export class Shared implements RLock, Lock, Semaphore, Event, Queue<string> {
  readonly #parties: Parties;
  readonly #subject: number;

  constructor(parties: Parties, subject: number) {
    this.#parties = parties;
    this.#subject = subject;
  }

  // deno-lint-ignore no-explicit-any
  #call(method: string, ...args: unknown[]): Promise<any> {
    return this.#parties.call(this.#subject, method, args);
  }

  acquire = (options?: WaitOptions): Promise<Lease> => this.#call("acquire", options);
  tryAcquire = (options?: object): Promise<Lease | undefined> => this.#call("tryAcquire", options);
  resize = (permits: number): Promise<void> => this.#call("resize", permits);
  set = (data?: string): Promise<void> => this.#call("set", data);
  clear = (): Promise<void> => this.#call("clear");
  pulse = (data?: string): Promise<void> => this.#call("pulse", data);
  isSet = (): Promise<boolean> => this.#call("isSet");
  wait = (options?: WaitOptions): Promise<never> => this.#call("wait", options) as Promise<never>;
  put = (item: string, options?: WaitOptions): Promise<void> => this.#call("put", item, options);
  tryPut = (item: string, options?: object): Promise<TryPutResult> => this.#call("tryPut", item, options);
  get = (options?: WaitOptions): Promise<string> => this.#call("get", options);
  tryGet = (): Promise<TryGetResult<string>> => this.#call("tryGet");
  taskDone = (): Promise<void> => this.#call("taskDone");
  join = (options?: WaitOptions): Promise<void> => this.#call("join", options);
  close = (): Promise<void> => this.#call("close");
  drain = (): Promise<string[]> => this.#call("drain");
  // deno-lint-ignore no-explicit-any
  statistics = (): Promise<any & RLockStatistics & QueueStatistics> => this.#call("statistics");

  [Symbol.asyncIterator](): AsyncGenerator<string, void, undefined> {
    return untilClosed(() => this.get());
  }
}

/** A message as a line of text; any value that can be cloned can be in it. */
export function toLine(message: unknown): string {
  return `${btoa(Array.from(encode(message), (byte) => String.fromCharCode(byte)).join(""))}\n`;
}

/** The message of a line. */
export function fromLine(line: string): unknown {
  return decode(Uint8Array.from(atob(line), (character) => character.charCodeAt(0)));
}

/** The lines of a stream. */
export async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const all = (rest + chunk).split("\n");
    rest = all.pop()!;
    yield* all;
  }
}

/** Starts a party that is a process, of a module that reads requests from stdin. It ends with this process. */
export function startProcess(module: string): PartyChannel {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-check", "--no-lock", module],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  child.unref();
  const writer = child.stdin.getWriter();
  const encoder = new TextEncoder();
  const channel: PartyChannel = {
    send: (request) => void writer.write(encoder.encode(toLine(request))),
    receive: () => {},
  };
  void (async () => {
    for await (const line of lines(child.stdout)) channel.receive(fromLine(line) as PartyReply);
  })();
  return channel;
}
