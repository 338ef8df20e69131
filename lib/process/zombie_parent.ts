/**
 * Why a process leaves its zombies: what the kernel tells of it, what that means, and what to do.
 *
 * A process that ended stays as a zombie until its parent waits for it (POSIX wait(2)); the kernel says so to the parent with SIGCHLD,
 * which by itself does nothing. A parent that ends leaves its zombies to whoever adopts them, who waits for them.
 *
 * @module
 */

import { type CgroupOwner, parseCgroup } from "./cgroup.ts";
import { quoteForShell } from "./command_line.ts";
import { signalNumber } from "./exit_status.ts";
import { readCommand, readEntry } from "./proc.ts";
import type { ProcessRow } from "./process_table.ts";

/** What a process does when a child of its ends. */
export type ChildSignal = "default" | "ignored" | "blocked" | "handled";

/** What is known of a zombie's parent. What cannot be told, or read, is undefined. */
export interface ParentFacts extends ProcessRow {
  /** How it was called, or its name. */
  command: string;
  /** Whose it is. */
  uid?: number;
  /** Who debugs it. */
  tracerPid?: number;
  /** What SIGCHLD does to it. */
  childSignal?: ChildSignal;
  /** Whether it is process 1 of a pid namespace: of a container, or of the machine. */
  isInit: boolean;
  /** What it belongs to. */
  owner: CgroupOwner;
}

/** Why a parent does not wait, in one word. */
export type ParentCause = "stopped" | "traced" | "hung" | "init" | ChildSignal | "unknown";

/** A command that one may run, and what comes of it. */
export interface Advice {
  command: string;
  does: string;
}

/** What it means. */
export interface Explanation {
  cause: ParentCause;
  /** For people. */
  why: string;
  /** What to run, the mildest first. */
  advice: Advice[];
}

/** What /proc tells of a process that the table has. Elsewhere than on Linux that is what the table tells. */
export function parentFacts(row: ProcessRow): ParentFacts {
  const status = parseStatus(readEntry(row.pid, "status") ?? "");
  return {
    ...row,
    command: readCommand(row.pid) ?? row.name,
    ...status,
    isInit: status.isInit || row.pid === 1,
    owner: parseCgroup(readEntry(row.pid, "cgroup") ?? ""),
  };
}

/**
 * Reads what matters here of `/proc/PID/status` (proc(5)).
 *
 * @param text What the file says; what it does not say is not in the answer.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const text = "TracerPid:\t0\nUid:\t1000\t1000\nNSpid:\t4711\t1\nSigBlk:\t0\nSigIgn:\t0\nSigCgt:\t0000000000010000\n";
 * assertEquals(parseStatus(text), { uid: 1000, childSignal: "handled", isInit: true });
 * ```
 */
export function parseStatus(
  text: string,
): Pick<ParentFacts, "uid" | "tracerPid" | "childSignal" | "isInit"> {
  const fields = new Map(
    text.split("\n").map((line) => {
      const [name, ...rest] = line.split(":");
      return [name!, rest.join(":").trim().split(/\s+/)];
    }),
  );
  const [uid] = fields.get("Uid") ?? [];
  const tracerPid = Number(fields.get("TracerPid")?.[0] ?? 0);
  // A process id for each pid namespace that the process is in, the innermost last.
  const isInit = fields.get("NSpid")?.at(-1) === "1";
  const has = (mask: string) => (BigInt(`0x${fields.get(mask)?.[0] ?? "0"}`) & CHILD_BIT) !== 0n;
  const childSignal = (): ChildSignal =>
    has("SigCgt") ? "handled" : has("SigIgn") ? "ignored" : has("SigBlk") ? "blocked" : "default";
  return {
    ...(uid !== undefined && { uid: Number(uid) }),
    ...(tracerPid > 0 && { tracerPid }),
    ...(fields.has("SigCgt") && { childSignal: childSignal() }),
    isInit,
  };
}

