/**
 * `conc spawn --detach`: the supervisor runs in a session of its own, and whoever started it goes on.
 *
 * The two talk once. The one that stays writes what it was told to the other's stdin, which answers with a line: who it is, or what went
 * wrong. So all that can be wrong at the start is said where it can be read.
 *
 * @module
 */

import { SystemError } from "../lib/errors.ts";
import { selfWords } from "../lib/process/self.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import type { Context } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import { errorLine, exitCodeOf, SUCCESS } from "./exit_code.ts";
import type { SpawnFlags } from "./spawn_flags.ts";
import { supervise } from "./spawn_supervise.ts";

type Flags = SpawnFlags & CommonFlags;

/** What the supervisor answers. */
type Answer = { pid: number; commandPid: number } | { exitCode: number; line: string | undefined };

/** Starts the supervisor, and prints who it is. */
export async function detach(
  context: Context,
  { flags, typed }: { flags: Flags; typed: readonly string[] },
): Promise<number> {
  const answer = await ask({ flags, typed });
  if ("exitCode" in answer) {
    if (answer.line !== undefined) await context.stderr.write(`${answer.line}\n`);
    return answer.exitCode;
  }
  const { pid, commandPid } = answer;
  await context.stdout.write(flags.json ? ndjson({ type: "detached", pid, commandPid }) : `${pid}\n`);
  return SUCCESS;
}

/** Is the supervisor. */
export async function superviseDetached(context: Context, typed: readonly string[]): Promise<number> {
  let isAnswered = false;
  const reply = async (answer: Answer) => {
    if (isAnswered) return;
    isAnswered = true;
    await context.stdout.write(ndjson({ type: "answer", ...answer }));
  };
  try {
    const told: Flags = await new Response(context.stdin).json();
    // Nobody is there to read records.
    const flags: Flags = { ...told, json: false, color: "never" };
    return await supervise(context, {
      ...{ flags, typed },
      detached: (commandPid) => reply({ pid: Deno.pid, commandPid }),
    });
  } catch (error) {
    await reply({
      exitCode: exitCodeOf(error),
      line: errorLine(error, Boolean(context.env.get("CONC_DEBUG"))),
    });
    return exitCodeOf(error);
  }
}

async function ask({ flags, typed }: { flags: Flags; typed: readonly string[] }): Promise<Answer> {
  const [program, ...first] = selfWords();
  const child = new Deno.Command(program!, {
    args: [...first, "spawn", "--detached", "--", ...typed],
    ...{ stdin: "piped", stdout: "piped", stderr: "null" },
    detached: true,
  }).spawn();
  child.unref();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(flags)));
  await writer.close();
  const line = await firstLine(child.stdout);
  if (line === undefined) {
    throw new SystemError("cannot detach as the supervisor ended at once: try it without --detach");
  }
  return JSON.parse(line);
}

/** The first line of a stream; undefined if it ends before there is one. */
async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string | undefined> {
  let text = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (text.includes("\n")) return text.slice(0, text.indexOf("\n"));
  }
  return undefined;
}
