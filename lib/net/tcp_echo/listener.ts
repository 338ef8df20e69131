/**
 * Where a TCP echo server listens.
 *
 * @module
 */

import { reason, SystemError, UsageError } from "../../errors.ts";
import { type Address, type Endpoint, formatEndpoint } from "../address.ts";
import { listenError } from "../socket/listen_error.ts";
import { socketCalls } from "../socket/libc.ts";
import { type LibcConnection, LibcListener, type Receiver, type Sender } from "../socket/tcp.ts";
import { Backlog, takeOver } from "../socket/listening_sockets.ts";

/** A certificate chain and its private key, both in PEM. */
export interface TlsIdentity {
  cert: string;
  key: string;
}

/** A connection, as it is served: one of the runtime, or of the C library, which has no promise for every message. */
export type EchoSocket = Pick<LibcConnection, "read" | "write" | "closeWrite" | "close" | "setNoDelay">;

/** Whose sockets serve: those of the runtime, or what is fastest here. */
export type EchoSockets = "fastest" | "runtime";

/** Where clients are accepted. */
export interface EchoListener extends AsyncDisposable {
  /** Waits for clients, and returns one or more: `most` at most. */
  accept(most: number): Promise<readonly EchoSocket[]>;
  /** Ends to listen, and an `accept` that waits. */
  close(): void;
  /** Whether clients wait to be accepted at this moment; undefined where nobody can tell. */
  hasWaiting(): boolean | undefined;
}

/** Options of {@link listen}. */
export interface ListenOptions {
  /** Speaks TLS with it. */
  tls?: TlsIdentity | undefined;
  /** Whether other threads of this process listen there, too (SO_REUSEPORT); a port that somebody else has is then no error. */
  reusePort?: boolean;
}

/**
 * Listens for clients. A Unix socket whose server is gone is replaced.
 *
 * @param endpoint Where; port 0 is one that is free.
 * @throws {SystemError} If that is not possible.
 * @throws {UsageError} If the certificate or its key cannot be used.
 */
export async function listen(endpoint: Endpoint, options: ListenOptions = {}): Promise<Deno.Listener> {
  if (!("path" in endpoint)) return listenAt(endpoint, options);
  const { path } = endpoint;
  await removeStale(path);
  try {
    return Deno.listen({ transport: "unix", path });
  } catch (error) {
    throw new SystemError(`cannot listen at ${formatEndpoint(endpoint)}: ${unixProblem(error, path)}`, {
      cause: error,
    });
  }
}

/** Where a listener listens. */
export function endpointOf({ addr }: Deno.Listener): Endpoint {
  if (addr.transport === "unix") return { path: (addr as Deno.UnixAddr).path };
  const { hostname, port } = addr as Deno.NetAddr;
  return { hostname, port };
}

/**
 * Accepts clients of a listener: by the calls of the C library where there are any and the bytes are to go as they are, else by the runtime.
 * On Linux as many may wait to be accepted as the system allows.
 *
 * @param listener Belongs to what is returned.
 * @param options `sockets`: `runtime` for no calls of the C library.
 */
export function accepting(
  listener: Deno.Listener,
  { tls, sockets }: { tls: TlsIdentity | undefined; sockets: EchoSockets },
): EchoListener {
  const isPlain = listener.addr.transport === "tcp" && tls === undefined;
  const descriptor = isPlain && sockets === "fastest" ? takeOver(listener) : undefined;
  return descriptor === undefined ? new RuntimeListener(listener) : acceptingAt(descriptor);
}

/** The same at a socket that was taken over. */
export function acceptingAt(descriptor: number): EchoListener {
  return new LibcListener(descriptor, socketCalls()!);
}

class RuntimeSocket implements EchoSocket {
  readonly #connection: Deno.Conn & Partial<Pick<Deno.TcpConn, "setNoDelay">>;

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  read(bytes: Uint8Array, { received, failed }: Receiver): void {
    this.#connection.read(bytes).then(received, failed);
  }

  write(bytes: Uint8Array, { sent, failed }: Sender): void {
    this.#connection.write(bytes).then(sent, failed);
  }

  closeWrite(): Promise<void> {
    return this.#connection.closeWrite();
  }

  close(): void {
    this.#connection.close();
  }

  setNoDelay(isOn: boolean): void {
    // Not at Unix sockets, and not with TLS in older runtimes.
    this.#connection.setNoDelay?.(isOn);
  }
}

class RuntimeListener implements EchoListener {
  readonly #listener: Deno.Listener;
  readonly #backlog: Backlog | undefined;

  constructor(listener: Deno.Listener) {
    this.#listener = listener;
    this.#backlog = Backlog.of(listener.addr);
  }

  async accept(): Promise<EchoSocket[]> {
    return [new RuntimeSocket(await this.#listener.accept())];
  }

  close(): void {
    this.#listener.close();
  }

  hasWaiting(): boolean | undefined {
    return this.#backlog === undefined ? undefined : !this.#backlog.isEmpty();
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Which file is at a path, to tell later whether it is still the same; undefined if there is none. */
export function fileAt(path: string): string | undefined {
  try {
    const { dev, ino, birthtime } = Deno.lstatSync(path);
    return `${dev}:${ino}:${birthtime?.getTime()}`;
  } catch {
    return undefined;
  }
}

function listenAt(endpoint: Address, { tls, reusePort = false }: ListenOptions): Deno.Listener {
  try {
    const options = { ...endpoint, reusePort };
    return tls === undefined ? Deno.listen(options) : Deno.listenTls({ ...options, ...tls });
  } catch (error) {
    const text = reason(error);
    const isIdentity = tls !== undefined &&
      (/certificate|key/i.test(text) || error instanceof Deno.errors.InvalidData);
    if (!isIdentity) throw listenError(error, endpoint);
    throw new UsageError(
      `cannot listen at ${
        formatEndpoint(endpoint)
      }: the certificate or its key cannot be used: ${text}: both must be PEM, and belong together`,
      { cause: error },
    );
  }
}

function unixProblem(error: unknown, path: string): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such directory: make it, or choose another";
  if (error instanceof Deno.errors.PermissionDenied) return "not permitted: choose another directory";
  if (error instanceof Deno.errors.AddrInUse) return "something else is there: choose another path";
  if (/SUN_LEN/.test(reason(error))) {
    return `the path is too long with ${
      new TextEncoder().encode(path).length
    } bytes: choose one of up to 107`;
  }
  return `${reason(error)}: choose another path`;
}

/**
 * Removes the socket of a server that is gone.
 *
 * @throws {SystemError} If a server answers there, or something else is there.
 */
async function removeStale(path: string): Promise<void> {
  const found = await Deno.lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket) {
    throw new SystemError(
      `cannot listen at unix:${path}: a file that is no socket is there: choose another path`,
    );
  }
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    // Nobody has it open any more.
    if (error instanceof Deno.errors.ConnectionRefused) await Deno.remove(path).catch(() => {});
    return;
  }
  throw new SystemError(`cannot listen at unix:${path}: another server answers there: choose another path`);
}
