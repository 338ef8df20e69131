/**
 * What the kernel says of processes: /proc (proc(5)). Linux only; elsewhere the lists are empty.
 *
 * @module
 */

/** USER_HZ, which is the same on every processor that Deno runs on. */
const TICKS_PER_SECOND = 100;

/** One process, as `/proc/PID/stat` shows it. */
export interface ProcessEntry {
  pid: number;
  /** What it is called: the first 15 bytes of its program's name, unless it gave itself another. */
  name: string;
  /** `Z` is a zombie, `T` is stopped. */
  state: string;
  /** The parent's process id. */
  ppid: number;
  /** The process group. */
  pgid: number;
  /** The session. */
  sid: number;
  /** The process group in the foreground of its terminal; -1 without a terminal. */
  foregroundPgid: number;
  /** How many threads it has; of a zombie one. */
  threads: number;
  /** When it started, in clock ticks since boot: with `pid` it names a process for good. */
  startTicks: number;
}

/** Every process that can be seen at this moment. */
export function listProcesses(): ProcessEntry[] {
  if (Deno.build.os !== "linux") return [];
  const entries: ProcessEntry[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    const entry = /^\d+$/.test(name) ? readProcess(Number(name)) : undefined;
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/** One process; undefined if there is none of that id. */
export function readProcess(pid: number): ProcessEntry | undefined {
  const stat = readEntry(pid, "stat");
  if (stat === undefined) return undefined;
  // The command's name stands in parentheses and may itself hold any of them.
  const nameEnd = stat.lastIndexOf(")");
  const fields = stat.slice(nameEnd + 2).split(" ");
  return {
    pid,
    name: stat.slice(stat.indexOf("(") + 1, nameEnd),
    state: fields[0]!,
    ppid: Number(fields[1]),
    pgid: Number(fields[2]),
    sid: Number(fields[3]),
    foregroundPgid: Number(fields[5]),
    threads: Number(fields[17]),
    startTicks: Number(fields[19]),
  };
}

/**
 * When a process started, in milliseconds since the epoch by the clock as it is set now; undefined if there is none of that id.
 *
 * @param pid Its process id.
 */
export function startedAtMs(pid: number): number | undefined {
  const entry = readProcess(pid);
  if (entry === undefined) return undefined;
  const uptimeMs = Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]) * 1_000;
  return Date.now() - uptimeMs + entry.startTicks * (1_000 / TICKS_PER_SECOND);
}

/**
 * The children of this process, zombies included: a look at our own threads, where {@link listProcesses} looks at all processes. Of several
 * it may leave some out while others end, but not all.
 *
 * @returns Their process ids; undefined where the kernel does not tell (before Linux 3.5, or built without CONFIG_PROC_CHILDREN).
 */
export function listChildren(): number[] | undefined {
  if (Deno.build.os !== "linux") return undefined;
  try {
    // A child belongs to the thread that started it.
    return [...Deno.readDirSync("/proc/self/task")].flatMap(({ name }) =>
      Deno.readTextFileSync(`/proc/self/task/${name}/children`).split(" ").filter(Boolean).map(Number)
    );
  } catch {
    return undefined;
  }
}

/** Whether this process has children, zombies included; true where nobody can tell. */
export function mayHaveChildren(): boolean {
  return (listChildren() ?? [0]).length > 0;
}

/** The environment that a process was started with; empty if it cannot be read. */
export function readEnvironment(pid: number): string[] {
  return readEntry(pid, "environ")?.split("\0") ?? [];
}

/** The command line of a process, as far as it can be read; undefined if it cannot. */
export function readCommand(pid: number): string | undefined {
  return readEntry(pid, "cmdline")?.split("\0").join(" ").trim() || undefined;
}

/** Our process group, if it is in the foreground of a terminal, so that a key pressed there signals the whole group. */
export function foregroundGroup(): number | undefined {
  const self = Deno.build.os === "linux" ? readProcess(Deno.pid) : undefined;
  return self !== undefined && self.foregroundPgid === self.pgid ? self.pgid : undefined;
}

/**
 * Whether nobody in our session is there to continue us once we are stopped, so that the kernel stops nobody of our process group for SIGTSTP
 * (POSIX 3.255, orphaned process group; 11.1.4): what leads a session of its own, or whose shell has ended. False where nobody can tell.
 */
export function isGroupOrphaned(): boolean {
  const self = Deno.build.os === "linux" ? readProcess(Deno.pid) : undefined;
  if (self === undefined) return false;
  let parent = readProcess(self.ppid);
  while (parent !== undefined && parent.pgid === self.pgid) parent = readProcess(parent.ppid);
  return parent?.sid !== self.sid;
}

/** The most memory that a process had at a time since it executed its program (VmHWM); undefined if it is gone or nobody can tell. */
export function peakBytesOf(pid: number): number | undefined {
  const kib = /^VmHWM:\s*(\d+) kB$/m.exec(readEntry(pid, "status") ?? "")?.[1];
  return kib === undefined ? undefined : Number(kib) * 1_024;
}

/**
 * Whether this process ignores a signal, as whoever started it had it do: nohup(1) does so of SIGHUP. Once something listens for it, it
 * does not. False where nobody can tell.
 *
 * @param number The signal's number.
 */
export function ignoresSignal(number: number): boolean {
  const [, mask = "0"] = /^SigIgn:\s*(\w+)$/m.exec(readEntry(Deno.pid, "status") ?? "") ?? [];
  return (BigInt(`0x${mask}`) >> BigInt(number - 1) & 1n) === 1n;
}

/** A file of a process; undefined if the process is gone, or is another user's. */
export function readEntry(
  pid: number,
  name: "stat" | "status" | "environ" | "cmdline" | "cgroup",
): string | undefined {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/${name}`);
  } catch (error) {
    // To be refused by Deno itself would mean that no descendant is ever found: that is no answer.
    if (error instanceof Deno.errors.NotCapable) throw error;
    return undefined;
  }
}
