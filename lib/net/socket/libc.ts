/**
 * The calls to the C library that sockets are made of. Linux with glibc only, on 64-bit little-endian machines; elsewhere there are none,
 * and the runtime's own sockets serve.
 *
 * @module
 */

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  inet_pton: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  if_nametoindex: { parameters: ["buffer"], result: "u32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  /** The same in a thread of the runtime, which waits there while the event loop goes on. */
  poll_aside: { name: "poll", parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  // The length is a size_t. As usize it would have to be a bigint: a number goes, too, but has V8 throw away what it compiled, again and
  // again. As 32 bits it is passed in the same register, whose upper half is then 0.
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "u32", "i32", "buffer", "u32"], result: "i32" },
  recvfrom: { parameters: ["i32", "buffer", "u32", "i32", "buffer", "buffer"], result: "i32" },
  sendmmsg: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  recvmmsg: { parameters: ["i32", "buffer", "u32", "i32", "pointer"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  eventfd_write: { parameters: ["i32", "u64"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  /** The same in a thread of the runtime. */
  epoll_wait_aside: {
    name: "epoll_wait",
    parameters: ["i32", "buffer", "i32", "i32"],
    result: "i32",
    nonblocking: true,
  },
  /** Waits for less than a millisecond, too; since glibc 2.35 and Linux 5.11. */
  epoll_pwait2: { parameters: ["i32", "buffer", "i32", "buffer", "pointer"], result: "i32", optional: true },
  strerror: { parameters: ["i32"], result: "pointer" },
  __errno_location: { parameters: [], result: "pointer" },
} as const;

/** The calls, and why the last one failed. */
export interface SocketCalls {
  calls: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  /** The error number of the call that has just failed. */
  errorNumber(): number;
}

let opened: SocketCalls | null | undefined;

/** The calls; undefined where there are none. */
export function socketCalls(): SocketCalls | undefined {
  opened ??= Deno.build.os === "linux" && /^(x86_64|aarch64)$/.test(Deno.build.arch) ? tryOpen() : null;
  return opened ?? undefined;
}

/** The error that an error number stands for. */
export function socketError({ calls }: SocketCalls, number: number): Error {
  return new Error(Deno.UnsafePointerView.getCString(calls.strerror(number)!));
}

function tryOpen(): SocketCalls | null {
  try {
    const { symbols } = Deno.dlopen("libc.so.6", SYMBOLS);
    const errno = new Deno.UnsafePointerView(symbols.__errno_location()!);
    return { calls: symbols, errorNumber: () => errno.getInt32() };
  } catch {
    return null;
  }
}
