/**
 * Whether a command succeeds.
 *
 * @module
 */

import { bytesToText, concatBytes } from "../bytes.ts";
import { capture } from "../process/capture.ts";
import { shellWords } from "../process/command_line.ts";
import { describeStatus } from "../process/exit_status.ts";
import { spawn } from "../process/spawn.ts";
import type { Look } from "../time/poll.ts";

/** From the signal that asks to SIGKILL. */
const GRACE_MS = 1_000;
/** How much of what it says last is kept. */
const KEPT_BYTES = 1_024;
const SHOWN_CHARACTERS = 80;

/**
 * Runs a script for the shell; it holds if that exits 0. Its output is nobody's, but for the last line of what it says on stderr, which
 * says what was wrong.
 *
 * Cancel safety: when it settles, nothing that the script started is left, also if it was aborted.
 *
 * @param script What `sh -c` runs.
 * @throws {SpawnError} If there is no shell.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const { signal } = new AbortController();
 * assertEquals(await probeCommand("echo no >&2; exit 3", signal), { holds: false, seen: "exit code 3: no" });
 * ```
 */
export async function probeCommand(script: string, signal: AbortSignal): Promise<Look> {
  signal.throwIfAborted();
  const child = spawn(shellWords(script), { stdout: "piped", stderr: "piped" });
  const end = () => void child.end("cancelled", { graceMs: GRACE_MS });
  signal.addEventListener("abort", end, { once: true });
  let said: Uint8Array = new Uint8Array();
  try {
    const status = await capture(child, (stream, bytes) => {
      if (stream === "stderr") said = concatBytes([said, bytes]).slice(-KEPT_BYTES);
    });
    signal.throwIfAborted();
    const message = lastLine(said);
    const seen = `${describeStatus(status)}${message === "" ? "" : `: ${message}`}`;
    return { holds: status.exitCode === 0, seen: status.exitCode === 0 ? "succeeds" : seen };
  } finally {
    signal.removeEventListener("abort", end);
    await child.end("over", { graceMs: GRACE_MS });
  }
}

function lastLine(bytes: Uint8Array): string {
  const line = bytesToText(bytes).trimEnd().split("\n").at(-1)!;
  // deno-lint-ignore no-control-regex
  return line.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ").trim().slice(0, SHOWN_CHARACTERS);
}
