/**
 * The calls to the C library that Deno has no name for. Linux only; elsewhere each function says that it did nothing.
 *
 * @module
 */

const PR_SET_CHILD_SUBREAPER = 36;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x0100_0000;
const P_PID = 1;
const RUSAGE_CHILDREN = -1;
const POLLERR = 0x8;
const O_RDWR = 0o2;
const O_CREAT = 0o100;
const O_CLOEXEC = 0o2000000;
const SIG_IGN = 1n;
const LOCK_EX = 2;
const LOCK_NB = 4;
/** The number of the system call waitid(2), which differs from one kind of processor to another. */
const SYS_WAITID: Readonly<Record<string, bigint>> = { x86_64: 247n, aarch64: 95n };
/** The size of a struct rusage in words of 64 bits. */
const RUSAGE_WORDS = 18;

const SYMBOLS = {
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  wait4: { parameters: ["i32", "buffer", "i32", "buffer"], result: "i32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  getrusage: { parameters: ["i32", "buffer"], result: "i32" },
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  flock: { parameters: ["i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  signal: { parameters: ["i32", "usize"], result: "usize" },
  waitid: {
    name: "syscall",
    parameters: ["i64", "i64", "i64", "buffer", "i64", "buffer"],
    result: "i64",
    nonblocking: true,
  },
} as const;

/** What processes took of the machine, as the kernel counts it (getrusage(2)). */
export interface KernelUsage {
  userMs: number;
  systemMs: number;
  /** The most memory that one of them had at a time. Until it executes something a child counts as large as who started it. */
  peakBytes: number;
}

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
 * Reaps a zombie child without waiting (wait4(2), WNOHANG). Only for children that Deno did not start: it waits for its own.
 *
 * @param pid The process id of the zombie.
 * @returns What it took of the machine; undefined if it is not gone.
 */
export function reap(pid: number): KernelUsage | undefined {
  const usage = new BigInt64Array(RUSAGE_WORDS);
  return open()?.symbols.wait4(pid, new Int32Array(1), WNOHANG, usage) === pid ? readUsage(usage) : undefined;
}

/**
 * Waits for a child to end, but leaves the waiting that counts to Deno (waitid(2), WNOWAIT): so it may be gone before it was looked at.
 * A thread waits, of which Deno has 32.
 *
 * @param pid The process id of a child of ours.
 * @returns What it took of the machine, with those of its children that it waited for; undefined if Deno was faster, or the kernel is another.
 */
export async function watchEnd(pid: number): Promise<KernelUsage | undefined> {
  const number = SYS_WAITID[Deno.build.arch];
  const library = open();
  if (library === null || number === undefined) return undefined;
  // The thread writes to it: it is kept from being collected by being read afterwards. Nobody reads a siginfo_t, so none is asked for.
  const usage = new BigInt64Array(RUSAGE_WORDS);
  const { waitid } = library.symbols;
  const result = await waitid(number, BigInt(P_PID), BigInt(pid), null, BigInt(WEXITED | WNOWAIT), usage);
  return Number(result) === 0 ? readUsage(usage) : undefined;
}

/**
 * Ignores a signal, as do then all that this process starts (signal(2), SIG_IGN).
 *
 * @param number The signal's number.
 */
export function ignoreSignal(number: number): void {
  open()?.symbols.signal(number, SIG_IGN);
}

/** What all children took together that were waited for, whoever waited; undefined where nobody can tell. */
export function childrenUsage(): KernelUsage | undefined {
  return usageOf(RUSAGE_CHILDREN);
}

/**
 * Opens a file, makes it if it is not there, and locks it, without waiting, until it is closed or this process is gone, however that comes
 * about (flock(2)). No child inherits it.
 *
 * @param path The file.
 * @returns Its descriptor; `held` if somebody else has the lock; undefined if it cannot be opened, or where this cannot be done.
 */
export function lockFile(path: string): number | "held" | undefined {
  const library = open();
  if (library === null) return undefined;
  const name = new TextEncoder().encode(`${path}\0`);
  const fd = library.symbols.open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0o644);
  if (fd < 0) return undefined;
  if (library.symbols.flock(fd, LOCK_EX | LOCK_NB) === 0) return fd;
  library.symbols.close(fd);
  return "held";
}

/**
 * Closes what this process inherited besides stdin, stdout and stderr. It was not to be closed when this program was executed, as everything is
 * that the runtime opened since (open(2), O_CLOEXEC).
 */
export function closeInherited(): void {
  const library = open();
  if (library === null) return;
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    if (Number(name) > 2 && !closesOnExec(name)) library.symbols.close(Number(name));
  }
}

/** Closes what {@link lockFile} opened. */
export function unlockFile(fd: number): void {
  open()?.symbols.close(fd);
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

/** Whether a descriptor of ours is closed on exec; true of one that is gone (proc(5), fdinfo). */
function closesOnExec(fd: string): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`))?.[1] ?? "0";
    return (parseInt(flags, 8) & O_CLOEXEC) !== 0;
  } catch {
    return true;
  }
}

function usageOf(who: number): KernelUsage | undefined {
  const usage = new BigInt64Array(RUSAGE_WORDS);
  return open()?.symbols.getrusage(who, usage) === 0 ? readUsage(usage) : undefined;
}

/** struct rusage: seconds and microseconds of each time, then the peak in KiB. */
function readUsage(words: BigInt64Array): KernelUsage {
  const [userS, userUs, systemS, systemUs, peakKib] = [...words.subarray(0, 5)].map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ];
  return {
    userMs: userS * 1_000 + userUs / 1_000,
    systemMs: systemS * 1_000 + systemUs / 1_000,
    peakBytes: peakKib * 1_024,
  };
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
