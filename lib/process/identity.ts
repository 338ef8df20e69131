/**
 * Processes, told apart for good.
 *
 * @module
 */

import type { Identity } from "../named.ts";
import { readProcess } from "./proc.ts";

let self: Identity | undefined;

/** This process. */
export function thisProcess(): Identity {
  self ??= identityOf(Deno.pid);
  return self!;
}

/** A process of this pid namespace; undefined if there is none of that id. */
export function identityOf(pid: number): Identity | undefined {
  const namespace = pidNamespace();
  if (Deno.build.os !== "linux") return answers(pid) ? { pid, started: 0, namespace } : undefined;
  const entry = readProcess(pid);
  if (entry === undefined || entry.state === "Z" || entry.state === "X") return undefined;
  return { pid, started: entry.startTicks, namespace };
}

/** Whether a process of this pid namespace lives. */
export function livesAs({ pid, started }: Pick<Identity, "pid" | "started">): boolean {
  return identityOf(pid)?.started === started;
}

/** The pid namespace of this process; empty where there are none. */
export function pidNamespace(): string {
  try {
    return Deno.build.os === "linux" ? Deno.readLinkSync("/proc/self/ns/pid") : "";
  } catch {
    return "";
  }
}

/** Whether signals reach a process, or a group: kill(2) with signal 0, which only Node's interface has. */
export function answers(id: number): boolean {
  try {
    // The global is loaded when it is first used; an import of node:process would cost every start 40 ms.
    const { process } = globalThis as unknown as { process: { kill(id: number, signal: 0): boolean } };
    return process.kill(id, 0);
  } catch {
    return false;
  }
}
