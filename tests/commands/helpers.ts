/**
 * A context without a process, and a command to run in it.
 *
 * @module
 */

import type { Context } from "../../commands/context.ts";
import { type Command, command, type CommandEntry, isGroup } from "../../commands/declaration.ts";
import { REGISTRY } from "../../commands/registry.ts";
import { parseCount } from "../../lib/units.ts";
import { type MemorySink, outputs } from "../helpers.ts";

/** What a command may use of the world, and where its output goes. */
export function fakeContext(env: Record<string, string> = {}, options: { terminal?: boolean } = {}): {
  context: Context;
  out: MemorySink;
  err: MemorySink;
} {
  const { stdout, stderr, out, err } = outputs(options);
  const context: Context = {
    stdin: ReadableStream.from<Uint8Array>([]),
    stdinIsTerminal: false,
    stdout,
    stderr,
    env: { get: (name) => env[name] },
    columns: () => 80,
    rows: () => 24,
    now: () => 0,
    monotonic: () => 0,
  };
  return { context, out, err };
}

/** Every command that runs, by the words that call it. */
export async function allCommands(): Promise<[string[], Command][]> {
  return await commandsBelow([], REGISTRY);
}

async function commandsBelow(
  path: string[],
  entries: Readonly<Record<string, CommandEntry>>,
): Promise<[string[], Command][]> {
  const found: [string[], Command][] = [];
  for (const [name, { load }] of Object.entries(entries)) {
    const loaded = await load();
    const words = [...path, name];
    if (!isGroup(loaded)) found.push([words, loaded]);
    else {
      if (loaded.main !== undefined) found.push([words, loaded.main]);
      found.push(...await commandsBelow(words, loaded.subcommands));
    }
  }
  return found;
}

/** What {@link SAMPLE} is given. */
export type SampleFlags = {
  jobs?: number;
  keepOrder: boolean;
  shell?: boolean;
  file?: readonly string[];
  size: number;
};

/** A command with a flag of each kind. It prints what it got. */
export const SAMPLE: Command = command<SampleFlags>({
  brief: "Show what was parsed",
  description: "What a user needs that no flag says.",
  examples: [
    { line: "conc sample -j4 ls", does: "Four at a time" },
    { line: "conc sample --shell 'a b'", does: "With a shell" },
  ],
  words: { usage: "CMD…", minimum: 1, maximum: 3, wrapsAfter: 0 },
  flags: {
    jobs: {
      kind: "parsed",
      parse: (text) => parseCount(text, 1),
      optional: true,
      brief: "Run N",
      placeholder: "N",
    },
    keepOrder: { kind: "boolean", default: false, brief: `Print in order ${"word ".repeat(30).trim()}` },
    shell: { kind: "boolean", optional: true, brief: "Always or never" },
    file: {
      kind: "parsed",
      parse: String,
      optional: true,
      variadic: true,
      brief: "Read it",
      placeholder: "FILE",
    },
    size: {
      kind: "parsed",
      parse: (text) => parseCount(text),
      default: "7",
      brief: "How large",
      placeholder: "N",
    },
  },
  aliases: { j: "jobs", k: "keepOrder", 0: "shell" },
  async run(context, flags, words) {
    await context.stdout.write(JSON.stringify({ ...flags, words }));
    return 0;
  },
});