/** Bit N - 1 of a mask stands for signal N. */
const CHILD_BIT = 1n << BigInt(signalNumber("SIGCHLD") - 1);

/**
 * Says why a parent may not be waiting for its children, and what to do about it.
 *
 * @param facts What is known of the parent.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const row = { pid: 4710, ppid: 1, state: "T", isThreaded: false, ageMs: 1_000, name: "make" };
 * const { cause, advice } = explainParent({ ...row, command: "make all", isInit: false, owner: {} });
 * assertEquals([cause, advice[0]!.command], ["stopped", "kill -CONT 4710"]);
 * ```
 */
export function explainParent(facts: ParentFacts): Explanation {
  const { pid, tracerPid } = facts;
  const cause = causeOf(facts);
  const why = `it ${WHY[cause]}${tracerPid === undefined ? "" : ` (process ${tracerPid} traces it)`}`;
  return { cause, why, advice: [...FIRST[cause](pid), ...lastResort(facts)] };
}

function causeOf({ state, childSignal, isInit }: ParentFacts): ParentCause {
  if (state === "T") return "stopped";
  if (state === "t") return "traced";
  if (state === "D" || state === "U") return "hung";
  if (isInit) return "init";
  return childSignal ?? "unknown";
}

const WHY: Readonly<Record<ParentCause, string>> = {
  stopped: "is stopped, and waits for nobody until it is continued",
  traced: "is held by a debugger",
  hung: "hangs in the kernel, in a device or a file system, where no signal wakes it",
  init: "is process 1, who has to wait for all orphans too, and does not",
  default: "has no handler for SIGCHLD, so it is not told: it waits when it gets to that, or never",
  ignored: "ignores SIGCHLD: the kernel reaps what ends from now on, not what ended before",
  blocked: "blocks SIGCHLD, perhaps to read it from a file descriptor: it is busy, or has a defect",
  handled: "has a handler for SIGCHLD: it is busy, or has a defect",
  unknown: "has not waited for them",
};

const ask = (pid: number): Advice[] => [
  { command: `kill -CHLD ${pid}`, does: "tells it once more that a child has ended" },
];
const nothing = (): Advice[] => [];

const FIRST: Readonly<Record<ParentCause, (pid: number) => Advice[]>> = {
  stopped: (pid) => [{ command: `kill -CONT ${pid}`, does: "lets it go on" }],
  traced: nothing,
  hung: (
    pid,
  ) => [{ command: `cat /proc/${pid}/wchan`, does: "says where it hangs; the end of that is waited for" }],
  init: nothing,
  default: nothing,
  ignored: nothing,
  blocked: ask,
  handled: ask,
  unknown: ask,
};

/** What ends the parent, so that its zombies are adopted by one who waits. */
function lastResort({ pid, isInit, owner, tracerPid, state }: ParentFacts): Advice[] {
  const { service, isUserService, container, runtime = "docker" } = owner;
  const advice: Advice[] = [];
  if (state === "t" && tracerPid !== undefined) {
    advice.push({ command: `kill ${tracerPid}`, does: "ends the debugger, which lets it go on" });
  }
  if (isInit) {
    advice.push({
      command: "docker run --init …",
      does: "puts an init before it; so does tini, or conc spawn, before the container's command",
    });
  }
  if (container !== undefined) {
    const verb = runtime === "crictl" ? "stop" : "restart";
    advice.push({ command: `${runtime} ${verb} ${container}`, does: "restarts its container" });
  } else if (service !== undefined) {
    const user = isUserService ? "--user " : "";
    advice.push({
      command: `systemctl ${user}restart ${quoteForShell(service)}`,
      does: "restarts its service",
    });
  }
  // Without process 1 there is no machine, or no container.
  if (!isInit) {
    advice.push({ command: `kill ${pid}`, does: "ends it: who adopts the zombies waits for them" });
  }
  return advice;
}
