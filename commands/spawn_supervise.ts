/**
 * Running what `conc spawn` was told to run, until it is over.
 *
 * @module
 */

import { SpawnError, SystemError } from "../lib/errors.ts";
import { succeeded } from "../lib/process/exit_status.ts";
import { foregroundGroup } from "../lib/process/proc.ts";
import { Relay } from "../lib/process/relay.ts";
import { spawn } from "../lib/process/spawn.ts";
import type { LogFile } from "../lib/report/log_file.ts";
import { Output } from "../lib/report/output.ts";
import { type Context, say } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import { Interrupts } from "./interrupt.ts";
import type { SpawnFlags } from "./spawn_flags.ts";
import { DAEMON_WORDS, Group, type SuperviseOptions, type Surroundings } from "./spawn_group.ts";
import type { SpawnOutput } from "./spawn_output.ts";
import type { Readiness } from "./spawn_ready.ts";
import { checkReport } from "./spawn_record.ts";
import { wrappedCommand } from "./wrapped.ts";

/** Runs it. When this returns, nothing that was started lives any more. */
export async function supervise(context: Context, options: SuperviseOptions): Promise<number> {
  const { flags, typed, detached } = options;
  const command = wrappedCommand(typed, flags.shell);
  if (flags.report !== undefined) checkReport(flags.report);
  if (flags.daemon) await checkDaemon();
  using _pidfile = flags.pidfile === undefined ? undefined : await openPidfile(flags.pidfile);
  using log = flags.log === undefined
    ? undefined
    : await openLog(flags.log, (text) => detached === undefined ? say(context, text) : Promise.resolve());
  const file = log && new Output(log, flags.log!);
  const tell = async (text: string) => {
    if (detached === undefined) await say(context, text);
    else if (file !== undefined) await say({ stderr: file }, text);
  };
  await using readiness = await readinessFor(context, { flags, tell });
  using output = await outputFor(context, { flags, file });
  // Neither this nor the relay is disposed of: a signal that comes between the end and the exit is not to be what conc ends with.
  const interrupts = new Interrupts();
  const group = new Group(context, { ...options, command, interrupts, output, readiness, tell });
  new Relay({
    pids: () => group.pids(),
    isTerminalShared: () => foregroundGroup() !== undefined,
    // To write to a pipe that nobody reads is our own affair, and makes a signal of its own.
    except: output === undefined ? [] : ["SIGPIPE"],
  });
  return await group.run();
}

/**
 * Throws if a child cannot be made to die with us.
 *
 * The kernel sends that signal when the thread ends that started the child: Deno starts children from its main thread, which ends last.
 */
async function checkDaemon(): Promise<void> {
  const problem = new SystemError(
    "cannot start a daemon as that takes setpriv with --pdeathsig (util-linux): install it, or leave out --daemon",
  );
  try {
    const { status } = spawn([...DAEMON_WORDS, "true"], { stdout: "null", stderr: "null" });
    if (succeeded(await status)) return;
  } catch (error) {
    if (!(error instanceof SpawnError)) throw error;
  }
  throw problem;
}

async function openPidfile(path: string): Promise<Disposable> {
  const { Pidfile } = await import("../lib/process/pidfile.ts");
  return new Pidfile(path);
}

async function openLog(path: string, failed: (text: string) => Promise<void>): Promise<LogFile> {
  const { LogFile } = await import("../lib/report/log_file.ts");
  return new LogFile(path, { failed: (text) => failed(text).catch(() => {}) });
}

async function outputFor(
  context: Context,
  { flags, file }: { flags: SpawnFlags & CommonFlags; file: Output | undefined },
): Promise<SpawnOutput | undefined> {
  if (file === undefined && !flags.json && !flags.prefix) return undefined;
  const { openOutput } = await import("./spawn_output.ts");
  return openOutput(context, { flags, file });
}

async function readinessFor(
  context: Context,
  { flags, tell }: { flags: SpawnFlags & CommonFlags; tell: Surroundings["tell"] },
): Promise<Readiness | undefined> {
  if (flags.ready === undefined && flags.event === undefined) return undefined;
  const { openReadiness } = await import("./spawn_ready.ts");
  return await openReadiness(context, { flags, tell: flags.quiet ? () => Promise.resolve() : tell });
}
