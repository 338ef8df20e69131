/**
 * `conc zombie-demo`: what a zombie is and what an orphan is, by making some.
 *
 * @module
 */

import { EitherSignal } from "../lib/abort.ts";
import { UsageError } from "../lib/errors.ts";
import { type Adopter, type AfterlifeStep, playOrphans, playZombies } from "../lib/demo/afterlife.ts";
import { Family } from "../lib/demo/family.ts";
import { endAllDescendants } from "../lib/process/terminate.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { parseDuration } from "../lib/time/duration.ts";
import { parseCount } from "../lib/units.ts";
import { leftText, stepRecords, stepText } from "./afterlife_text.ts";
import { type Context, say } from "./context.ts";
import { command, type CommandGroup, type CommonFlags } from "./declaration.ts";
import { FAILURE, SUCCESS } from "./exit_code.ts";
import { Interrupts } from "./interrupt.ts";
import { rest } from "./resting.ts";

type ZombieDemoFlags = { count: number; orphan: boolean; hold: number };

/** What shows zombies needs process ids; more than this would take them from others. */
const MOST = 1_000;

const main = command<ZombieDemoFlags>({
  brief: "Real zombies and orphans, shown and removed; scan finds others",
  description: `A child that ends stays as a zombie until its parent waits for it: it has given
back everything but its process id and its exit status. Here the parent is cat,
which waits for nobody. Ending the parent removes the zombies: another process
adopts them, and that one waits.

--orphan ends the parent first. The child goes on, and another process adopts
it: the nearest one above that has asked for orphans (a subreaper), else init.
On Linux conc has asked, so it is conc. From another terminal ps shows the same.

--json prints a record of each process and step: parent (pid, name, children,
elapsedMs); zombie (pid, ppid, state, name, elapsedMs) or, with --orphan, orphan
(the same keys, while its parent lives) and adopted (pid, ppidBefore, ppid,
adopter, role, elapsedMs); removed (pid, elapsedMs); and at the end summary
(children, removed, left, adopterPid, exitCode, durationMs). adopter is a name,
role is self, init or subreaper; null where it was not seen.

Nothing is left, however it ends. Exit code: 0, or 1 if a process was left.`,
  examples: [
    { line: "conc zombie-demo --count 3 --hold 0.1s", does: "Three zombies, seen and gone" },
    { line: "conc zombie-demo --orphan --hold 0.1s", does: "A child that outlives its parent" },
    { line: "conc zombie-demo --hold 0 --json", does: "For programs" },
  ],
  words: { usage: "", minimum: 0, maximum: 0 },
  flags: {
    count: {
      kind: "parsed",
      parse: parseFamilySize,
      default: "1",
      placeholder: "N",
      brief: `How many children, 1 to ${MOST}`,
    },
    orphan: {
      kind: "boolean",
      default: false,
      withNegated: false,
      brief: "End the parent first, not the children",
    },
    hold: {
      kind: "parsed",
      parse: parseDuration,
      default: "3s",
      placeholder: "D",
      brief: "How long they stay, to be looked at",
    },
  },
  run: runDemo,
});

const group: CommandGroup = {
  brief: main.brief,
  examples: main.examples,
  main,
  subcommands: {
    scan: {
      brief: "Find zombies, and say what to do about their parents",
      load: async () => (await import("./zombie_demo_scan.ts")).default,
    },
  },
};
export default group;

async function runDemo(context: Context, flags: ZombieDemoFlags & CommonFlags): Promise<number> {
  using interrupts = new Interrupts();
  const signal = interrupts.first;
  const teller = new Teller(context, flags);
  const options = {
    tell: (step: AfterlifeStep) => teller.tell(step),
    hold: async (gone: AbortSignal) => {
      using either = new EitherSignal(signal, gone);
      await rest(flags.hold, either);
    },
  };
  try {
    await using family = await Family.start(flags.count, { signal });
    const worked = await (flags.orphan ? playOrphans : playZombies)(family, options);
    const exitCode = worked ? SUCCESS : FAILURE;
    await teller.summarize(exitCode);
    return exitCode;
  } catch (error) {
    // Ctrl-C ends the family too, which may be noticed first.
    await endAllDescendants({ escalate: interrupts.second });
    signal.throwIfAborted();
    throw error;
  } finally {
    await endAllDescendants({ escalate: interrupts.second });
  }
}

/** Tells the steps to people or to programs. */
class Teller {
  readonly #context: Context;
  readonly #flags: ZombieDemoFlags & CommonFlags;
  readonly #startedMs: number;
  #adopter: Adopter | undefined;
  #removed = 0;
  #left = 0;

  constructor(context: Context, flags: ZombieDemoFlags & CommonFlags) {
    this.#context = context;
    this.#flags = flags;
    this.#startedMs = context.monotonic();
  }

  async tell(step: AfterlifeStep): Promise<void> {
    if ("adopter" in step) this.#adopter = step.adopter;
    if (step.step === "gone") {
      this.#removed = step.removed.length;
      this.#left = step.left.length;
    }
    const { json, hold } = this.#flags;
    if (json) await this.#context.stdout.write(stepRecords(step, this.#elapsedMs()).map(ndjson).join(""));
    else {
      await this.#context.stdout.write(stepText(step, { holdMs: hold, elapsedMs: this.#elapsedMs() }));
    }
    if (step.step === "gone" && step.left.length > 0) await say(this.#context, leftText(step.left));
  }

  async summarize(exitCode: number): Promise<void> {
    if (!this.#flags.json) return;
    await this.#context.stdout.write(ndjson({
      ...{ type: "summary", children: this.#flags.count, removed: this.#removed, left: this.#left },
      ...{ adopterPid: this.#adopter?.pid ?? null, exitCode, durationMs: this.#elapsedMs() },
    }));
  }

  #elapsedMs(): number {
    return Math.round(this.#context.monotonic() - this.#startedMs);
  }
}

function parseFamilySize(text: string): number {
  const count = parseCount(text, 1);
  if (count <= MOST) return count;
  throw new UsageError(
    `cannot start that many as each takes a process id: at most ${MOST}: received '${text}'`,
  );
}
