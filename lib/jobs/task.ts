/**
 * What `conc gather` runs: shell commands, and URLs to fetch. A task prints and ends like a process, whichever it is.
 *
 * @module
 */

import { reason, UsageError } from "../errors.ts";
import { capture, type Take } from "../process/capture.ts";
import { shellWords } from "../process/command_line.ts";
import { describeStatus } from "../process/exit_status.ts";
import { spawn } from "../process/spawn.ts";
import type { EndOptions } from "../process/terminate.ts";

/** One task, as it was asked for. */
export interface Task {
  /** What its output stands under. */
  name: string;
  /** A script for the shell, or a URL. */
  text: string;
  /** Whether it is a URL to fetch. */
  isUrl: boolean;
}

/** How a task ended. */
export interface TaskEnd {
  /** `exit`, `signal`, `response` (of a server), `error` (no response), or why it was ended: `cancelled`, `timeout`, `interrupted`. */
  cause: string;
  /** 0 if it worked. A task that was ended before it began has 125. */
  exitCode: number;
  /** The signal that ended a command. */
  signal?: string | undefined;
  /** The HTTP status of a response. */
  status?: number;
  /** Why there was no response. */
  error?: string;
}

/** How {@link runTask} runs a task. */
export interface TaskOptions {
  /** Ends the task when it is aborted. */
  signal: AbortSignal;
  /** What an aborted signal's reason means: the cause, and how to end a command. */
  ending: (reason: unknown) => { cause: string; options: EndOptions };
  /** Takes what it prints. */
  take: Take;
}

/** The exit code of a task that was ended before it began, or before its server had answered. */
export const NOT_RUN = 125;

/**
 * Reads a task: `NAME=TASK`, or a task that is its own name.
 *
 * @param word What was typed.
 * @throws {UsageError} If it is empty, or no URL though it begins like one.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseTask("eat=sleep 3; echo eaten"), { name: "eat", text: "sleep 3; echo eaten", isUrl: false });
 * assertEquals(parseTask("http://localhost/?a=b").name, "http://localhost/?a=b");
 * ```
 */
export function parseTask(word: string): Task {
  const [, name, text = word] = /^([\w.:-]{1,128})=(.*)$/s.exec(word) ?? [];
  if (text.trim() === "") throw new UsageError(`cannot run an empty task: received '${word}'`);
  const isUrl = /^https?:\/\//i.test(text);
  if (isUrl && !URL.canParse(text)) {
    throw new UsageError(`cannot fetch as this is no URL: received '${text}'`);
  }
  return { name: name ?? text, text, isUrl };
}

/**
 * Runs a task to its end.
 *
 * Cancel safety: when it resolves, nothing of the task is left, also if it was aborted.
 *
 * @throws What `take` throws.
 */
export function runTask(task: Task, options: TaskOptions): Promise<TaskEnd> {
  return task.isUrl ? fetchUrl(task.text, options) : runCommand(task.text, options);
}

/** How a task ended, for people: `exit 0`, `HTTP 404`, `SIGKILL`, `cancelled`. */
export function describeEnd({ cause, exitCode, signal, status, error }: TaskEnd): string {
  if (cause === "response") return `HTTP ${status}`;
  if (cause === "error") return `error: ${error}`;
  if (cause === "exit" || cause === "signal") {
    return describeStatus({ exitCode, signal }).replace("exit code", "exit");
  }
  return cause;
}

async function runCommand(script: string, { signal, ending, take }: TaskOptions): Promise<TaskEnd> {
  if (signal.aborted) return { cause: ending(signal.reason).cause, exitCode: NOT_RUN };
  const child = spawn(shellWords(script), { stdout: "piped", stderr: "piped" });
  let ended: Promise<void> | undefined;
  const end = () => {
    const { cause, options } = ending(signal.reason);
    ended = child.end(cause, options);
  };
  signal.addEventListener("abort", end, { once: true });
  try {
    const status = await capture(child, take);
    const cause = status.cause ?? (status.signal === undefined ? "exit" : "signal");
    return { cause, exitCode: status.exitCode, signal: status.signal };
  } catch (error) {
    ended ??= child.end("cancelled");
    throw error;
  } finally {
    signal.removeEventListener("abort", end);
    await ended;
  }
}

async function fetchUrl(url: string, { signal, ending, take }: TaskOptions): Promise<TaskEnd> {
  let response: Response;
  try {
    response = await fetch(url, { signal });
    const end = { cause: "response", exitCode: response.ok ? 0 : 1, status: response.status };
    for await (const chunk of response.body ?? []) await take("stdout", chunk);
    return end;
  } catch (error) {
    if (signal.aborted) return { cause: ending(signal.reason).cause, exitCode: NOT_RUN };
    if (!(error instanceof TypeError)) throw error;
    return { cause: "error", exitCode: 1, error: fetchProblem(error) };
  }
}

/** The innermost of what went wrong: `error sending request for url (…): …: Connection refused (os error 111)`. */
function fetchProblem(error: Error): string {
  const inner = error.cause instanceof Error ? error.cause : error;
  return reason(new Error(inner.message.replace(/ \(os error \d+\).*$/s, "").split(": ").at(-1)));
}
