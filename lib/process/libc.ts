/**
 * The calls to the C library that Deno has no name for. Linux only; elsewhere each function says that it did nothing.
 *
 * @module
 */

const PR_SET_CHILD_SUBREAPER = 36;
const WNOHANG = 1;
const POLLERR = 0x8;

const SYMBOLS = {
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
} as const;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | null | undefined;

/**
 * Makes this process the one that adopts its descendants' orphans (prctl(2), PR_SET_CHILD_SUBREAPER).
 *
 * @returns Whether it is now.
 */
export function becomeSubreaper(): boolean {
  return open()?.symbols.prctl(PR_SET_CHILD_SUBREAPER, 1n, 0n, 0n, 0n) === 0;
}

/**
 * Reaps a zombie child without waiting (waitpid(2), WNOHANG). Only for children that Deno did not start: it waits for its own.
 *
 * @param pid The process id of the zombie.
 * @returns Whether it is gone.
 */
export function reap(pid: number): boolean {
  return open()?.symbols.waitpid(pid, new Int32Array(1), WNOHANG) === pid;
}

/**
 * Whether a file descriptor that is written to has lost its reader (poll(2), POLLERR): a pipe whose other end was closed.
 *
 * @param fd The file descriptor, such as 1 for stdout.
 */
export function isReaderGone(fd: number): boolean {
  // struct pollfd: the descriptor; 16 bits of events that are asked for, none; 16 of those that are there.
  const entry = new DataView(new ArrayBuffer(8));
  entry.setInt32(0, fd, true);
  open()?.symbols.poll(entry, 1n, 0);
  return (entry.getInt16(6, true) & POLLERR) !== 0;
}

function open(): Deno.DynamicLibrary<typeof SYMBOLS> | null {
  library ??= Deno.build.os === "linux" ? tryOpen() : null;
  return library;
}

function tryOpen(): Deno.DynamicLibrary<typeof SYMBOLS> | null {
  try {
    return Deno.dlopen("libc.so.6", SYMBOLS);
  } catch {
    return null;
  }
}
