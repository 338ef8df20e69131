/**
 * `conc spawn`: run a command as timeout, a small init and a small supervisor do.
 *
 * @module
 */

import { UsageError } from "../lib/errors.ts";
import type { Context } from "./context.ts";
import { command, type CommonFlags } from "./declaration.ts";
import { checkFlags, SPAWN_ALIASES, SPAWN_FLAGS, type SpawnFlags } from "./spawn_flags.ts";
import { supervise } from "./spawn_supervise.ts";

export default command<SpawnFlags>({
  brief: "Start processes, supervise them, leave none behind",
  description: `The command has conc's stdin, stdout and stderr; with -n COUNT it reads
/dev/null. Its exit code is conc's, 128+N if signal N ended it. With -n COUNT
conc exits 0, or 1 if any failed. A single word with white space or a shell
operator in it goes to sh -c. CONC_SEQ is the index in its environment.

When it has ended, by itself, by --timeout or by a signal to conc, so has all
that it started, in whatever group or session: asked with SIGTERM first, killed
after --kill-after. Orphans are adopted and reaped, so conc can be pid 1.
SIGINT, SIGTERM and SIGHUP (but under nohup) end it, a second one kills at once;
if it had to be killed, the exit code is 128+N of the first. All other signals
go to the command alone. SIGTSTP stops conc with it, if a shell is there to
continue them, SIGCONT continues both.

--timeout is for each run. Exit code: 124, or 137 if it had to be killed, as
with timeout(1), whose --preserve-status has no equal here: --json and --report
have the command's own signal. 126, 127: it cannot be executed, is not found.
With --restart it is the last run's. A run that timed out has failed.

--detach prints the pid of the conc that supervises in the new session: end that
one, and all ends. There the command reads /dev/null, and what it prints is lost
without --log. --pidfile names conc too; exit code 75 if its process lives.

A file that conc cannot write any more, the log above all, is said once, and the
command goes on. --daemon covers the command, not what that starts.

--report appends, and --json prints, one record of type run for each run: index,
pid, command, cause (exit, signal, timeout, interrupted), exitCode, signal,
startedAt, durationMs, userMs, systemMs, maxRssBytes, attempts (runs so far),
survivors (pid and command of those that had to be killed), and error if it did
not start. The figures are the kernel's, null where it does not tell: of memory,
where the command had no more than conc has. --json adds stdout and stderr, and
one record of type summary: count, succeeded, failed, runs, exitCode,
durationMs. With --detach it prints one of type detached: pid, commandPid.`,
  examples: [
    { line: "conc spawn --timeout 0.2s sleep 60", does: "As timeout(1), and nothing stays", exitCode: 124 },
    { line: "conc spawn -n 3 --prefix 'sleep 0.{#}; echo done'", does: "Start three, join them" },
    {
      line: "conc spawn --restart on-failure --max-restarts 3 --backoff 50ms..1s false",
      does: "Start it again, later and later",
      exitCode: 1,
    },
    {
      line: "conc spawn --detach --pidfile web.pid --log web.log sleep 0.5; cat web.pid",
      does: "In the background, in a session of its own",
    },
    { line: "conc spawn --daemon sleep 0.1", does: "It dies with conc, whatever kills conc" },
    { line: "conc spawn --report runs.json --env LANG=C wc -l three.txt", does: "And what it took" },
  ],
  words: { usage: "CMD…", minimum: 1, maximum: Infinity, wrapsAfter: 0 },
  flags: SPAWN_FLAGS,
  aliases: SPAWN_ALIASES,
  run: runSpawn,
});

async function runSpawn(context: Context, flags: SpawnFlags & CommonFlags, typed: string[]): Promise<number> {
  if (typed[0] === "") throw new UsageError("cannot run an empty command: give its name");
  if (!flags.detach && !flags.detached) {
    checkFlags(flags);
    return await supervise(context, { flags, typed });
  }
  const { detach, superviseDetached } = await import("./spawn_detach.ts");
  if (flags.detached) return await superviseDetached(context, typed);
  checkFlags(flags);
  return await detach(context, { flags, typed });
}
