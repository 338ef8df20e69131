/**
 * What a command gets from outside: streams, environment, clock. Tests hand in their own and need no subprocess.
 *
 * @module
 */

import { Output, OutputQueue } from "../lib/report/output.ts";

/** What a command may use of the world. */
export interface Context {
  /** Bytes to work on. */
  readonly stdin: ReadableStream<Uint8Array>;
  /** Whether a person types at stdin. */
  readonly stdinIsTerminal: boolean;
  /** For data. */
  readonly stdout: Output;
  /** For people. */
  readonly stderr: Output;
  /** Environment variables. */
  readonly env: { get(name: string): string | undefined };
  /** Width of the terminal in columns; 80 where there is none. */
  columns(): number;
  /** Height of the terminal in rows; 24 where there is none. */
  rows(): number;
  /** Wall-clock time in milliseconds since the epoch. */
  now(): number;
  /** Monotonic time in milliseconds. */
  monotonic(): number;
}

/** The context of this process. */
export function processContext(): Context {
  // On one screen a piece for people is not to break one of data.
  const queue = new OutputQueue();
  return {
    get stdin() {
      return Deno.stdin.readable;
    },
    stdinIsTerminal: Deno.stdin.isTerminal(),
    stdout: new Output(Deno.stdout, "stdout", Deno.stdout.isTerminal() ? { queue } : {}),
    stderr: new Output(Deno.stderr, "stderr", Deno.stderr.isTerminal() ? { queue } : {}),
    env: Deno.env,
    columns: () => size().columns || 80,
    rows: () => size().rows || 24,
    now: Date.now,
    monotonic: () => performance.now(),
  };
}

/** Says something to people: `conc: text` on stderr, on a line of its own. */
export function say(context: Pick<Context, "stderr">, text: string): Promise<void> {
  return context.stderr.writeLines(`conc: ${text}\n`);
}

/** Whether to colour what goes to `output`. */
export function wantsColor(context: Context, output: Output, color: "auto" | "always" | "never"): boolean {
  if (color !== "auto") return color === "always";
  return output.isTerminal && !context.env.get("NO_COLOR") && context.env.get("TERM") !== "dumb";
}

function size(): { columns: number; rows: number } {
  try {
    return Deno.consoleSize();
  } catch {
    return { columns: 80, rows: 24 };
  }
}
